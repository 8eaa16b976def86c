"""The registry as the store has it: read as the files that the switch takes, and kept in a copy for when it is away.

The copy is a folder: a file of merchants and one of terminals as they were at one change of the audit, whose head and
the files' digest stand in ``base``, and ``changes.json`` with every row that was changed since. A start needs no more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Table, select
from sqlalchemy.engine import Connection

from switch.files.durable import put_durably
from switch.merchants.finding import rows_with
from switch.merchants.problems import RefusedError
from switch.merchants.rows import file_of
from switch.merchants.tables import MERCHANTS, TERMINALS
from switch.store.audit import AUDIT, BEGINNING, Head, head
from switch.store.changing import key_column
from switch.tables.registry import MERCHANT_COLUMNS, TERMINAL_COLUMNS

ROWS_AT_A_TIME = 5_000
CHANGES_AT_A_TIME = 5_000
"""So many rows of the audit are followed in one go."""

BASE = re.compile(r"authswitch registry 1\nhead ([0-9]{1,18}):([0-9a-f]{64})\nsha256 ([0-9a-f]{64})\n")
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Files:
    """Merchants and terminals as the switch reads them, with the change that they are of."""

    head: Head
    merchants: bytes
    terminals: bytes


@dataclass(slots=True)
class Changes:
    """Rows that are new or otherwise since a moment, by their numbers, and the change that they are of."""

    head: Head
    merchants: dict[str, Row] = field(default_factory=dict)
    terminals: dict[str, Row] = field(default_factory=dict)

    def add(self, later: Changes) -> None:
        """Put later ones in their places."""
        self.head = later.head
        self.merchants |= later.merchants
        self.terminals |= later.terminals

    def files(self) -> Files:
        """The same as files."""
        merchants = file_of(self.merchants.values(), MERCHANT_COLUMNS)
        return Files(self.head, merchants, file_of(self.terminals.values(), TERMINAL_COLUMNS))


# --- the store --------------------------------------------------------------------------------------------------------


def whole(connection: Connection) -> Files:
    """All merchants and terminals of one moment."""
    newest = head(connection)
    merchants, terminals = (
        file_of(_all(connection, table, columns), columns)
        for table, columns in ((MERCHANTS, MERCHANT_COLUMNS), (TERMINALS, TERMINAL_COLUMNS))
    )
    return Files(newest, merchants, terminals)


def changes_since(connection: Connection, known: Head) -> Changes | None:
    """The next rows that were changed since; None where nothing was.

    Rows are as they are now, which may be later than the change that is told as their head; whoever asks again gets
    them again. With terminals come their merchants.

    Raises:
        RefusedError: This is not the database that ``known`` is of.
    """
    newest = head(connection)
    if newest == known:
        return None
    if not has(connection, known):
        raise RefusedError(f"its audit does not have change {known}: it is another database, or was written anew")
    upto = min(newest.number, known.number + CHANGES_AT_A_TIME)
    query = select(AUDIT.c.subject, AUDIT.c.row).distinct().where(AUDIT.c.number > known.number, AUDIT.c.number <= upto)
    changed = [tuple(row) for row in connection.execute(query)]
    terminals = _rows(connection, TERMINALS.c.id, [key for subject, key in changed if subject == TERMINALS.name])
    merchants = {key for subject, key in changed if subject == MERCHANTS.name}
    merchants |= {row["merchant"] for row in terminals.values()}
    of_upto = connection.execute(select(AUDIT.c.hash).where(AUDIT.c.number == upto)).scalar_one()
    return Changes(Head(upto, of_upto), _rows(connection, MERCHANTS.c.id, sorted(merchants)), terminals)


def has(connection: Connection, known: Head) -> bool:
    """Whether a change is in the audit of a database: only then it is the one that the change is of."""
    if known == BEGINNING:
        return True
    there = connection.execute(select(AUDIT.c.hash).where(AUDIT.c.number == known.number)).scalar_one_or_none()
    return bool(there == known.hash)


def _all(connection: Connection, table: Table, columns: Sequence[str]) -> Iterable[Row]:
    query = select(*(table.c[name] for name in columns)).order_by(key_column(table))
    with connection.execution_options(yield_per=ROWS_AT_A_TIME).execute(query) as result:
        for row in result.mappings():
            yield dict(row)


def _rows(connection: Connection, column: Column[Any], keys: Sequence[str]) -> dict[str, Row]:
    """Of the rows with these keys what the switch reads."""
    names = MERCHANT_COLUMNS if column.table is MERCHANTS else TERMINAL_COLUMNS
    return {row["id"]: {name: row[name] for name in names} for row in rows_with(connection, column, keys)}


# --- the copy ---------------------------------------------------------------------------------------------------------


class Copy:
    """A folder that has what the store last said, for its owner alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self) -> Files | None:
        """What the store said at the copy's base; None where nothing is there as it was written."""
        try:
            written = BASE.fullmatch((self.folder / "base").read_text())
            if written is None:
                return None
            merchants, terminals = (file.read_bytes() for file in self._files(written[1]))
        except (OSError, UnicodeDecodeError):
            return None
        if _digest(merchants, terminals) != written[3]:
            return None
        return Files(Head(int(written[1]), bytes.fromhex(written[2])), merchants, terminals)

    def read_changes(self, base: Head) -> Changes:
        """What was changed behind the base, as far as it was kept."""
        nothing = Changes(base)
        try:
            kept = json.loads((self.folder / "changes.json").read_bytes())
            if kept["base"] != str(base):
                return nothing
            number, digest = kept["head"].split(":")
            return Changes(Head(int(number), bytes.fromhex(digest)), kept["merchants"], kept["terminals"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return nothing

    def write(self, files: Files) -> None:
        """Keep what the store says; the copy before is there until this one is.

        Raises:
            OSError: It cannot be written.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = str(files.head.number)
        for file, content in zip(self._files(number), (files.merchants, files.terminals), strict=True):
            put_durably(file, content)
        digest = _digest(files.merchants, files.terminals)
        put_durably(self.folder / "base", f"authswitch registry 1\nhead {files.head}\nsha256 {digest}\n".encode())
        for file in self.folder.glob("*.csv"):
            if file not in self._files(number):
                file.unlink(missing_ok=True)

    def write_changes(self, base: Head, changes: Changes) -> None:
        """Keep what was changed behind the base.

        Raises:
            OSError: It cannot be written.
        """
        kept = {
            "base": str(base),
            "head": str(changes.head),
            "merchants": changes.merchants,
            "terminals": changes.terminals,
        }
        put_durably(self.folder / "changes.json", json.dumps(kept, ensure_ascii=False).encode())

    def _files(self, number: str) -> tuple[Path, Path]:
        return self.folder / f"merchants-{number}.csv", self.folder / f"terminals-{number}.csv"


def _digest(merchants: bytes, terminals: bytes) -> str:
    return sha256(sha256(merchants).digest() + sha256(terminals).digest()).hexdigest()
