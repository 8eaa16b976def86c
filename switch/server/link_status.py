"""What a worker tells of its links: how they are, which are held out, and whether they keep it from being ready."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from switch.machine.link import Link
from switch.machine.state import State

if TYPE_CHECKING:
    from switch.links.holds import Hold


def link_rows(states: Sequence[State]) -> list[dict[str, object]]:
    """Each link, with what all partitions have on it."""
    return [_row([state.links[link.number] for state in states]) for link in states[0].links]


def held_rows(holds: Mapping[str, Hold]) -> dict[str, Any]:
    """The links that are held out, where there are such: who said so when, and why."""
    return {"held_links": [_held(hold) for hold in holds.values()]} if holds else {}


def joined_held(statuses: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The same of what several workers say."""
    rows = [row for status in statuses for row in status.get("held_links", ())]
    return {"held_links": [row for place, row in enumerate(rows) if row not in rows[:place]]} if rows else {}


def why_unready(links: Sequence[Link], *, stands_in: bool) -> list[str]:
    """Why a load balancer should send terminals elsewhere.

    What people hold out is so everywhere, so that it is no reason: each node takes reversals of terminals all the same.
    """
    served = [link.connections for link in links if link.connections.held == "nothing"]
    if stands_in or not served or any(one.state_name == "up" for one in served):
        return []
    states = ", ".join(f"{one.name} is {one.state_name}" for one in served)
    return [f"no link is up, and none has stand-in: {states}"]


def _held(hold: Hold) -> dict[str, object]:
    since_s = datetime.fromisoformat(hold.at).timestamp()
    return {"link": hold.link, "held": hold.held, "since": since_s, "who": hold.who, "why": hold.why}


def _row(links: Sequence[Link]) -> dict[str, object]:
    connections = links[0].connections
    return {
        "name": connections.name,
        "state": connections.state_name,
        "held": connections.held,
        "dialect": links[0].tables.name,
        "connections": len(connections.channels),
        "in_flight": sum(link.in_flight for link in links),
        "reversals_waiting": sum(link.saf.depth for link in links),
        "timeouts_in_a_row": connections.timeouts_in_a_row,
    }
