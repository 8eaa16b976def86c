"""Signals while the daemon starts, before a loop hears them: what it has begun is left, and it ends well."""

from __future__ import annotations

import signal
from types import FrameType

DRAINING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
PASSED_OVER = (
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGVTALRM,
    signal.SIGPROF,
    signal.SIGIO,
    signal.SIGPWR,
    signal.SIGSTKFLT,
    signal.SIGXCPU,
)
"""They would end the process by default. SIGPIPE and SIGXFSZ are ignored by Python; a write tells of both."""

NOTHING_DONE = "ended before it served: nothing was accepted, and nothing written"


class EndedWhileStarting(BaseException):
    """A signal that drains came before there was anything to drain.

    Args:
        number: The signal.
    """

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number).name
        super().__init__(self.signal)


def hear_while_starting() -> None:
    """Let a signal that drains raise ``EndedWhileStarting``, once, wherever the start is, be it in waiting for a file.

    None of those that mean nothing ends the process.
    """
    for number in PASSED_OVER:
        signal.signal(number, signal.SIG_IGN)
    for number in DRAINING:
        signal.signal(number, _end)


def hear_no_more() -> None:
    """Let no signal change how the process ends, which it is about to do."""
    for number in DRAINING:
        signal.signal(number, signal.SIG_IGN)


def _end(number: int, _frame: FrameType | None) -> None:
    hear_no_more()
    raise EndedWhileStarting(number)
