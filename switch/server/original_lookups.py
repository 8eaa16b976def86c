"""Look-ups of originals for the state machine: a thread reads the journal, and the loop hears what it found."""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from switch.base.log import get_logger
from switch.base.stats import Stats
from switch.io.connection import Reactor
from switch.journal.claim_search import look_up
from switch.journal.disk import FileDisk
from switch.journal.original_search import Finder
from switch.machine.originals import Original, Wanted
from switch.path.engine import Engine

POLL_SECONDS = 0.01
IDLE_SECONDS = 1.0
"""After so long without a question the thread looks whether a segment lacks its index."""

STOP_SECONDS = 5.0
END, OF_REQUEST, OF_REVERSAL, OF_CLAIM = range(4)
"""In which order what waits is heeded."""

log = get_logger(__name__)


class Seeker:
    """Answers what the state machine wants to know of the journal. The loop never waits for it.

    Args:
        engine: The state machines.
        directories: Of the journal of each partition, by number.
        wrapping_keys: As ``switch.keys.journal_keys`` gives them.
        days: How far back originals are looked for.
        stats: Where series are registered.
    """

    def __init__(
        self, engine: Engine, directories: Mapping[int, Path], wrapping_keys: bytes, days: int, stats: Stats
    ) -> None:
        self._engine = engine
        self._directories = directories
        self._wrapping_keys = wrapping_keys
        self._days = days
        self._stats = stats
        self._waiting_gauge = stats.gauge(
            "authswitch_originals_waiting", "Requests that wait for their original to be looked up."
        )
        self._unindexed_gauge = stats.gauge(
            "authswitch_originals_unindexed_segments", "Journal segments whose index of originals is not made yet."
        )
        self._damaged_gauge = stats.gauge(
            "authswitch_originals_unreadable_segments", "Journal segments in which no original can be found."
        )
        self._cut_off_counter = stats.counter(
            "authswitch_originals_cut_off_total", "Look-ups that ended before all that may be meant was looked at."
        )
        self._undecided_gauge = stats.gauge(
            "authswitch_claims_undecided",
            "Requests of other partitions that refer to an original here, and whose end nobody has told.",
        )
        self._oldest_gauge = stats.gauge(
            "authswitch_claims_undecided_oldest_seconds", "For how long the oldest of these is open.", rule="max"
        )
        # What a terminal waits for goes first; reversals have been answered already.
        self._questions: queue.PriorityQueue[tuple[int, int, Wanted | None]] = queue.PriorityQueue()
        self._asked = itertools.count()
        self._thread: threading.Thread | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._finders: dict[int, Finder] = {}
        self._unsearchable: dict[int, tuple[int, int]] = {}  # segments without an index, and damaged ones
        self._cut_off = self._cut_off_counted = 0
        self._told = ""

    # --- the loop's side ------------------------------------------------------------------------------------------

    def start(self, loop: asyncio.AbstractEventLoop, reactor: Reactor) -> None:
        """Begin to answer."""
        self._loop, self._reactor = loop, reactor
        self._thread = threading.Thread(target=self._run, name="originals", daemon=True)
        self._thread.start()
        self._poll()

    def stop(self) -> None:
        """Answer no more. What was not answered is looked up after the next start."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._thread is not None:
            self._questions.put((END, 0, None))
            self._thread.join(STOP_SECONDS)
            self._thread = None

    def refresh(self) -> None:
        """Bring the gauges up to date; to be called a few times a second."""
        states, unsearchable = self._engine.partitions.states, list(self._unsearchable.values())
        self._stats.set(self._waiting_gauge, sum(state.inquiries.waiting.count for state in states))
        undecided, oldest_s = self._engine.open_claims()
        self._stats.set(self._undecided_gauge, undecided)
        self._stats.set(self._oldest_gauge, oldest_s)
        self._stats.set(self._unindexed_gauge, sum(unindexed for unindexed, _ in unsearchable))
        self._stats.set(self._damaged_gauge, sum(damaged for _, damaged in unsearchable))
        cut_off = self._cut_off
        self._stats.add(self._cut_off_counter, cut_off - self._cut_off_counted)
        self._cut_off_counted = cut_off

    def _poll(self) -> None:
        for wanted in self._engine.take_wanted():
            urgency = OF_REQUEST if wanted.is_of_request else OF_REVERSAL if wanted.sought is None else OF_CLAIM
            self._questions.put((urgency, next(self._asked), wanted))
        self._timer = self._loop.call_later(POLL_SECONDS, self._poll)

    def _settle(self, wanted: Wanted, original: Original | None, is_certain: bool) -> None:
        if self._timer is not None:
            self._engine.settle(wanted, original, is_certain)
            self._reactor.flush()

    # --- the thread's side ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                _, _, wanted = self._questions.get(timeout=IDLE_SECONDS)
            except queue.Empty:
                self._index_one()
                continue
            if wanted is None:
                return
            original, is_certain = self._look_for(wanted)
            try:
                self._loop.call_soon_threadsafe(self._settle, wanted, original, is_certain)
            except RuntimeError:  # The loop has ended.
                return

    def _look_for(self, wanted: Wanted) -> tuple[Original | None, bool]:
        try:
            finder = self._refreshed(wanted.partition)
            original, is_certain = look_up(finder, wanted, self._engine.state.calendar.local_offset_s)
        except Exception as error:
            # Whatever it is: what waits is owed an answer, and reversals are not sent without one.
            self._tell(f"{type(error).__name__}: {error}")
            return None, False
        self._cut_off += finder.is_cut_off
        return original, is_certain

    def _index_one(self) -> None:
        """Prepare for questions, by the index of one sealed segment of each partition that has none."""
        for partition in self._directories:
            try:
                self._refreshed(partition).index_one()
            except Exception as error:
                self._tell(f"{type(error).__name__}: {error}")

    def _refreshed(self, partition: int) -> Finder:
        finder = self._finders.get(partition)
        if finder is None:
            disk = FileDisk(str(self._directories[partition]), exclusive=False)
            finder = self._finders[partition] = Finder(disk, self._wrapping_keys, days=self._days)
        else:
            finder.refresh()
        self._unsearchable[partition] = finder.unindexed, finder.damaged
        return finder

    def _tell(self, reason: str) -> None:
        """Say once what is wrong, and once more when it is something else."""
        if reason != self._told:
            self._told = reason
            log.warning("the journal cannot be searched for originals", reason=reason)


CLAIM_OLD_SECONDS = 3_600
"""A claim that is open for so long is one whose claimant is away, or has lost its journal."""


def old_claims(engine: Engine) -> dict[str, Any]:
    """For ``/status``: how many claims are open, and for how long the oldest; nothing unless that is long."""
    count, oldest_s = engine.open_claims()
    return {"claims_undecided": {"count": count, "oldest_seconds": oldest_s}} if oldest_s >= CLAIM_OLD_SECONDS else {}
