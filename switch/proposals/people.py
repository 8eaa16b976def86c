"""Changes of people, which need two as soon as there are two administrators."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from switch.access.actor import Actor
from switch.access.people import add_or_change, needs_two, refuse_own
from switch.proposals.deciding import Desk, Kind
from switch.store.changing import Change

RIGHT = "people.change"


def _apply(change: Change, subject: str, wanted: Mapping[str, Any]) -> None:
    add_or_change(change, subject, wanted)


PERSON_KIND = Kind("person", RIGHT, RIGHT, _apply)
"""Another administrator approves it."""


def change_person(change: Change, actor: Actor, key: str, wanted: Mapping[str, Any], lasts: timedelta) -> int | None:
    """Register or change a person, alone where there is one administrator; else the number of the proposal.

    Raises:
        RefusedError: It is wrong, or the person's own.
    """
    actor.require(RIGHT)
    refuse_own(actor, key)
    if needs_two(change.connection):
        return Desk(change, actor, [PERSON_KIND]).propose(PERSON_KIND.name, key, wanted, lasts)
    add_or_change(change, key, wanted)
    return None
