"""Virtual time: events in the order of their moments, and nothing else that moves."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

MS = 1_000_000
SECOND = 1_000_000_000
START_WALL_S = 1_790_000_000
"""2026-09-21 13:33:20 UTC."""


class Clock:
    """What time it is for everybody, and what happens next.

    Attributes:
        now_ns: The true time since the run began; it only grows.
        wall_skew_s: How far the switch's wall clock is from the truth.
        trace: What is said, for somebody who looks into a failure; None when nobody does.
        errands: How many things are under way that somebody has begun, as messages are.
    """

    def __init__(self) -> None:
        self.now_ns = 0
        self.wall_skew_s = 0
        self.trace: list[str] | None = None
        self.errands = 0
        self._events: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._order = count()

    @property
    def second(self) -> int:
        """The true moment in seconds since 1970."""
        return START_WALL_S + self.now_ns // SECOND

    @property
    def switch_second(self) -> int:
        """What the switch takes for the moment, in seconds since 1970."""
        return self.second + self.wall_skew_s

    def tell(self, who: str, what: str) -> None:
        """Write down what happens, when somebody wants to read it."""
        if self.trace is not None:
            self.trace.append(f"{self.now_ns / SECOND:9.3f} {who:<10} {what}")

    def after(self, delay_ns: int, what: Callable[..., None], *arguments: Any) -> None:
        """Let something happen later; events of one moment happen in the order in which they were asked for."""
        heappush(self._events, (self.now_ns + delay_ns, next(self._order), what, arguments))

    def errand(self, delay_ns: int, what: Callable[..., None], *arguments: Any) -> None:
        """Let something happen later that nothing may end before."""
        self.errands += 1
        self.after(delay_ns, self._run_errand, what, arguments)

    def _run_errand(self, what: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self.errands -= 1
        what(*arguments)

    def step(self, until_ns: int) -> bool:
        """Let the next event happen, if it is not after ``until_ns``."""
        if not self._events or self._events[0][0] > until_ns:
            return False
        self.now_ns, _, what, arguments = heappop(self._events)
        what(*arguments)
        return True
