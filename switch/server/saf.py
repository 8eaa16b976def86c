"""What the daemon owes issuers, as its operators see it through the admin side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from switch.base.log import get_logger
from switch.base.masking import mask_pan
from switch.base.stats import Stats
from switch.machine.state import State
from switch.path.engine import Engine
from switch.saf.owed_entries import NotOwed, close_entry, list_entries, note_overdue, retry_entry

REFRESH_SECONDS = 5.0
DURABLE_SECONDS_MAX = 4.0
DURABLE_POLL_SECONDS = 0.005

GAUGES = (
    ("authswitch_reversals_oldest_seconds", "max", "Age of the oldest reversal or advice that is not acknowledged."),
    ("authswitch_reversals_overdue", "sum", "Reversals and advices that are owed for longer than the link allows."),
    ("authswitch_reversals_not_composable", "sum", "Reversals and advices of which no attempt can be composed."),
)

log = get_logger(__name__)


class SafDesk:
    """The reversals and advices of one worker.

    Args:
        engine: Its state machines.
        stats: Where the gauges are registered.
        ready: Whether the state machine may be looked at: not while the journal is replayed into it.
    """

    def __init__(self, engine: Engine, stats: Stats, ready: Callable[[], bool]) -> None:
        self._engine = engine
        self._ready = ready
        self._stats = stats
        self._refreshed = -REFRESH_SECONDS
        links = engine.state.links
        self._gauges = [
            [stats.gauge(name, text, {"link": link.name}, rule) for name, rule, text in GAUGES] for link in links
        ]

    def refresh(self) -> None:
        """Set the gauges, and tell of what has become overdue; does something every few seconds only."""
        now = time.monotonic()
        if now - self._refreshed < REFRESH_SECONDS or not self._ready():
            return
        self._refreshed = now
        told = [note_overdue(state) for state in self._engine.partitions.states]
        for gauges, of_link in zip(self._gauges, zip(*told, strict=True), strict=True):
            oldest, overdue, unsendable = zip(*of_link, strict=True)
            for gauge, value in zip(gauges, (round(max(oldest)), sum(overdue), sum(unsendable)), strict=True):
                self._stats.set(gauge, value)

    def listed(
        self, *, link: str | None, what: str | None, rrn: str | None, overdue: bool, most: int
    ) -> Mapping[str, Any]:
        """What is owed, oldest first, card numbers masked.

        Raises:
            NotOwed: There is no such link.
        """
        self._check_ready()
        self._check_link(link)
        listed = [
            list_entries(state, link=link, what=what, rrn=rrn, overdue=overdue, most=most)
            for state in self._engine.partitions.states
        ]
        entries = sorted((entry for _, some in listed for entry in some), key=lambda e: e["age_seconds"], reverse=True)
        return {"count": sum(count for count, _ in listed), "owed": [_presentable(entry) for entry in entries[:most]]}

    def _check_ready(self) -> None:
        if not self._ready():
            raise NotOwed("the journal is being replayed: try again when the daemon is ready")

    def _check_link(self, link: str | None) -> None:
        names = [known.name for known in self._engine.state.links]
        if link is not None and link not in names:
            raise NotOwed(f"there is no link {link}; there are {', '.join(names)}")

    def retry(self, *, rrn: str | None, what: str, link: str | None) -> int:
        """Send one, or all of a link, as soon as its window allows.

        Raises:
            NotOwed: There is no such entry, there are some on several links, or there is no such link.
        """
        self._check_ready()
        self._check_link(link)
        states = self._engine.partitions.states
        if rrn is not None:
            states = self._owing(rrn, what, link)
        return sum(retry_entry(state, rrn=rrn, what=what, link=link) for state in states)

    def _owing(self, rrn: str, what: str, link: str | None) -> list[State]:
        """The partitions that owe something with a reference number; the first one where none does, which says so."""
        states = self._engine.partitions.states
        owing = [state for state in states if list_entries(state, link=link, what=what, rrn=rrn, most=1)[0]]
        return owing or states[:1]

    async def give_up(self, *, rrn: str, what: str, link: str | None, operator: str, reason: str) -> Mapping[str, Any]:
        """Give one up, and wait until the journal's record of that is durable.

        Raises:
            NotOwed: There is no such entry or link, there are some on several links, or it cannot be given up now.
            ValueError: The operator's name or the reason is missing or too long.
        """
        self._check_ready()
        self._check_link(link)
        state, *others = self._owing(rrn, what, link)
        if others:
            numbers = " and ".join(str(one.partition) for one in (state, *others))
            raise NotOwed(f"{what}s with RRN {rrn} are owed in partitions {numbers}, and nothing tells them apart")
        journal = state.journal
        position, entry = close_entry(state, rrn=rrn, name=operator, reason=reason, what=what, link=link)
        log.warning("closed by an operator", rrn=rrn, what=what, link=entry["link"], operator=operator, why=reason)
        deadline = time.monotonic() + DURABLE_SECONDS_MAX
        while journal.durable < position and time.monotonic() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(DURABLE_POLL_SECONDS)
        return {
            "closed": _presentable(entry),
            "partition": state.partition,
            "position": position,
            "durable": journal.durable >= position,
        }


def _presentable(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {**entry, "pan": mask_pan(entry["pan"]), "age_seconds": round(entry["age_seconds"], 1)}
