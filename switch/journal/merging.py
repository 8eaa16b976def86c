"""The records of several partitions as one sequence, by time."""

from __future__ import annotations

import heapq
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from switch.journal.opening import PartitionReader
from switch.journal.replay import Listing, ReplayStopped, Visitor

AT_ONCE = 256
"""Records that are handed over together."""

WAITING_MAX = 8
POLL_SECONDS = 0.05

Record = dict[str, Any]
T = TypeVar("T")


def records_by_time(partitions: Sequence[PartitionReader], first: int = 1) -> Iterator[tuple[int, Record]]:
    """Each record with its partition, oldest first; those of one partition in their order, whatever the clock did.

    Args:
        partitions: The journals.
        first: Position that is needed first; earlier ones of its segment come before it.

    Raises:
        OSError: A file cannot be read.
        JournalDamaged: A place cannot be read.
    """
    return heapq.merge(*(_records(one, first) for one in partitions), key=lambda found: int(found[1]["wall_us"]))


def _records(one: PartitionReader, first: int) -> Iterator[tuple[int, Record]]:
    for record in read_ahead(one, Listing, first):
        yield one.partition, record


def read_ahead(one: PartitionReader, visitor: Callable[[Callable[[T], None]], Visitor], first: int) -> Iterator[T]:
    """What a visitor makes of a partition's records: a thread reads them, never far ahead.

    Args:
        one: The partition.
        visitor: Makes the visitor, which gives what it makes of each record to the function that it gets.
        first: Position that is needed first; reading begins with its segment.

    Raises:
        OSError: A file cannot be read.
        JournalDamaged: A place cannot be read.
    """
    ready: queue.Queue[list[T] | Exception | None] = queue.Queue(WAITING_MAX)
    is_over = threading.Event()
    some: list[T] = []

    def put(what: list[T] | Exception | None) -> None:
        while not is_over.is_set():
            with suppress(queue.Full):
                ready.put(what, timeout=POLL_SECONDS)
                return
        raise ReplayStopped

    def take(made: T) -> None:
        some.append(made)
        if len(some) >= AT_ONCE:
            put(some.copy())
            some.clear()

    def read() -> None:
        with suppress(ReplayStopped):
            try:
                with one.telling():
                    one.reader.replay(visitor(take), one.reader.index_of(first))
            except ReplayStopped:
                return
            except Exception as error:
                put(some)
                put(error)
                return
            put(some)
            put(None)

    thread = threading.Thread(target=read, name=f"partition-{one.partition}", daemon=True)
    thread.start()
    try:
        while (got := ready.get()) is not None:
            if isinstance(got, Exception):
                raise got
            yield from got
    finally:
        is_over.set()
        thread.join()
