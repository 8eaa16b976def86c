"""Reading the files that a command or a configuration names."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from switch.problems import ConfigError, Problem


def open_regular(path: str | Path) -> BinaryIO:
    """A regular file to read, and nothing else: opening a pipe would wait for its writer, and a device has no end.

    Raises:
        OSError: It cannot be opened, or is something else.
    """
    stream = open(path, "rb", opener=_open_at_once)  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
        stream.close()
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return stream


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def read_regular(path: str | Path) -> bytes:
    """The bytes of a regular file.

    Raises:
        OSError: It cannot be read, or is something else.
    """
    with open_regular(path) as stream:
        return stream.read()


def read_data_file(path: str | Path) -> bytes:
    """The bytes of a file that a configuration names.

    Raises:
        ConfigError: It cannot be read; the reason is the system's.
    """
    try:
        return read_regular(path)
    except OSError as error:
        raise ConfigError([Problem(str(path), "", f"cannot be read: {error.strerror}")]) from error
