"""Changes of rows by somebody, for a reason: each is written into the audit in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import Column, Row, Table, func, select
from sqlalchemy.engine import Connection

from switch.store.audit import WHO_CHARACTERS_MAX, WHY_CHARACTERS_MAX, append, text_of
from switch.store.bulk import insert_rows
from switch.store.opening import Store
from switch.store.problems import NoSuchError, StoreError, UnfitError

ROWS_AT_A_TIME = 5_000


def key_column(table: Table) -> Column[Any]:
    """The one column that names a row: every audited table has one."""
    (column,) = table.primary_key.columns
    return column


def find_row(connection: Connection, table: Table, key: str | int) -> dict[str, Any] | None:
    """One row; None where there is none."""
    found = connection.execute(select(table).where(key_column(table) == key)).mappings().one_or_none()
    return None if found is None else dict(found)


def row_of(connection: Connection, table: Table, key: str | int) -> dict[str, Any]:
    """One row.

    Raises:
        NoSuchError: There is none.
    """
    found = find_row(connection, table, key)
    if found is None:
        raise NoSuchError(f"there is no {table.name.removesuffix('s')} {key}")
    return found


def next_number(connection: Connection, table: Table) -> int:
    """That of a new row of a table whose rows are numbered."""
    return int(connection.execute(select(func.coalesce(func.max(key_column(table)), 0))).scalar_one()) + 1


class Change:
    """One transaction in which somebody changes rows.

    Attributes:
        connection: In which the change sees what it has changed so far.
        who: Whose it is.
        why: The reason of all of it.
        at: The moment of all of it.
    """

    def __init__(self, connection: Connection, who: str, why: str, at: datetime) -> None:
        self.connection = connection
        self.at = at
        self.why = _said("why", why, WHY_CHARACTERS_MAX)
        self.who = _said("who", who, WHO_CHARACTERS_MAX)
        self._said = {"at": at, "who": self.who, "why": self.why}

    def insert(self, table: Table, values: Mapping[str, Any]) -> None:
        """Add a row; columns that are not named get their defaults."""
        self.insert_all(table, [values])

    def insert_all(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> int:
        """Add very many rows; how many there were."""
        count = 0
        batch: list[dict[str, Any]] = []
        for values in rows:
            batch.append(_whole(table, values))
            if len(batch) == ROWS_AT_A_TIME:
                self._insert(table, batch)
                count += len(batch)
                batch = []
        if batch:
            self._insert(table, batch)
        return count + len(batch)

    def update(self, table: Table, key: object, values: Mapping[str, Any]) -> bool:
        """Change columns of one row; False where they all were so before, and nothing happened.

        Raises:
            NoSuchError: There is no such row.
        """
        before = self._row(table, key)
        changed = {name: value for name, value in values.items() if before._mapping[name] != value}
        if not changed:
            return False
        _check_lengths(table, changed)
        column = key_column(table)
        self.connection.execute(table.update().where(column == key).values(**changed))
        after = self._row(table, before._mapping[column.name])
        self._note(table, [(key, {name: before._mapping[name] for name in changed}, dict(after._mapping))])
        return True

    def delete(self, table: Table, key: object) -> None:
        """Take a row out.

        Raises:
            NoSuchError: There is no such row.
        """
        before = self._row(table, key)
        self.connection.execute(table.delete().where(key_column(table) == key))
        self._note(table, [(key, dict(before._mapping), None)])

    def _insert(self, table: Table, rows: list[dict[str, Any]]) -> None:
        insert_rows(self.connection, table, rows)
        name = key_column(table).name
        self._note(table, [(row[name], None, row) for row in rows])

    def _row(self, table: Table, key: object) -> Row[Any]:
        row = self.connection.execute(select(table).where(key_column(table) == key)).one_or_none()
        if row is None:
            raise NoSuchError(f"{table.name} has no {key}")
        return row

    def _note(self, table: Table, changes: list[tuple[object, dict[str, Any] | None, dict[str, Any] | None]]) -> None:
        append(
            self.connection,
            (
                {
                    **self._said,
                    "subject": table.name,
                    "row": str(key),
                    "before": None if before is None else text_of(before),
                    "after": None if after is None else text_of(after),
                }
                for key, before, after in changes
            ),
        )


@contextmanager
def changing(store: Store, who: str, why: str, at: datetime | None = None) -> Iterator[Change]:
    """A change by somebody, for a reason. It happens as a whole when the block ends, or not at all.

    Raises:
        UnfitError: Nobody or no reason was named.
        StoreError: The database could not do it.
    """
    with store.writing() as connection:
        yield Change(connection, who, why, at or datetime.now(UTC))


def _whole(table: Table, values: Mapping[str, Any]) -> dict[str, Any]:
    """A row with all its columns, so that the audit has what the table has; defaults are the schema's, in Python."""
    unknown = set(values) - set(table.columns.keys())
    if unknown:
        raise StoreError(f"{table.name} has no column {', '.join(sorted(unknown))}")
    row = {**_defaults(table), **values}
    _check_lengths(table, row)
    return row


@cache
def _defaults(table: Table) -> dict[str, Any]:
    return {
        column.name: column.default.arg if column.default is not None and column.default.is_scalar else None  # type: ignore[attr-defined]
        for column in table.columns
    }


@cache
def text_lengths(table: Table) -> dict[str, int]:
    """How many characters each column of text holds."""
    columns = ((column.name, getattr(column.type, "length", None)) for column in table.columns)
    return {name: length for name, length in columns if length is not None}


def _check_lengths(table: Table, values: Mapping[str, Any]) -> None:
    """See that texts fit, which not every database does."""
    for name, length in text_lengths(table).items():
        value = values.get(name)
        if isinstance(value, str) and len(value) > length:
            raise UnfitError(f"{table.name}: {name} has {len(value)} characters, and at most {length} are kept")


def _said(name: str, text: str, characters_max: int) -> str:
    text = text.strip()
    if not text or len(text) > characters_max or not text.isprintable():
        raise UnfitError(f"needed {name}: 1 to {characters_max} printable characters")
    return text
