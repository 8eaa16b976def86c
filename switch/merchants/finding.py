"""Rows of a table, found by very many keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Column, Table, select
from sqlalchemy.engine import Connection

from switch.store.bulk import parts_of
from switch.store.changing import key_column


def rows_with(connection: Connection, column: Column[Any], keys: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The rows that have one of these in a column."""
    for is_one_of in parts_of(connection, column, keys):
        query = select(column.table).where(is_one_of)
        yield from (dict(row) for row in connection.execute(query).mappings())


def page_of(
    connection: Connection, table: Table, wanted: Mapping[str, str | None], after: str | None, most: int
) -> list[dict[str, Any]]:
    """Rows in the order of their keys.

    Args:
        connection: A transaction that reads.
        table: The merchants, the terminals, or another one of the store.
        wanted: Columns that must have a value; None: any.
        after: Only those behind this key.
        most: So many.
    """
    query = select(table).order_by(key_column(table)).limit(most)
    for name, value in wanted.items():
        if value is not None:
            query = query.where(table.c[name] == value)
    if after is not None:
        query = query.where(key_column(table) > after)
    return [dict(row) for row in connection.execute(query).mappings()]
