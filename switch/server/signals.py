"""What the daemon does at each signal: drain, or go on and say so. None that it can catch ends it unheard."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable

from switch.base.log import get_logger
from switch.base.start_signals import DRAINING, PASSED_OVER
from switch.base.stats import Stats

AGAIN_SECONDS = 1.0
"""A signal that comes to the process and to its group comes twice: only later ones are meant as a second."""

NO_MEANING = "it means nothing here"

log = get_logger(__name__)


def reload_counter(stats: Stats) -> int:
    """Number of the series that counts how often the daemon was told to take up keys; shared by its processes."""
    return stats.counter("authswitch_key_reloads_total", "Times that the daemon was told to take up its key file.")


class Signals:
    """Ears for the signals of one daemon.

    Args:
        drain: Called at the first that drains.
        end: Called at a later one.
        reload: Called at SIGHUP: keys of links are to be taken up. All else needs a drain and a start.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        drain: Callable[[], None],
        end: Callable[[], None],
        reload: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._drain = drain
        self._end = end
        self._reload = reload
        self._clock = clock
        self._first_s: float | None = None

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hear all of them in a loop."""
        for number in DRAINING:
            loop.add_signal_handler(number, self.heard, number)
        for number in PASSED_OVER:
            loop.add_signal_handler(number, self.passed_over, number)
        loop.add_signal_handler(signal.SIGHUP, self._reload)

    def heard(self, number: signal.Signals) -> None:
        """One that drains: the first begins, a later one ends at once."""
        name = signal.Signals(number).name
        if self._first_s is None:
            self._first_s = self._clock()
            log.info("draining", signal=name)
            self._drain()
        elif self._clock() - self._first_s < AGAIN_SECONDS:
            log.info("signal taken for the same as before", signal=name)
        else:
            log.warning("ending at once", signal=name)
            self._end()

    def passed_over(self, number: signal.Signals) -> None:
        """One that means nothing here."""
        log.warning("signal ignored", signal=signal.Signals(number).name, reason=NO_MEANING)
