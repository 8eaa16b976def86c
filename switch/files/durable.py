"""Small files and names, made durable."""

from __future__ import annotations

import os
from pathlib import Path

FILE_MODE = 0o600


def put_durably(file: Path, content: bytes) -> None:
    """Write a small file, or replace it: what was there or the new one is there at any time.

    Raises:
        OSError: It cannot be written.
    """
    fresh = file.with_name(f"{file.name}.next")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.rename(file)
    sync_folder(file.parent)


def sync_file(file: Path) -> None:
    """Make a file that is there durable, with its name.

    Raises:
        OSError: It cannot be.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable.

    Raises:
        OSError: They cannot be.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
