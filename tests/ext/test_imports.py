"""A compiled module that imports Python modules of the package can be the first that is imported."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

IMPORTS = re.compile(r"^from switch\.\S+ import ", re.MULTILINE)
FOLDER = Path(__file__).parents[2] / "ext"
SOURCES = sorted(source for source in FOLDER.rglob("*.pyx") if IMPORTS.search(source.read_text()))
MODULES = ["machine.link", *(".".join(source.relative_to(FOLDER).with_suffix("").parts) for source in SOURCES)]


@pytest.mark.parametrize("module", MODULES)
def test_module_comes_first(module: str) -> None:
    subprocess.run([sys.executable, "-c", f"import switch.{module}"], check=True)
