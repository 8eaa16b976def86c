"""What the authority must be told within days: read from the audit, so that nothing that was done can be forgotten."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, exists, or_, select
from sqlalchemy.engine import Connection

from switch.access.actor import Actor
from switch.applications.policy import Limit
from switch.applications.states import ENTERING
from switch.applications.tables import MERCHANT_PROFILES, REPORT_MARKS
from switch.merchants.binding_tables import ELEMENTS
from switch.merchants.tables import MERCHANTS, TERMINALS
from switch.store.audit import AUDIT
from switch.store.changing import Change
from switch.store.problems import RefusedError
from switch.tables.binding import MERCHANT_ELEMENTS

TOLD_OF_MERCHANTS: Final = frozenset({"name", "category", "account_hash", "account_holder", *MERCHANT_ELEMENTS})
TOLD_OF_TERMINALS: Final = frozenset({"place", "serial_number"})
REFERENCE_CHARACTERS_MAX = 80
ROWS_AT_A_TIME = 2_000


@dataclass(frozen=True, slots=True)
class Report:
    """Something that the authority is to be told.

    Attributes:
        number: Of the change, in the audit.
        what: Such as ``merchant taken on``.
        subject: Number of the merchant or terminal.
        at: When it was.
        due_at: Until when it must be told.
        source: Who wants it.
        mark: That it was: who, when, and by which reference; None where it was not.
    """

    number: int
    what: str
    subject: str
    at: datetime
    due_at: datetime
    source: str
    mark: dict[str, Any] | None


def reports(connection: Connection, limit: Limit, *, is_all: bool = False) -> Iterator[Report]:
    """What must be told, the oldest first; with ``is_all`` also what was told."""
    table = AUDIT.c.subject
    merchants = or_(table.in_((MERCHANTS.name, MERCHANT_PROFILES.name)), _is_of_elements_alone())
    of_terminals = and_(table == TERMINALS.name, AUDIT.c.before.is_not(None))
    joined = select(AUDIT, REPORT_MARKS.c.reported_by, REPORT_MARKS.c.reported_at, REPORT_MARKS.c.reference)
    query = joined.outerjoin(REPORT_MARKS, REPORT_MARKS.c.id == AUDIT.c.number).where(or_(merchants, of_terminals))
    if not is_all:
        query = query.where(REPORT_MARKS.c.id.is_(None))
    streamed = query.order_by(AUDIT.c.number).execution_options(yield_per=ROWS_AT_A_TIME)
    for row in connection.execute(streamed).mappings():
        what = event_of(row["subject"], row["before"], row["after"])
        if what:
            names = ("reported_by", "reported_at", "reference")
            mark = None if row["reported_by"] is None else {name: row[name] for name in names}
            due = row["at"] + timedelta(days=limit.value)
            yield Report(row["number"], what, row["row"], row["at"], due, limit.source, mark)


def _is_of_elements_alone() -> ColumnElement[bool]:
    """Whether what a merchant is bound to was changed, and not its profile with it: that is told already."""
    other = AUDIT.alias("other")
    of_profile = (other.c.subject == MERCHANT_PROFILES.name, other.c.row == AUDIT.c.row, other.c.at == AUDIT.c.at)
    is_told = exists().where(*of_profile, other.c.before.is_not(None))
    return and_(AUDIT.c.subject == ELEMENTS.name, AUDIT.c.before.is_not(None), ~is_told.correlate(AUDIT))


def event_of(subject: str, before: str | None, after: str | None) -> str:
    """What a change is to the authority; empty where it is nothing."""
    was = {} if before is None else json.loads(before)
    is_now = {} if after is None else json.loads(after)
    is_closed = "state" in was and is_now.get("state") == "closed"
    if subject == TERMINALS.name:
        changed = "terminal changed" if TOLD_OF_TERMINALS & was.keys() else ""
        return "terminal deregistered" if is_closed else changed
    if subject == MERCHANTS.name and before is None:
        return "merchant taken on"
    if is_closed:
        return "merchant closed"
    return "merchant changed" if TOLD_OF_MERCHANTS & was.keys() else ""


def mark_reported(change: Change, actor: Actor, limit: Limit, numbers: Sequence[int], reference: str) -> None:
    """Note that the authority was told.

    Raises:
        RefusedError: One is nothing that it must be told, or was marked before; or no reference was given.
    """
    actor.require(ENTERING)
    if not reference.strip() or not reference.isprintable() or len(reference) > REFERENCE_CHARACTERS_MAX:
        raise RefusedError(f"needed the authority's reference: 1 to {REFERENCE_CHARACTERS_MAX} printable characters")
    open_numbers = {one.number for one in reports(change.connection, limit)}
    if unknown := [number for number in dict.fromkeys(numbers) if number not in open_numbers]:
        raise RefusedError(f"nothing waits to be reported as {', '.join(map(str, unknown))}")
    for number in dict.fromkeys(numbers):
        row = {"id": number, "reported_by": actor.name, "reported_at": change.at, "reference": reference}
        change.insert(REPORT_MARKS, row)
