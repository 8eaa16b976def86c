"""The audit: an append-only table of who changed which row when, why, and what stood there before.

Each row's hash covers the one before it, so that nothing in the middle can be changed, taken out or put in without
all that follows being wrong::

    hash = SHA-256(JSON of [number, at, who, why, subject, row, before, after, hash of the row before in hex])

The JSON has no blanks, its characters are not escaped where they need not be, and ``before`` and ``after`` are the
texts that stand in the table, so anybody can compute it again with what is in the database. ``after`` is the whole row
as it was left, null when it was deleted; ``before`` has what was changed, and is null where the row is new.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Table, Text
from sqlalchemy.engine import Connection
from sqlalchemy.sql import func, select

from switch.store.bulk import insert_rows
from switch.store.columns import METADATA, Moment, moment_text

WHO_CHARACTERS_MAX = 64
WHY_CHARACTERS_MAX = 400

AUDIT = Table(
    "audit",
    METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("who", String(WHO_CHARACTERS_MAX), nullable=False),
    Column("why", String(WHY_CHARACTERS_MAX), nullable=False),
    Column("subject", String(64), nullable=False),
    Column("row", String(128), nullable=False),
    Column("before", Text),
    Column("after", Text),
    Column("hash", LargeBinary(32), nullable=False),
    Index(None, "subject", "row", "number"),
    comment="who changed which row when, why, and what stood there before; append-only, hash-chained",
)

NO_HASH = bytes(32)
"""What stands before the first row."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest row: with its number and hash, kept elsewhere, nobody can cut the audit off behind it unseen."""

    number: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.number}:{self.hash.hex()}"


BEGINNING = Head(0, NO_HASH)


def text_of(values: Mapping[str, Any]) -> str:
    """Values of a row as one line of JSON, their names in order; moments and days as they stand in the table."""
    return _row_text(values)


def _written(value: object) -> str:
    match value:
        case datetime():
            return moment_text(value)
        case date():
            return value.isoformat()
        case bytes():
            return value.hex()
    raise TypeError(f"a row has no values of type {type(value).__name__}")


# Made once: very many rows are written at a time.
_row_text = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_written).encode
_hashed_text = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def hash_of(row: Mapping[str, Any], hash_before: bytes) -> bytes:
    """The hash of a row of the audit, with that of the row before it."""
    at = moment_text(row["at"])
    said = [row["number"], at, *(row[name] for name in ("who", "why", "subject", "row", "before", "after"))]
    return sha256(_hashed_text([*said, hash_before.hex()]).encode()).digest()


def head(connection: Connection) -> Head:
    """The newest row of the audit."""
    newest = select(func.max(AUDIT.c.number)).scalar_subquery()
    row = connection.execute(select(AUDIT.c.number, AUDIT.c.hash).where(AUDIT.c.number == newest)).one_or_none()
    return BEGINNING if row is None else Head(row.number, row.hash)


def append(connection: Connection, rows: Iterable[dict[str, Any]]) -> Head:
    """Put rows behind the newest one: each with all but ``number`` and ``hash``.

    Whoever calls holds the only writing transaction that there is.
    """
    newest = head(connection)
    written = []
    for row in rows:
        row["number"] = newest.number + 1
        row["hash"] = hash_of(row, newest.hash)
        newest = Head(row["number"], row["hash"])
        written.append(row)
    if written:
        insert_rows(connection, AUDIT, written)
    return newest


def newest_entries(connection: Connection, wanted: Mapping[str, str | None], most: int) -> list[dict[str, Any]]:
    """The newest rows of the audit, the newest first.

    Args:
        connection: A transaction that reads.
        wanted: Columns that must have a value; None: any.
        most: So many.
    """
    query = select(AUDIT).order_by(AUDIT.c.number.desc()).limit(most)
    for name, value in wanted.items():
        if value is not None:
            query = query.where(AUDIT.c[name] == value)
    return [dict(row) for row in connection.execute(query).mappings()]


def told_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the audit as programs read it."""
    values = {name: None if entry[name] is None else json.loads(entry[name]) for name in ("before", "after")}
    return {**entry, **values, "at": moment_text(entry["at"]), "hash": entry["hash"].hex()}
