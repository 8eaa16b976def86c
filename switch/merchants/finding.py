"""Rows of a table, found by very many keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Column, select
from sqlalchemy.engine import Connection

KEYS_AT_A_TIME = 500
"""So many are looked up with one query."""


def rows_with(connection: Connection, column: Column[Any], keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows that have one of these in a column."""
    for at in range(0, len(keys), KEYS_AT_A_TIME):
        query = select(column.table).where(column.in_(keys[at : at + KEYS_AT_A_TIME]))
        yield from (dict(row) for row in connection.execute(query).mappings())
