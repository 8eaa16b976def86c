"""What a switch has made of terminals before the store knows it: kept in files until it does.

A worker writes one; one worker of the node tells the store, and takes it away when it has followed the store so far.
Whoever takes changes of the store looks here before it asks: what lies here the store may not know yet.
"""

from __future__ import annotations

import json
import socket
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from switch.files.durable import put_durably, sync_folder
from switch.store.audit import WHO_CHARACTERS_MAX

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    class OfTerminal(DataclassInstance, Protocol):
        """Something about one terminal, whose fields JSON can say."""

        @property
        def row(self) -> str:
            """The number of the terminal."""


Kept = TypeVar("Kept", bound="OfTerminal")


def daemon_here() -> str:
    """Who does what a switch does, for the audit."""
    return f"daemon on {socket.gethostname()}"[:WHO_CHARACTERS_MAX]


class KeptFolder(Generic[Kept]):
    """Files, one for each terminal.

    Args:
        folder: Where they are; made when it is needed.
        sort: What is in them.
    """

    def __init__(self, folder: Path, sort: type[Kept]) -> None:
        self._folder = folder
        self._sort = sort

    def put(self, one: Kept) -> None:
        """Keep one, also over a crash.

        Raises:
            OSError: It cannot be written.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        put_durably(self._file(one), json.dumps(asdict(one)).encode())

    def all(self) -> list[Kept]:
        """Those that are kept. A file that cannot be read is none: each is written whole."""
        found = []
        for file in sorted(self._folder.glob("*.json")) if self._folder.is_dir() else ():
            try:
                found.append(self._sort(**json.loads(file.read_bytes())))
            except (OSError, ValueError, TypeError):
                continue
        return found

    def remove(self, one: Kept) -> None:
        """The store knows it."""
        self._file(one).unlink(missing_ok=True)
        sync_folder(self._folder)

    def _file(self, one: Kept) -> Path:
        return self._folder / f"{one.row.encode().hex()}.json"
