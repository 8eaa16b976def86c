"""Changes of people, which need two as soon as there are two administrators."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from switch.access.actor import Actor
from switch.access.people import add_or_change, needs_two, person_of, refuse_own
from switch.access.tables import PEOPLE
from switch.proposals.deciding import Desk, Kind
from switch.store.changing import Change
from switch.store.problems import RefusedError

RIGHT = "people.change"


PERSON_KIND = Kind("person", RIGHT, RIGHT, add_or_change)
"""Another administrator approves it."""


def change_person(
    change: Change, actor: Actor, key: str, wanted: Mapping[str, Any], lasts: timedelta, *, is_new: bool
) -> int | None:
    """Register or change a person, alone where there is one administrator; else the number of the proposal.

    Args:
        change: The transaction.
        actor: Who asks.
        key: The person.
        wanted: What is to be.
        lasts: How long a proposal waits.
        is_new: Whether the person is to be registered.

    Raises:
        RefusedError: It is wrong, or the person's own.
    """
    actor.require(RIGHT)
    refuse_own(actor, key)
    if not is_new:
        person_of(change.connection, key)
    elif change.connection.execute(select(PEOPLE.c.id).where(PEOPLE.c.id == key)).first() is not None:
        raise RefusedError(f"there is somebody called {key} already")
    if needs_two(change.connection):
        return Desk(change, actor, [PERSON_KIND]).propose(PERSON_KIND.name, key, wanted, lasts)
    add_or_change(change, key, wanted)
    return None
