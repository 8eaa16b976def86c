"""Files with a secret in them: read where nobody but their owner can use them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

FILE_BYTES_MAX = 4_096


class NotPrivateError(Exception):
    """A file that others can use too, or that is none: in words."""


def read_private(file: Path, bytes_max: int = FILE_BYTES_MAX) -> str:
    """The text of a small file that only its owner can use; the mode is looked at on the opened file.

    Args:
        file: Which.
        bytes_max: What stands behind so many is not read.

    Raises:
        NotPrivateError: It is no regular file, or its mode is neither 0600 nor 0400.
        OSError: It cannot be read.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        mode = stat.S_IMODE(status.st_mode)
        if not stat.S_ISREG(status.st_mode):
            raise NotPrivateError("is not a regular file")
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise NotPrivateError(f"its mode is {mode:04o}, so others can use it; needed 0600 or 0400")
        return os.read(descriptor, bytes_max).decode("utf-8", "replace")
    finally:
        os.close(descriptor)


def write_private(file: Path, content: bytes) -> None:
    """Write a new file that nobody but its owner may use.

    Raises:
        OSError: It is there already, or cannot be written.
    """
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
