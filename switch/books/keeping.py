"""The books kept: every partition's journal is followed, and what moves money in it is posted, batch after batch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from switch.base.log import get_logger
from switch.books.metrics import Meters
from switch.books.opening import Books
from switch.journal.opening import PartitionReader, naming
from switch.journal.posted import note_posted
from switch.journal.problems import JournalError
from switch.journal.replay import JournalDamaged
from switch.store.problems import StoreError

POLL_SECONDS = 0.1
"""So long nothing is looked at when all was read: what comes meanwhile is one batch."""

NOTED_SECONDS = 5.0
"""How often the place reached is noted where nothing was to be posted."""

LOOK_SECONDS = 60.0
"""How often it looks whether the journal of another partition has begun."""

AGAIN_SECONDS = 5.0
"""So long what could not be done is left alone."""

ENDS_SEEN = 2
"""At the first end one batch may be left, which is not known to be durable yet; it is posted by the second."""

UNKEPT = "the books of a partition cannot be kept"

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """What one look at a journal has brought.

    Attributes:
        has_more: Whether there is more to be read at once.
        entries: How many entries were posted.
        at_us: When the newest event happened, in microseconds since 1970; 0: there was none.
    """

    has_more: bool
    entries: int = 0
    at_us: int = 0


class Ledger:
    """One partition's journal and its books. After an error another one begins where the database says.

    Args:
        books: The books.
        journal: The partition.
        clock: Seconds that pass.

    Raises:
        StoreError: The books are of another journal, or the database cannot be asked.
        JournalDamaged: What comes next is not in the journal any more.
    """

    def __init__(self, books: Books, journal: PartitionReader, clock: Callable[[], float] = time.monotonic) -> None:
        self.partition = journal.partition
        self._clock = clock
        self._folder = journal.folder
        self._poster = books.poster(journal)
        self._follower = books.follower(journal, self._poster.next_position)
        self._noted = clock()
        self._needs = 0

    def advance(self) -> Step:
        """Read on, and post what was read.

        Raises:
            StoreError: The database could not do it, or another process has done it; nothing has happened.
            OSError: A file cannot be read.
            JournalDamaged: A place cannot be read.
        """
        with naming(self.partition):
            stretch = self._follower.read()
        if not stretch.events and not self._is_due(stretch.next_position):
            return Step(stretch.has_more)
        entries = self._poster.post(stretch.events, self._follower.begins, stretch.next_position)
        self._noted = self._clock()
        if self._needs != self._follower.needs:
            self._needs = self._follower.needs
            note_posted(self._folder, self._needs)
        return Step(stretch.has_more, entries, stretch.events[-1][3] if stretch.events else 0)

    @property
    def waits(self) -> bool:
        """Whether the end of the journal is not known to be durable yet."""
        return self._follower.waits

    def prove_end(self) -> None:
        """See that the journal is whole where it ends; raises as ``advance``."""
        with naming(self.partition):
            self._follower.prove_end()

    def _is_due(self, next_position: int) -> bool:
        """Whether the place reached is to be noted, though nothing happened on the way to it."""
        return next_position != self._poster.next_position and self._clock() - self._noted >= NOTED_SECONDS


class Keeping:
    """All partitions of this machine, kept in turn by one thread.

    Args:
        books: The books.
        meters: Count what is done.
    """

    def __init__(self, books: Books, meters: Meters) -> None:
        self._books = books
        self._meters = meters
        self._ledgers: dict[int, Ledger] = {}
        self._look_s = 0.0
        self._journals: dict[int, PartitionReader] = {}
        self._trouble = ""
        self._reasons: dict[int, str] = {}
        """Why partitions cannot be kept, said once each."""

    def keep(self, stopping: threading.Event) -> None:
        """Post what there is and what comes, until the event is set; a partition that fails holds up no other."""
        while not stopping.is_set():
            if time.monotonic() >= self._look_s:
                self._look()
                self._look_s = time.monotonic() + (LOOK_SECONDS if self._journals else AGAIN_SECONDS)
            have_more = [self._try(journal) for journal in list(self._journals.values())]
            if not any(have_more):
                stopping.wait(POLL_SECONDS)

    def _look(self) -> None:
        """See which journals have begun; a reader that was opened before stays."""
        try:
            found = {one.partition: one for one in self._books.journals()}
        except (JournalDamaged, JournalError, OSError) as error:
            self._tell(str(error))
            return
        self._tell("" if found else f"{self._books.directory}: no journal has begun there yet")
        self._journals = {**found, **self._journals}

    def _tell(self, trouble: str) -> None:
        """Say once what keeps journals from being read."""
        if trouble and trouble != self._trouble:
            log.warning("there are no journals to post", reason=trouble)
        self._trouble = trouble

    def _try(self, journal: PartitionReader) -> bool:
        """One step of a partition; whether there may be more at once."""
        partition = journal.partition
        try:
            with self._meters.timed(partition):
                ledger = self._ledgers.get(partition) or Ledger(self._books, journal)
                self._ledgers[partition] = ledger
                step = ledger.advance()
        except (StoreError, JournalDamaged, OSError) as error:
            self._ledgers.pop(partition, None)
            self._journals.pop(partition, None)
            self._look_s = time.monotonic() + AGAIN_SECONDS  # with a fresh reader of its journal
            self._meters.failed(partition)
            if self._reasons.get(partition) != str(error):
                self._reasons[partition] = str(error)
                log.error(UNKEPT, partition=partition, reason=str(error))  # noqa: TRY400 - no trace
            return False
        if self._reasons.pop(partition, None) is not None:
            log.info("the books of a partition are kept again", partition=partition)
        self._meters.stepped(partition, step.entries, step.at_us, caught_up=not step.has_more)
        return step.has_more


def post_all(books: Books) -> int:
    """Post all that the journals have by now; how many entries that made.

    Raises:
        StoreError: The database could not do it.
        OSError: A file cannot be read.
        JournalDamaged: A place cannot be read.
    """
    posted = 0
    for journal in books.journals():
        ledger = Ledger(books, journal)
        ends = 0
        while ends < ENDS_SEEN:
            step = ledger.advance()
            posted += step.entries
            if ledger.waits:
                time.sleep(POLL_SECONDS)
            elif not step.has_more:
                ends += 1
        ledger.prove_end()
    return posted
