"""The version is the same wherever it stands, and the changelog and the page on releases have it."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path

from switch import __version__

ROOT = Path(__file__).parent.parent
HEADINGS = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
UNRELEASED = "[Unreleased]"


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def released() -> list[tuple[str, str]]:
    """Version and day of each heading but that of what is not released."""
    found = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d{2}-\d{2})", heading) for heading in HEADINGS]
    assert all(found[1:]), "a version is headed: ## [X.Y.Z] - YYYY-MM-DD"
    return [(match[1], match[2]) for match in found if match]


def test_the_version_is_one():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == __version__
    told = subprocess.run([sys.executable, "-m", "switch", "--version"], capture_output=True, text=True, check=True)
    assert told.stdout == f"authswitch {__version__}\n"


def test_the_changelog_begins_with_it_or_with_what_is_not_released():
    versions = [version for version, _ in released()]
    if HEADINGS[0] != UNRELEASED:
        assert versions[0] == __version__
    assert all(numbers(version) <= numbers(__version__) for version in versions)


def test_the_changelog_goes_back_in_time():
    assert UNRELEASED not in HEADINGS[1:]
    versions, days = [numbers(version) for version, _ in released()], [date.fromisoformat(day) for _, day in released()]
    assert versions == sorted(set(versions), reverse=True)
    assert days == sorted(days, reverse=True)


def test_the_page_on_releases_has_the_formats_of_the_journal():
    rows = re.findall(r"^\| (\d+\.\d+\.\d+) \| (\d+) \| (\d+) to (\d+) \|$",
                      (ROOT / "docs" / "releasing.md").read_text(), re.MULTILINE)  # fmt: skip
    heads = (ROOT / "ext" / "journal" / "file_heads.pxd").read_text()
    newest, oldest = (re.search(rf"\b{name} = (\d+)", heads)[1] for name in ("FORMAT_VERSION", "FORMAT_VERSION_MIN"))
    assert rows[0] == (__version__, newest, oldest, newest)
