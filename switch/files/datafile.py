"""Reading the files that a command or a configuration names."""

from __future__ import annotations

import codecs
import errno
import os
import stat
import tomllib
from pathlib import Path
from typing import Any, BinaryIO

from switch.files.problems import ConfigError, Problem

DATA_BYTES_MAX = 1 << 30
"""Of a table, such as that of the terminals."""

TOML_BYTES_MAX = 16 << 20


def open_regular(path: str | Path, most: int = DATA_BYTES_MAX) -> BinaryIO:
    """A regular file to read, and nothing else: opening a pipe would wait for its writer, and a device has no end.

    Args:
        path: The file.
        most: So many bytes it may have.

    Raises:
        OSError: It cannot be opened, is something else, or is too large.
    """
    try:
        stream = open(path, "rb", opener=_open_at_once)  # noqa: SIM115
    except ValueError:
        raise OSError(errno.EINVAL, "its path holds a NUL character", str(path)) from None
    status = os.fstat(stream.fileno())
    reason = ""
    if not stat.S_ISREG(status.st_mode):
        reason = "it is not a regular file"
    elif status.st_size > most:
        reason = f"it has {status.st_size:,} bytes, and at most {most:,} are read"
    if reason:
        stream.close()
        raise OSError(errno.EINVAL, reason, str(path))
    return stream


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def read_regular(path: str | Path, most: int = DATA_BYTES_MAX) -> bytes:
    """The bytes of a regular file.

    Raises:
        OSError: It cannot be read, is something else, or has more than ``most`` bytes.
    """
    with open_regular(path, most) as stream:
        return stream.read(most)


def read_toml(path: str | Path) -> dict[str, Any]:
    """The tables of a TOML file; a byte order mark before them is passed over.

    Raises:
        OSError: It cannot be read.
        UnicodeDecodeError: It is not UTF-8.
        TOMLDecodeError: It is not TOML.
    """
    return tomllib.loads(read_toml_text(path))


def read_toml_text(path: str | Path) -> str:
    """The text of a TOML file, as ``read_toml`` takes it.

    Raises:
        OSError: It cannot be read.
        UnicodeDecodeError: It is not UTF-8.
    """
    return read_regular(path, TOML_BYTES_MAX).decode("utf-8").removeprefix("\ufeff")


def read_data_file(path: str | Path) -> bytes:
    """The bytes of a file that a configuration names, without a byte order mark.

    Raises:
        ConfigError: It cannot be read; the reason is the system's.
    """
    try:
        return read_regular(path).removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise ConfigError([Problem(str(path), "", f"cannot be read: {error.strerror}")]) from error
