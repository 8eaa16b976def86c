"""Proves that the audit is whole, that every audited row is as its newest entry says, and what rests on such rows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, Select, String, Table, cast, exists, func, select
from sqlalchemy.engine import Connection

from switch.store.audit import AUDIT, BEGINNING, Head, hash_of, text_of
from switch.store.changing import key_column
from switch.store.columns import METADATA

ROWS_AT_A_TIME = 2_000
UNAUDITED = "unaudited"
"""In a table's ``info``: its rows are not in the audit. What stands there proves them; None: nothing rests on them."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that is not as the audit says.

    Attributes:
        where: ``audit 17``, or table and key of a row.
        reason: What is wrong; no value of a row.
    """

    where: str
    reason: str


Proof = Callable[[Connection], Iterator["Flaw"]]
"""Proves the rows of a table that the audit does not have, by what it has."""


def audited_tables() -> list[Table]:
    """The tables whose rows people change."""
    return [one for one in METADATA.sorted_tables if one is not AUDIT and UNAUDITED not in one.info]


def proofs() -> list[Proof]:
    """Of the tables that are not audited, and not of machines alone."""
    found = (one.info.get(UNAUDITED) for one in METADATA.sorted_tables)
    return [one for one in found if one is not None]


def flaws(connection: Connection, known: Head = BEGINNING) -> Generator[Flaw, None, None]:
    """All that is wrong, the chain's first break first; behind that nothing more of the chain is told.

    Args:
        connection: A transaction that reads.
        known: A head that was noted earlier: it must still be in the chain.
    """
    yield from _breaks(connection, known)
    for table in audited_tables():
        yield from _strangers(connection, table)
    for proof in proofs():
        yield from proof(connection)


def _breaks(connection: Connection, known: Head) -> Generator[Flaw, None, None]:
    before = BEGINNING
    with closing(_streamed(connection, select(AUDIT).order_by(AUDIT.c.number))) as rows:
        for row in rows:
            if row["number"] != before.number + 1:
                yield Flaw(f"audit {before.number + 1}", f"is not there; what follows has number {row['number']}")
                return
            if hash_of(dict(row), before.hash) != row["hash"]:
                yield Flaw(f"audit {row['number']}", "its hash is not that of what stands there, behind what is before")
                return
            before = Head(row["number"], row["hash"])
            if before.number == known.number and before != known:
                yield Flaw(f"audit {known.number}", "has another hash than the one that was noted")
                return
    if before.number < known.number:
        yield Flaw(f"audit {before.number + 1}", f"is not there, though a head of {known.number} rows was noted")


def _strangers(connection: Connection, table: Table) -> Generator[Flaw, None, None]:
    """Rows that are not as they were left by whoever changed them last.

    Both questions go by the audit's index on subject, row and number, once for each row: a join of all with all would
    take a time that grows with the square.
    """
    column = key_column(table)
    other = AUDIT.alias("other")
    of_row = select(func.max(other.c.number)).where(other.c.subject == table.name, other.c.row == cast(column, String))
    joined = table.outerjoin(AUDIT, AUDIT.c.number == of_row.correlate(table).scalar_subquery())
    query = select(table, AUDIT.c.number.label("_number"), AUDIT.c.after.label("_after")).select_from(joined)
    for row in _streamed(connection, query):
        where = f"{table.name} {row[column.name]}"
        if row["_number"] is None:
            yield Flaw(where, "nobody is known to have put it there")
        elif text_of({one.name: row[one.name] for one in table.columns}) != row["_after"]:
            yield Flaw(where, f"is not as audit {row['_number']} left it")
    is_later = exists().where(
        other.c.subject == table.name, other.c.row == AUDIT.c.row, other.c.number > AUDIT.c.number
    )
    is_there = exists().where(column == cast(AUDIT.c.row, column.type))
    left = select(AUDIT.c.row, AUDIT.c.number).where(AUDIT.c.subject == table.name, AUDIT.c.after.is_not(None))
    query = left.where(~is_later.correlate(AUDIT), ~is_there.correlate(AUDIT))
    for row in _streamed(connection, query):
        yield Flaw(f"{table.name} {row['row']}", f"is not there, though audit {row['number']} left it there")


def _streamed(connection: Connection, query: Select[Any]) -> Generator[RowMapping, None, None]:
    """Rows as they come; the cursor is closed, too, where somebody has seen enough."""
    with connection.execution_options(yield_per=ROWS_AT_A_TIME).execute(query) as result:
        yield from result.mappings()
