"""Up to where a partition's journal was posted into the books: what they have not read yet is not removed."""

from __future__ import annotations

from pathlib import Path

from switch.files.durable import put_durably

POSTED_NAME = "posted"
"""A file in the partition's folder: a position, in decimal."""


def note_posted(folder: Path, position: int) -> None:
    """Say that the books need no record before a position any more.

    Raises:
        OSError: It cannot be written.
    """
    put_durably(folder / POSTED_NAME, f"{position}\n".encode())


def needed_by_books(folder: Path) -> int:
    """The position before which the books need nothing; 0 where they have not said anything that can be read."""
    try:
        return int((folder / POSTED_NAME).read_bytes())
    except (OSError, ValueError):
        return 0
