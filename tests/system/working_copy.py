"""A copy of the source tree in which things may be built, with what is compiled already: nothing compiles twice."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import switch

PACKAGE = Path(switch.__file__).parent
ROOT = Path(__file__).parents[2]
VENV = Path(sys.prefix)
LIBRARY = Path("build") / f"lib.{sysconfig.get_platform()}-{sys.implementation.cache_tag}" / "switch"


def listed_files() -> list[str]:
    """The files of the tree that belong to the project, by git; paths from the root."""
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    named = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted(name for name in named if (ROOT / name).is_file())


def copy_tree(folder: Path) -> Path:
    """Copy the project's files, with their times."""
    for name in listed_files():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target)
    return folder


def lay_compiled(folder: Path, *places: Path) -> None:
    """Give a tree the C files, the compiled modules and their stubs of this one, as if it had been built there.

    Args:
        folder: The tree.
        places: Where the modules go; where a build for a package expects them, when there are none.
    """
    shutil.copytree(ROOT / "build" / "release" / "c", folder / "build" / "release" / "c")
    for place in places or (LIBRARY,):
        for built in [*PACKAGE.rglob("*.so"), *PACKAGE.rglob("*.pyi")]:
            target = folder / place / built.relative_to(PACKAGE)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(built, target)


def plain_environment() -> dict[str, str]:
    """This environment without what would let a child find the package of the source tree, or take itself for a part of
    this run of pytest, or of the ``make`` that has called it: that one's variables are not its own."""
    of_make = {word.partition("=")[0] for word in shlex.split(os.environ.get("MAKEFLAGS", "")) if "=" in word}
    dropped = {"PYTHONPATH", "PYTHONSAFEPATH", "MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "MAKELEVEL"} | of_make
    return {name: value for name, value in os.environ.items() if name not in dropped and not name.startswith("PYTEST_")}


def run(*command: object, folder: Path, timeout_seconds: float = 100, check: bool = True) -> str:
    """Run a command in a folder; what it printed."""
    result = subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=plain_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    assert not check or result.returncode == 0, result.stdout
    return result.stdout
