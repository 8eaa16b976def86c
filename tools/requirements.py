"""Lists the packages that the virtual environment still lacks, as pip wants them, one on a line.

``python tools/requirements.py run`` covers building and running, ``... test`` tests and development too. Nothing is
printed when every package is there in the version that ``pyproject.toml`` and ``constraints.txt`` pin.
"""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def direct_requirements(purpose: str) -> list[str]:
    """The pinned requirements of ``pyproject.toml`` for a purpose: ``run``, or any that tests belong to."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted: list[str] = document["build-system"]["requires"] + document["project"]["dependencies"]
    if purpose != "run":
        wanted += document["project"]["optional-dependencies"]["dev"]
    return list(dict.fromkeys(wanted))


def constraints() -> list[str]:
    """Every pin of ``constraints.txt``, those of indirect dependencies included."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def installed(name: str) -> str | None:
    """The installed version of a package, None when it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def unmet(purpose: str) -> list[str]:
    """Requirements that are not installed, or installed in another version than the pinned one."""
    missing = []
    for requirement in direct_requirements(purpose):
        name, _, pinned = requirement.partition("==")
        if installed(name) != pinned:
            missing.append(requirement)
    for constraint in constraints():
        name, _, pinned = constraint.partition("==")
        if installed(name) not in (None, pinned) and constraint not in missing:
            missing.append(constraint)
    return missing


if __name__ == "__main__":
    print("\n".join(unmet(sys.argv[1])))
