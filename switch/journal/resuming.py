"""The journal read into a fresh state machine, and continued behind its end."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass

from switch.config import Config
from switch.journal.boot import boot_identity
from switch.journal.carry_forward import keep_up
from switch.journal.commit import JournalFiles
from switch.journal.disk import Disk
from switch.journal.lives import LIFE_MAX, begin_life
from switch.journal.recovery import Recovery
from switch.journal.replay import JournalReader, Segment
from switch.journal.request_history import CountRestorer, Fates
from switch.journal.segment import SegmentWriter
from switch.keys.journal_keys import WRAPPING_KEY_BYTES
from switch.machine.state import State

JOURNAL_ID_BYTES = 16
NS_A_SECOND = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a recovery found and did.

    Attributes:
        records: Read.
        position: Of the last one.
        remembered: Outcomes in the duplicate window.
        resumed: Reversals that go on.
        ended: Requests without an outcome, which ended as time-outs.
        reversed: Of them, those for which a reversal was stored.
        late: Requests that were approved after their end, and whose reversal is stored only now.
        torn_bytes: Cut off the end: of a batch that was being written.
    """

    records: int
    position: int
    remembered: int
    resumed: int
    ended: int
    reversed: int
    late: int
    torn_bytes: int


class Progress:
    """How far a replay has come, in words, for another thread to tell; nothing before it has begun."""

    def __init__(self) -> None:
        self.reader: JournalReader | None = None
        self.visitor: Recovery | Fates | CountRestorer | None = None
        self.is_stopped = False

    def begin(self, reader: JournalReader, visitor: Recovery | Fates | CountRestorer) -> None:
        """A replay begins."""
        self.reader, self.visitor = reader, visitor
        reader.stop_wanted = self.is_stopped

    def stop(self) -> None:
        """Let the replay end at once with ``ReplayStopped``, whether it has begun or not."""
        self.is_stopped = True
        if self.reader is not None:
            self.reader.stop_wanted = True

    def __str__(self) -> str:
        if self.reader is None or self.visitor is None or not self.reader.segments:
            return ""
        file = f"file {self.reader.reading + 1} of {len(self.reader.segments)}"
        return f"the journal is replayed: {file}, {self.visitor.records:,} records read"


REQUEST_SPARE_SECONDS = 60.0
"""How much longer than its time-out a request may have been under way, when the time-out has been changed since."""


def longest_request_s(config: Config) -> float:
    """How long a request may have been under way, in seconds."""
    return REQUEST_SPARE_SECONDS + max(link.timeout_ms for link in config.links) / 1000


def replay_into(
    state: State,
    journal: JournalFiles,
    disk: Disk,
    wrapping_keys: bytes,
    *,
    segment_bytes: int,
    window_seconds: float,
    progress: Progress | None = None,
    boot: str | None = None,
) -> Replayed:
    """Fill the tables of a fresh state machine from its journal's files, end what was under way, and begin to write.

    All that this writes is durable when it returns. Nothing may have been asked of the state machine before.

    Args:
        state: The state machine; its calendar stands at the present moment.
        journal: Its journal, not begun.
        disk: Where the files are.
        wrapping_keys: As ``switch.keys.journal_keys`` gives them.
        segment_bytes: Size of the segments to come.
        window_seconds: How far back finished requests are needed, their time under way included.
        progress: Tells how far it has come.
        boot: Which start of which machine the calendar counts from; by default this machine's last one.

    Raises:
        OSError: The disk does not do what it must.
        JournalDamaged: A place of the journal cannot be read that is not a torn tail.
        LivesDamagedError: How often it was begun cannot be read.
        RecoveryFailed: The configuration has no place for what is owed.
        ReplayStopped: ``progress`` was told to stop; nothing was written.
    """
    reader = JournalReader(disk, wrapping_keys)
    reader.require_keys()
    recovery = Recovery(state)
    if progress is not None:
        progress.begin(reader, recovery)
    boot = boot_identity() if boot is None else boot
    tail = reader.replay(recovery, first_needed(reader, state.calendar.now_ns, boot, int(window_seconds * NS_A_SECOND)))
    journal.live(begin_life(disk, secrets.randbelow(LIFE_MAX) + 1, tail.next_position - 1))
    reader.repair(tail)
    journal_id = reader.segments[0].journal_id if reader.segments else os.urandom(JOURNAL_ID_BYTES)
    writer = SegmentWriter(
        disk,
        wrapping_keys[:WRAPPING_KEY_BYTES],
        journal_id,
        segment_bytes=segment_bytes,
        batch_room=journal.buffer_bytes,
    )
    recovery.begin(writer, tail.next_position, boot)
    recovery.finish()
    keep_up(state, journal)
    return Replayed(
        records=tail.records,
        position=tail.next_position - 1,
        remembered=recovery.remembered,
        resumed=recovery.resumed,
        ended=recovery.ended,
        reversed=recovery.reversed,
        late=recovery.late,
        torn_bytes=tail.torn_bytes,
    )


def first_needed(reader: JournalReader, now_ns: int, boot: str, window_ns: int) -> int:
    """The number of the segment from which to read: of what is open, and of the duplicate window.

    Args:
        reader: The journal.
        now_ns: The calendar's time.
        boot: Which start of which machine that counts from.
        window_ns: How far back finished requests are needed, by the journal's own time.
    """
    segments: list[Segment] = reader.segments
    if not segments:
        return 0
    number = len(segments) - 1
    begins_ns, clock_boot, offset_ns = _beginning(reader, number)
    ends_ns = max(begins_ns, now_ns + offset_ns) if boot and boot == clock_boot else begins_ns
    while number > 0 and begins_ns > ends_ns - window_ns:
        number -= 1
        begins_ns, _, _ = _beginning(reader, number)
    return min(reader.index_of(segments[-1].low_water), number)


def _beginning(reader: JournalReader, number: int) -> tuple[int, str, int]:
    """When a segment begins by the journal's own time, and what that goes by; by the wall clock where nothing tells."""
    clock = reader.clock_of(number)
    if clock is None:
        segment: Segment = reader.segments[number]
        return segment.created_us * 1000, "", 0
    boot, offset_ns, begins_ns = clock
    return begins_ns, boot, offset_ns
