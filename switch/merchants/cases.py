"""Cases: what a switch, or a proof of its registry, found not to be as it should, until a person has looked at it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from switch.access.actor import Actor
from switch.merchants.binding_tables import CASES
from switch.store.changing import Change, next_number, row_of
from switch.store.problems import RefusedError

RIGHT = "cases.close"


def open_case(change: Change, kind: str, subject: str, row: str, facts: Mapping[str, str]) -> int | None:
    """Open a case; its number, or None where one of this kind about the same is open already.

    Args:
        change: The transaction.
        kind: What is wrong, in a few words.
        subject: The table of what it is about.
        row: Which row of it.
        facts: What is known, without secrets.
    """
    same = (CASES.c.kind == kind, CASES.c.subject == subject, CASES.c.row == row, CASES.c.state == "open")
    if change.connection.execute(select(CASES.c.id).where(*same)).first():
        return None
    number = next_number(change.connection, CASES)
    opened = {"id": number, "kind": kind, "subject": subject, "row": row, "opened_at": change.at}
    change.insert(CASES, {**opened, "facts": json.dumps(dict(facts), ensure_ascii=False)})
    return number


def close_case(change: Change, actor: Actor, number: int) -> None:
    """A person has looked at it; the reason of the change is what was found.

    Raises:
        RefusedError: There is none, it is closed already, or the person may not close it.
    """
    actor.require(RIGHT)
    case = row_of(change.connection, CASES, number)
    if case["state"] != "open":
        raise RefusedError(f"case {number} is closed already, by {case['decided_by']}")
    decided = {"decided_by": actor.name, "decided_at": change.at, "reason": change.why}
    change.update(CASES, number, {"state": "closed", **decided})


def cases_about(connection: Connection, subject: str, row: str) -> list[dict[str, Any]]:
    """All cases about a row, open or closed, the oldest first."""
    query = select(CASES).where(CASES.c.subject == subject, CASES.c.row == row).order_by(CASES.c.id)
    return [dict(found) for found in connection.execute(query).mappings()]
