"""Beats by which the main process sees that the event loop of each of its children goes round."""

from __future__ import annotations

import asyncio

from switch.base.stats import Stats

BEAT_SECONDS = 0.5


def beat_counter(stats: Stats, name: str) -> int:
    """The counter of a child's beats; whoever never beats is not missed.

    Raises:
        StatsError: There is no room for it.
    """
    return stats.counter(
        "authswitch_worker_beats_total", "Rounds of housekeeping, two a second while all is well.", {"worker": name}
    )


async def keep_beating(stats: Stats, name: str) -> None:
    """Beat until cancelled."""
    beats = beat_counter(stats, name)
    while True:
        stats.add(beats)
        await asyncio.sleep(BEAT_SECONDS)
