"""What stands between a terminal and its issuer: the time of each request, less what the issuer took of it.

Both ends are in this process and use one clock, so the difference is that of the switch, of its journal and of the
sockets; a busy machine, and these simulators, are in it too.
"""

from __future__ import annotations

from collections import OrderedDict, deque

KEPT = 4096
"""Differences of the last requests."""

_WAITING_MAX = 20_000
"""Issuers' times that no terminal has asked for; answers that get lost leave theirs."""


class AddedLatency:
    """Joins both ends of each request by its retrieval reference number."""

    def __init__(self) -> None:
        self._issuers: OrderedDict[str, float] = OrderedDict()
        self.last_us: deque[float] = deque(maxlen=KEPT)
        """Of the last requests, in microseconds."""

    def issuer_took(self, rrn: str, microseconds: float) -> None:
        """An issuer sends its answer."""
        if rrn:
            self._issuers[rrn] = microseconds
            if len(self._issuers) > _WAITING_MAX:
                self._issuers.popitem(last=False)

    def terminal_waited(self, rrn: str, microseconds: float) -> None:
        """A terminal has its answer; one that no issuer gave says nothing here."""
        took = self._issuers.pop(rrn, None)
        if took is not None:
            self.last_us.append(max(0.0, microseconds - took))
