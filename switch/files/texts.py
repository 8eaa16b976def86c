"""A text with the tables that it names, wherever they are: beside each other in a folder, or kept as one."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from switch.files.datafile import TOML_BYTES_MAX, read_data_file, read_regular
from switch.files.problems import ConfigError, Problem


class Texts(Protocol):
    """Where they are read from."""

    @property
    def place(self) -> str:
        """Where the text is, for problems."""

    def main(self) -> bytes:
        """The text.

        Raises:
            ConfigError: It cannot be read.
        """

    def table(self, name: str) -> bytes:
        """A table, by the name that the text has for it; without a byte order mark.

        Raises:
            ConfigError: It cannot be read.
        """

    def place_of(self, name: str) -> str:
        """Where a table is, for problems."""


class FolderTexts:
    """A file, and the tables that it names relative to it."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)

    @property
    def place(self) -> str:
        """The file."""
        return str(self._path)

    def main(self) -> bytes:
        """What it says."""
        try:
            return read_regular(self._path, TOML_BYTES_MAX)
        except OSError as error:
            raise ConfigError([Problem(self.place, "", f"cannot be read: {error.strerror}")]) from error

    def table(self, name: str) -> bytes:
        """What a table says."""
        return read_data_file(self.place_of(name))

    def place_of(self, name: str) -> str:
        """The table's file."""
        return str(self._path.parent / name)


def texts_of(source: str | Path | Texts) -> Texts:
    """What a path or something else is read as."""
    return FolderTexts(source) if isinstance(source, str | Path) else source
