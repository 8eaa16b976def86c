"""A copy of the sample configurations with keys and certificates of its own."""

import runpy
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def sample_configs(tmp_path_factory):
    """The folder ``configs``, complete: made once, not to be changed."""
    folder = tmp_path_factory.mktemp("sample") / "configs"
    shutil.copytree(ROOT / "configs", folder, ignore=shutil.ignore_patterns("secrets"))
    script = ROOT / "tools" / "sample_secrets.py"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(script), str(folder / "secrets")])
        runpy.run_path(str(script), run_name="__main__")
    return folder
