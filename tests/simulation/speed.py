"""What makes thousands of engines of one configuration quick to build: nothing here changes what they do."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from typing import TYPE_CHECKING, Any

from switch.base.stats import Stats
from switch.dialect.composers import LinkComposers, ListenerComposers, PairComposers
from switch.server import assembly

if TYPE_CHECKING:
    from collections.abc import Callable

M_MMAP_THRESHOLD = -3
MMAP_THRESHOLD_BYTES = 1 << 17
STATISTICS_BYTES = 262_144
COMPOSERS: dict[str, Any] = {each.__name__: each for each in (LinkComposers, ListenerComposers, PairComposers)}


@cache
def hurry() -> None:
    """Once a process: compile the dialects' composers once, let big tables be fresh pages instead of cleared ones."""
    keep_composers()
    # Otherwise the C library learns to keep what is freed, and then has to clear megabytes for each link.
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD_BYTES)


@cache
def _series(workers: int, number: int, world: object, process: int) -> Stats:  # a fork may name no new series
    return Stats(STATISTICS_BYTES, workers)


def cleared_stats(workers: int, number: int, world: object) -> Stats:
    """The counters of one worker of so many, which go on from where another one's ended, its gauges at zero: to name
    the series anew would cost each engine more.

    Args:
        workers: How many there are.
        number: Whose; there is one at a time.
        world: Worlds differ in their series.
    """
    stats = _series(workers, number, world, os.getpid())
    stats.use_worker(number)
    for each in range(workers):
        stats.clear_worker(each)
    return stats


def give_back() -> None:
    """Let the system have the memory that earlier runs have left in pieces."""
    ctypes.CDLL(None).malloc_trim(0)


def keep_composers() -> None:
    """Have two dialects give every engine the same composers: to compile them is most of what an engine costs."""
    if assembly.PairComposers is COMPOSERS["PairComposers"]:
        for name, build in COMPOSERS.items():
            setattr(assembly, name, _remembered(build))


def forget_composers() -> None:
    """Let each engine compile its own again."""
    for name, build in COMPOSERS.items():
        setattr(assembly, name, build)


def _remembered(build: Callable[..., Any]) -> Callable[..., Any]:
    """By the identity of dialects."""
    known: dict[tuple[object, ...], tuple[Any, object]] = {}

    def remembering(*dialects: Any, **named: bool) -> Any:
        key = (*map(id, dialects), *named.items())
        if key not in known:
            known[key] = build(*dialects, **named), dialects  # which keep their identity while they are kept
        return known[key][0]

    return remembering
