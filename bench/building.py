"""Compiles ``steps.pyx`` into ``build/bench``, against the modules that are built in place."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "bench" / "steps.pyx"
BUILD = ROOT / "build" / "bench"
STAGE = BUILD / "stage"
LIBRARY = BUILD / "steps.so"


def load_steps() -> ModuleType:
    """The module, compiled again where it is older than its source or than a declaration of the hot path."""
    declarations = (ROOT / "ext").rglob("*.pxd")
    newest = max(path.stat().st_mtime for path in (SOURCE, *declarations))
    if not LIBRARY.exists() or LIBRARY.stat().st_mtime < newest:
        _compile()
    spec = importlib.util.spec_from_file_location("steps", LIBRARY)
    if spec is None or spec.loader is None:
        raise ImportError(f"{LIBRARY} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _compile() -> None:
    STAGE.mkdir(parents=True, exist_ok=True)
    package = STAGE / "switch"  # in which Cython looks for what is cimported, as in setup.py
    if not package.is_symlink():
        package.symlink_to(os.path.relpath(ROOT / "ext", STAGE), target_is_directory=True)
    translated = LIBRARY.with_suffix(".c")
    cython = [sys.executable, "-m", "cython", "-3", "--include-dir", str(STAGE), "--output-file", str(translated)]
    subprocess.run([*cython, str(SOURCE)], check=True)
    include = f"-I{sysconfig.get_path('include')}"
    subprocess.run(
        [
            "cc",
            "-O3",
            "-shared",
            "-fPIC",
            include,
            f"-I{ROOT / 'ext'}",
            "-o",
            str(LIBRARY),
            str(translated),
            "-lcrypto",
        ],
        check=True,
    )
