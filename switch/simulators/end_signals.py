"""What ends a run early: Ctrl-C, SIGTERM, and a terminal window that is closed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def when_ended(call: Callable[[], object]) -> None:
    """Have something called on each of these signals, in the loop that runs."""
    loop = asyncio.get_running_loop()
    for number in END_SIGNALS:
        loop.add_signal_handler(number, call)
