"""What the state machine wants an operator to read: a few events of each kind a second, then only their number."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from switch.base.log import get_logger
from switch.wire.faults import with_reason

EVENTS_A_SECOND = 10
"""Of one kind. A hostile peer must not be able to fill a disk with lines."""

LEVELS = {
    "link_up": "info",
    "link_down": "warning",
    "terminal_in_service": "info",
    "link_suspended": "warning",
    "housekeeping_failed": "error",
    "cannot_accept": "error",
    "reversal_store_full": "error",
    "answer_without_room": "error",
    "reversal_without_request": "error",
    "request_unended": "error",
    "reversal_without_stan": "error",
    "reversal_not_composable": "error",
    "reversal_overdue": "error",
    "reversal_not_found": "error",
    "reversal_withheld": "error",
    "reversal_without_link": "error",
    "answer_not_composable": "error",
    "request_not_composable": "error",
}
"""Levels of the events that are not warnings about a peer's messages."""


class NoteLog:
    """Logs events, at most ``EVENTS_A_SECOND`` of each kind; what was held back is told with the next one.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = get_logger("switch")
        self._clock = clock
        self._second: dict[str, int] = {}
        self._count: dict[str, int] = {}
        self._held_back: dict[str, int] = {}

    def __call__(self, event: str, details: dict[str, Any]) -> None:
        """Log one event."""
        second = int(self._clock())
        if self._second.get(event) != second:
            self._second[event] = second
            held_back = self._held_back.pop(event, 0)
            if held_back:
                details = {**details, "held_back": held_back + details.get("held_back", 0)}
            self._count[event] = 0
        self._count[event] += 1
        if self._count[event] > EVENTS_A_SECOND:
            self._held_back[event] = self._held_back.get(event, 0) + 1 + details.get("held_back", 0)
            return
        told = with_reason(details) if "fault" in details else details
        getattr(self._log, LEVELS.get(event, "warning"))(event.replace("_", " "), **told)
