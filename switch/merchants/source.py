"""The registry as the store has it: read as the files that the switch takes, and what was changed since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import FromClause, Select, Table, select
from sqlalchemy.engine import Connection

from switch.merchants.binding_tables import BINDINGS, CASES, ELEMENTS
from switch.merchants.rows import file_of
from switch.merchants.tables import ACTIVATIONS, IDENTITIES, MERCHANTS, TERMINALS
from switch.store.audit import AUDIT, BEGINNING, Head, head
from switch.store.bulk import parts_of
from switch.store.changing import key_column
from switch.store.problems import RefusedError
from switch.tables.party_states import AWAITING, awaiting_until
from switch.tables.registry import BOUND_MERCHANT_COLUMNS, BOUND_TERMINAL_COLUMNS

ROWS_AT_A_TIME = 5_000
CHANGES_AT_A_TIME = 5_000
"""So many rows of the audit are followed in one go."""

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
        merchants = file_of(self.merchants.values(), BOUND_MERCHANT_COLUMNS)
        return Files(self.head, merchants, file_of(self.terminals.values(), BOUND_TERMINAL_COLUMNS))


# --- the store --------------------------------------------------------------------------------------------------------


def whole(connection: Connection) -> Files:
    """All merchants and terminals of one moment."""
    newest = head(connection)
    merchants, terminals = (
        file_of(_all(connection, table), columns)
        for table, columns in ((MERCHANTS, BOUND_MERCHANT_COLUMNS), (TERMINALS, BOUND_TERMINAL_COLUMNS))
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
    merchants, changed = _numbers(connection, [tuple(row) for row in connection.execute(query)])
    terminals = _rows(connection, TERMINALS, sorted(changed))
    merchants |= {row["merchant"] for row in terminals.values()}
    of_upto = connection.execute(select(AUDIT.c.hash).where(AUDIT.c.number == upto)).scalar_one()
    return Changes(Head(upto, of_upto), _rows(connection, MERCHANTS, sorted(merchants)), terminals)


def has(connection: Connection, known: Head) -> bool:
    """Whether a change is in the audit of a database: only then it is the one that the change is of."""
    if known == BEGINNING:
        return True
    there = connection.execute(select(AUDIT.c.hash).where(AUDIT.c.number == known.number)).scalar_one_or_none()
    return bool(there == known.hash)


def _numbers(connection: Connection, changed: Sequence[tuple[str, str]]) -> tuple[set[str], set[str]]:
    """Merchants and terminals that rows of the audit are about.

    What a case was opened about is looked at anew, too: its row may have been altered by somebody whom no audit knows.
    """
    numbers = [key for subject, key in changed if subject == CASES.name]
    query = select(CASES.c.subject, CASES.c.row).where(CASES.c.id.in_([int(number) for number in numbers]))
    about = {*changed, *(tuple(row) for row in connection.execute(query) if numbers)}
    return (
        {key for subject, key in about if subject in (MERCHANTS.name, ELEMENTS.name, IDENTITIES.name)},
        {key for subject, key in about if subject in (TERMINALS.name, BINDINGS.name, ACTIVATIONS.name)},
    )


def _query(table: Table) -> Select[Any]:
    """What the switch reads of merchants or terminals, with what they are bound to."""
    more, columns = (
        ((ELEMENTS, IDENTITIES), BOUND_MERCHANT_COLUMNS)
        if table is MERCHANTS
        else ((BINDINGS, ACTIVATIONS), (*BOUND_TERMINAL_COLUMNS, ACTIVATIONS.c.expires_at.name))
    )
    chosen = [next(one.c[name] for one in (table, *more) if name in one.c) for name in columns]
    joined: FromClause = table
    for one in more:
        joined = joined.outerjoin(one, one.c.id == table.c.id)
    return select(*chosen).select_from(joined)


def _read(row: dict[str, Any]) -> Row:
    """A row as the switch reads it: with a state that awaits something stands until when.

    One that awaits, and nobody has said until when, is served by nobody.
    """
    until = row.pop("expires_at", None)
    if row["state"] == AWAITING:
        row["state"] = "suspended" if until is None else awaiting_until(until)
    return row


def _all(connection: Connection, table: Table) -> Iterable[Row]:
    query = _query(table).order_by(key_column(table))
    with connection.execution_options(yield_per=ROWS_AT_A_TIME).execute(query) as result:
        for row in result.mappings():
            yield _read({**row})


def _rows(connection: Connection, table: Table, keys: Sequence[str]) -> dict[str, Row]:
    """Of the rows with these keys what the switch reads."""
    rows: dict[str, Row] = {}
    for is_one_of in parts_of(connection, key_column(table), keys):
        query = _query(table).where(is_one_of)
        rows |= {row["id"]: _read({**row}) for row in connection.execute(query).mappings()}
    return rows
