"""A compiled module that imports Python modules of the package can be the first that is imported."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

IMPORTS = re.compile(r"^from switch\.\S+ import ", re.MULTILINE)
SOURCES = sorted((Path(__file__).parents[2] / "ext").glob("*.pyx"))
MODULES = ["link", *(source.stem for source in SOURCES if IMPORTS.search(source.read_text()))]


@pytest.mark.parametrize("module", MODULES)
def test_module_comes_first(module: str) -> None:
    subprocess.run([sys.executable, "-c", f"import switch.{module}"], check=True)
