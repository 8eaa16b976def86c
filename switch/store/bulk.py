"""Very many rows at once: by COPY and arrays into PostgreSQL, by one prepared statement into SQLite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

import psycopg
from psycopg import sql
from sqlalchemy import ARRAY, Column, ColumnElement, Table, any_, literal
from sqlalchemy.engine import Connection

# Names in statements that are put together here are the schema's own.

VALUES_AT_A_TIME = 5_000
"""So many are looked up with one query."""

T = TypeVar("T")

COPY_ROWS_MIN = 100
"""For fewer rows a statement of its own is not worth while."""


def insert_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows, each with all columns of the table, in the transaction of the connection.

    Raises:
        psycopg.Error, sqlalchemy.exc.SQLAlchemyError: The database refuses one; the transaction is void.
    """
    if connection.dialect.name == "sqlite" or len(rows) < COPY_ROWS_MIN:
        connection.execute(table.insert(), list(rows))
        return
    processors = [(column.name, column.type.bind_processor(connection.dialect)) for column in table.columns]
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(table.name), sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
    )
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row([row[name] if process is None else process(row[name]) for name, process in processors])


def parts_of(connection: Connection, column: Column[T], values: Sequence[T]) -> Iterator[ColumnElement[bool]]:
    """That a column has one of very many values, as many conditions of which each is for one query."""
    for at in range(0, len(values), VALUES_AT_A_TIME):
        part = list(values[at : at + VALUES_AT_A_TIME])
        if connection.dialect.name == "postgresql":
            yield column == any_(literal(part, ARRAY(column.type)))  # one parameter, not thousands
        else:
            yield column.in_(part)


def add_up_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], added: Sequence[str]) -> None:
    """Add to columns of rows, each given with all columns of the table; where there is none yet, it begins with them.

    Raises:
        psycopg.Error, sqlalchemy.exc.SQLAlchemyError: The database refuses one; the transaction is void.
    """
    names = [column.name for column in table.columns]
    key = ", ".join(column.name for column in table.primary_key)
    sums = ", ".join(f"{name} = {table.name}.{name} + excluded.{name}" for name in added)
    then = f"ON CONFLICT ({key}) DO UPDATE SET {sums}"
    into = f"INSERT INTO {table.name} ({', '.join(names)})"
    if connection.dialect.name == "sqlite":
        values = ", ".join(f":{name}" for name in names)
        _execute_many(connection, table, f"{into} VALUES ({values}) {then}", names, rows)
    else:
        _execute_once(connection, table, f"{into} SELECT * FROM {{rows}} {then}", names, rows)  # noqa: S608


def update_rows(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], changed: Sequence[str]
) -> None:
    """Change columns of rows, which are named by their primary keys; rows that are not there stay away.

    Raises:
        psycopg.Error, sqlalchemy.exc.SQLAlchemyError: The database refuses one; the transaction is void.
    """
    keys = [column.name for column in table.primary_key]
    names = [*keys, *changed]
    if connection.dialect.name == "sqlite":
        given = ", ".join(f"{name} = :{name}" for name in changed)
        those = " AND ".join(f"{name} = :{name}" for name in keys)
        _execute_many(connection, table, f"UPDATE {table.name} SET {given} WHERE {those}", names, rows)  # noqa: S608
    else:
        given = ", ".join(f"{name} = rows.{name}" for name in changed)
        those = " AND ".join(f"{table.name}.{name} = rows.{name}" for name in keys)
        columns = ", ".join(names)
        statement = f"UPDATE {table.name} SET {given} FROM {{rows}} AS rows ({columns}) WHERE {those}"  # noqa: S608
        _execute_once(connection, table, statement, names, rows)


def _execute_many(
    connection: Connection, table: Table, statement: str, names: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """One prepared statement, with each row's values."""
    values = _bound(connection, table, names)
    connection.exec_driver_sql(statement, [{name: bind(row[name]) for name, bind in values} for row in rows])


def _execute_once(
    connection: Connection, table: Table, statement: str, names: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """One statement, in which ``{rows}`` stands for all rows, a column of theirs an array."""
    values = _bound(connection, table, names)
    types = [table.columns[name].type.compile(connection.dialect) for name in names]
    arrays = ", ".join(f"%s::{one}[]" for one in types)
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    driver.execute(
        cast("Any", statement.format(rows=f"unnest({arrays})")),
        [[bind(row[name]) for row in rows] for name, bind in values],
    )


def _bound(connection: Connection, table: Table, names: Sequence[str]) -> list[tuple[str, Callable[[Any], Any]]]:
    """How the driver is given the values of columns."""
    processors = ((name, table.columns[name].type.bind_processor(connection.dialect)) for name in names)
    return [(name, bind or _as_it_is) for name, bind in processors]


def _as_it_is(value: Any) -> Any:
    return value
