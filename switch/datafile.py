"""Reading the data files that a configuration names."""

from __future__ import annotations

from pathlib import Path

from switch.problems import ConfigError, Problem


def read_data_file(path: str | Path) -> bytes:
    """The bytes of a file.

    Raises:
        ConfigError: It cannot be read; the reason is the system's.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError([Problem(str(path), "", f"cannot be read: {error.strerror}")]) from error
