"""``python -m tests.simulation.defects.build``: a copy of the package in which every defect can be switched on.

Only the sources that a defect sits in are compiled again, and without optimisation; the rest is taken from the build
that is imported.
"""

from __future__ import annotations

import os
import shutil
import sys
from hashlib import sha256
from pathlib import Path

import switch.answer

from .catalogue import CONDITION, DEFECTS

ROOT = Path(__file__).resolve().parents[3]
TREE = ROOT / "build" / "defects"
VARIABLE = "AUTHSWITCH_DEFECT"
"""Names the defect that is on, by its number counted from 1."""

SWITCH = f'''"""Which deliberate defect is on."""

cdef extern from *:
    """
    #include <stdlib.h>
    static int defect_is_on(int number) {{
        const char *chosen = getenv("{VARIABLE}");
        return chosen != NULL && atoi(chosen) == number;
    }}
    """
    bint defect_is_on(int number) nogil
'''


class StaleDefectError(Exception):
    """A defect's place is not in the sources any more, or more than once."""


def number_of(name: str) -> str:
    """The value of the environment's variable that switches a defect on."""
    return str([defect.name for defect in DEFECTS].index(name) + 1)


def changed_sources() -> dict[str, str]:
    """Sources by module name, with every defect in its place.

    Raises:
        StaleDefectError: An edit does not fit the sources.
    """
    sources: dict[str, str] = {}
    for number, defect in enumerate(DEFECTS, 1):
        for edit in defect.edits:
            if edit.module not in sources:
                sources[edit.module] = (ROOT / "ext" / f"{edit.module}.pyx").read_text()
            if (found := sources[edit.module].count(edit.old)) != 1:
                raise StaleDefectError(f"{defect.name}: its place stands {found} times in ext/{edit.module}.pyx")
            condition = f"defect_is_on({number})"
            sources[edit.module] = sources[edit.module].replace(edit.old, edit.new.replace(CONDITION, condition))
    return {module: _with_switch(text) for module, text in sources.items()}


def _with_switch(text: str) -> str:
    """Import the switch behind the module's docstring."""
    end = text.index('"""', 3) + 3
    return f"{text[:end]}\n\nfrom switch.defect cimport defect_is_on\n{text[end:]}"


def fingerprint() -> str:
    """Of everything that the copy is made from."""
    digest = sha256()
    for path in sorted((ROOT / "ext").glob("*.p*")):
        digest.update(path.read_bytes())
    for module, text in sorted(changed_sources().items()):
        digest.update(module.encode() + text.encode())
    return digest.hexdigest()


def build() -> Path:
    """Bring the copy up to date; the folder that Python must look in first."""
    stamp = TREE / "built"
    wanted = fingerprint()
    if not stamp.exists() or stamp.read_text() != wanted:
        _copy()
        _compile(changed_sources())
        stamp.write_text(wanted)
    return TREE / "lib"


def _copy() -> None:
    shutil.rmtree(TREE, ignore_errors=True)
    shutil.copytree(ROOT / "ext", TREE / "stage" / "switch")
    shutil.copytree(
        Path(switch.answer.__file__).parent, TREE / "lib" / "switch", ignore=shutil.ignore_patterns("__pycache__")
    )
    (TREE / "stage" / "switch" / "defect.pxd").write_text(SWITCH)


def _compile(sources: dict[str, str]) -> None:
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    stage = TREE / "stage"
    for module, text in sources.items():
        (stage / "switch" / f"{module}.pyx").write_text(text)
        for built in (TREE / "lib" / "switch").glob(f"{module}.*.so"):
            built.unlink()
    extensions = [
        Extension(
            f"switch.{module}",
            [str(stage / "switch" / f"{module}.pyx")],
            include_dirs=[str(stage / "switch")],
            libraries=["crypto"],
            extra_compile_args=["-O0", "-w"],
        )
        for module in sorted(sources)
    ]
    jobs = os.cpu_count() or 1
    compiled = cythonize(
        extensions,
        include_path=[str(stage)],
        build_dir=str(TREE / "c"),
        compiler_directives={"language_level": 3, "binding": False, "initializedcheck": False},
        nthreads=jobs,
        quiet=True,
    )
    command = build_ext(Distribution({"ext_modules": compiled}))
    command.build_lib = str(TREE / "lib")
    command.build_temp = str(TREE / "temp")
    command.parallel = jobs
    command.ensure_finalized()
    command.run()


if __name__ == "__main__":
    print(build())
    sys.exit(0)
