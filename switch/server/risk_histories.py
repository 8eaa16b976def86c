"""Whether risk control has counted what the journals know of before the start, all those of this node."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence

from switch.base.log import get_logger
from switch.tables.risk import Risk

WAIT_SECONDS_MAX = 30.0
"""So long a worker that has counted its own journals waits for the others of its node, before it takes terminals."""

LOOK_SECONDS = 0.05

log = get_logger(__name__)


def expect_histories(risk: Risk | None, partitions: Sequence[int]) -> None:
    """Say of which journals counts are brought back, before any worker begins with one."""
    if risk is not None and risk.window_max_ms:
        for partition in partitions:
            risk.windows.begin_history(partition)


def uncounted(risk: Risk | None) -> int:
    """How many journals of this node are not counted yet."""
    return 0 if risk is None else risk.windows.uncounted


def count_troubles(risk: Risk | None) -> Sequence[str]:
    """What is to be told while counts are not whole."""
    count = uncounted(risk)
    if not count:
        return ()
    return (f"risk control lacks what {count} journal(s) of this node know: its limits let more through until then",)


async def wait_for_counts(risk: Risk | None, is_ending: asyncio.Event) -> None:
    """Wait until all journals of this node are counted; not for ever: payments count more than a limit."""
    until_s = time.monotonic() + WAIT_SECONDS_MAX
    while uncounted(risk) and not is_ending.is_set():
        if time.monotonic() > until_s:
            log.warning("risk control begins without all counts", journals=uncounted(risk))
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(is_ending.wait(), LOOK_SECONDS)
