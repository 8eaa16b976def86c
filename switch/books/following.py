"""A partition's journal followed as it grows: what moves money in it, from a position on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from switch.books.events import Event
from switch.journal.opening import PartitionReader
from switch.journal.payment_events import PaymentEvents
from switch.journal.replay import ADVICE_DAMAGED, JournalDamaged, Segment, Visitor

SEGMENT_BEGINS = 128
"""Bytes of a segment's head, behind which its batches stand."""

BYTES_AT_ONCE = 4 << 20
"""So much of a journal is read between two batches of the books."""

SETTLED_SECONDS = 1.0
"""What nothing has followed for so long is made durable by whoever reads it, and looked at as a whole."""


ZEROS_SECONDS = 30.0
"""So long after it was written to, a segment in which nothing comes next is looked at as a whole: zeros may be damage,
with something behind them."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was read of a journal.

    Attributes:
        events: What moves money there.
        next_position: Of the record behind it.
        has_more: Whether there is more to be read at once.
    """

    events: list[Event]
    next_position: int
    has_more: bool


class JournalFollower:
    """Reads a partition's journal, which its daemon may be writing, and gives what is durable of it.

    A batch is durable when another one has begun behind it, in its segment or in the next one. One that stays the last
    is synchronized by this reader before it is given.

    Args:
        journal: The partition.
        card_key: Of the keyed hash of card numbers.
        next_position: The first record whose events are wanted; None: the first that there is.
        clock: Seconds that pass.

    Attributes:
        begins: Position of the first record of the journal.
        waits: Whether something is at the end of which it is not known yet whether it is durable, or whole.

    Raises:
        JournalDamaged: What comes next is not in the journal any more.
    """

    def __init__(
        self,
        journal: PartitionReader,
        card_key: bytes,
        next_position: int | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._offset = 0
        reader = journal.reader
        self._reader = reader
        self._folder = journal.folder
        self._clock = clock
        self.begins = reader.segments[0].first_position
        self._wanted = self._next = self.begins if next_position is None else next_position
        if self._wanted < self.begins:
            raise self._damaged(f"position {self._wanted}, which comes next, is not there any more", reader.segments[0])
        # A segment's mark says what was open when it began: nothing earlier is referred to by what is wanted.
        needed = reader.segments[reader.index_of(self._wanted)].low_water
        self._segment = reader.segments[reader.index_of(max(needed, 1))]
        self._next = self._segment.first_position
        self._events = PaymentEvents(card_key, self._wanted)
        self.waits = False
        self._quiet_since: float | None = None
        self._sound_ns: int | None = None

    @property
    def journal_id(self) -> bytes:
        """The journal's identity, 16 bytes."""
        return bytes(self._segment.journal_id)

    def read(self) -> Stretch:
        """What stands behind the place reached, as far as it is durable, and not too much at once.

        Raises:
            OSError: A file cannot be read, or not be made durable.
            JournalDamaged: A place cannot be read, or the journal ends before what was read of it earlier.
        """
        before, changed_ns = self._offset, self._changed_ns()
        if self._read_segment(BYTES_AT_ONCE, durable_only=True):
            self._quiet_since, self.waits = None, False
            has_more = self._offset - before >= BYTES_AT_ONCE or self._following() is not None
        else:
            has_more = self._read_end(changed_ns)
        return Stretch(self._events.take_events(), max(self._next, self._wanted), has_more)

    @property
    def needs(self) -> int:
        """The position before which nothing is needed, were another one to begin at the place reached."""
        return int(max(self._segment.low_water, 1))

    def _read_segment(self, bytes_max: int, *, durable_only: bool) -> bool:
        before = max(self._offset, SEGMENT_BEGINS)
        self._offset, self._next = self._reader.read_on(
            self._segment, self._offset, self._next, self._events, bytes_max=bytes_max, durable_only=durable_only
        )
        return self._offset > before

    def _read_end(self, changed_ns: int) -> bool:
        """What is left of the segment; whether there is more."""
        following = self._following()
        if following is None:
            self._read_last(changed_ns)
            return False
        self._quiet_since, self.waits = None, False
        if self._read_segment(BYTES_AT_ONCE, durable_only=False):
            return True
        if following.first_position != self._next:
            raise self._damaged(f"{following.name} begins at position {following.first_position}", self._segment)
        self._segment, self._offset = following, 0
        return True

    def _following(self) -> Segment | None:
        """The segment behind this one; None: there is none yet."""
        self._reader.look_again()
        first = self._segment.first_position
        return next((one for one in self._reader.segments if one.first_position > first), None)

    def _read_last(self, changed_ns: int) -> None:
        """Take a batch that nothing follows, or look whether the segment is whole, when it has been so for a while."""
        found = self._reader.stands_at(self._segment, self._offset)
        if found != "batch" and changed_ns == self._sound_ns:
            return
        now = self._clock()
        self._quiet_since = now if self._quiet_since is None else self._quiet_since
        self.waits = found != "nothing"
        if now - self._quiet_since < (SETTLED_SECONDS if self.waits else ZEROS_SECONDS):
            return
        self._quiet_since, self.waits = None, False
        if found == "batch":
            self._synchronize()
            self._read_segment(1, durable_only=False)
        else:
            self.prove_end(changed_ns)

    def prove_end(self, changed_ns: int | None = None) -> None:
        """See that nothing whole stands behind the place reached, and that the journal has what was read of it before.

        Raises:
            OSError: The file cannot be read.
            JournalDamaged: Something is damaged there, or missing.
        """
        self._sound_ns = self._changed_ns() if changed_ns is None else changed_ns
        number = self._reader.segments.index(self._segment)
        self._reader.replay(Visitor(), number, number + 1)
        if self._next < self._wanted:
            raise self._damaged(
                f"the journal ends there, and it was read up to position {self._wanted} before", self._segment
            )

    def _changed_ns(self) -> int:
        return (self._folder / self._segment.name).stat().st_mtime_ns

    def _synchronize(self) -> None:
        file = os.open(self._folder / self._segment.name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fdatasync(file)
        finally:
            os.close(file)

    def _damaged(self, reason: str, segment: Segment) -> JournalDamaged:
        return JournalDamaged(segment.name, self._offset, self._next, reason, ADVICE_DAMAGED)
