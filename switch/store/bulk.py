"""Very many rows at once: by COPY into PostgreSQL, by one prepared statement into SQLite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import psycopg
from psycopg import sql
from sqlalchemy import Table
from sqlalchemy.engine import Connection

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
