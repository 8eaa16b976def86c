"""A key file in a folder, as configurations of these tests name it, with the keys that its journal is sealed under."""

from __future__ import annotations

from pathlib import Path

from switch.keys import KeyFile, load_master_key
from switch.keys.journal_keys import journal_keys
from switch.keys.master import create_master_key


def make_key_file(folder: Path) -> bytes:
    """Make ``master.key`` and ``keys.sealed``; gives the journal's keys."""
    with KeyFile.create(folder / "keys.sealed", create_master_key(folder / "master.key")) as file:
        return journal_keys(file)


def read_keys(folder: Path) -> bytes:
    """The journal's keys as the files in a folder have them."""
    with KeyFile.open(folder / "keys.sealed", load_master_key(folder / "master.key")) as file:
        return journal_keys(file)
