"""The daemon's journal: recovered before anybody connects, kept up while it runs, closed at the end."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from switch.commit import JournalFiles
from switch.config.models import Config
from switch.connection import Reactor
from switch.disk import Disk, FileDisk
from switch.journaling.opening import wrapping_key
from switch.journaling.retention import expired, segment_files
from switch.keys import load_master_key
from switch.log import get_logger
from switch.recovery import Recovery, RecoveryFailed
from switch.replay import JournalDamaged, JournalReader, Segment
from switch.segment import SegmentWriter
from switch.state import State
from switch.stats import Stats
from switch.upkeep import keep_up

JOURNAL_ID_BYTES = 16
KEEP_UP_SECONDS = 5.0
RETENTION_SECONDS = 60.0
DAY_SECONDS = 86_400
AGE_MIN_SECONDS = 3_600
"""Files that were written in the last hour, and a window of repeats before it, are never removed."""

REQUEST_SPARE_SECONDS = 60.0
"""How much longer than its time-out a request may have been under way, when the time-out has been changed since."""

log = get_logger(__name__)


class JournalError(Exception):
    """The journal cannot be used; the text says why, and what to do."""


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
        torn_bytes: Cut off the end: a batch that was being written.
        seconds: It took.
    """

    records: int
    position: int
    remembered: int
    resumed: int
    ended: int
    reversed: int
    torn_bytes: int
    seconds: float


class Store:
    """The journal of one daemon.

    Args:
        config: The configuration; its journal has mode ``files``.
        stats: Where series are registered.
        disk: Another disk than the directory's, as a simulator has it.
        master_key: Another master key than the configuration names.

    Raises:
        JournalError: The directory cannot be had, or another daemon has it.
        KeyFileError: The master key cannot be had.
    """

    def __init__(
        self, config: Config, stats: Stats, *, disk: Disk | None = None, master_key: bytes | None = None
    ) -> None:
        self._section = config.journal
        self._window_s = config.limits.duplicate_window_seconds
        self._request_s = REQUEST_SPARE_SECONDS + max(link.timeout_ms for link in config.links) / 1000
        self._stats = stats
        self._wrapping_key = wrapping_key(_master_key(config) if master_key is None else master_key)
        self._disk = self._open_directory() if disk is None else disk
        self._kept_up_s = self._retained_s = -RETENTION_SECONDS
        self._is_failure_told = False
        self.journal = JournalFiles(config.journal.buffer_bytes, stats)
        self._gauges: tuple[tuple[int, Callable[[], int]], ...] = tuple(
            (stats.gauge(f"authswitch_journal_{name}", text), read)
            for name, text, read in (
                ("failed", "1 when the journal failed and nothing new may begin.", lambda: int(self.journal.failed)),
                ("waiting_bytes", "Records that no batch has taken yet.", lambda: self.journal.waiting_bytes),
                ("refused_full", "Records that found the buffer full.", lambda: self.journal.refused_full),
                ("position", "Of the last durable record.", lambda: self.journal.durable),
                ("low_water", "Records before this position are not needed any more.", lambda: self.journal.low_water),
                ("disk_free_bytes", "Room on the journal's disk.", lambda: self._disk.free_bytes() or 0),
            )
        )

    def _open_directory(self) -> Disk:
        directory = self._section.directory
        if directory is None:
            raise JournalError('journal.directory is required with mode "files"')
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            return FileDisk(str(directory), exclusive=True)
        except BlockingIOError:
            raise JournalError(f"{directory}: another daemon writes its journal there") from None
        except OSError as error:
            raise JournalError(f"{directory}: cannot be opened: {error.strerror}") from error

    # --- start ----------------------------------------------------------------------------------------------------

    def recover(self, state: State) -> Replayed:
        """Read the journal into a fresh state machine, cut what is torn, and begin to write.

        Raises:
            JournalError: It is damaged, owes what the configuration cannot pay, or cannot be written.
        """
        began = time.monotonic()
        state.calendar.set(time.monotonic_ns(), *divmod(time.time_ns() // 1000, 1_000_000))
        try:
            replayed = self._recover(state)
        except (JournalDamaged, RecoveryFailed) as error:
            raise JournalError(f"journal {self._section.directory}: {error}") from error
        except OSError as error:
            raise JournalError(f"journal {self._section.directory}: {error}") from error
        return Replayed(*replayed, time.monotonic() - began)

    def _recover(self, state: State) -> tuple[int, int, int, int, int, int, int]:
        reader = JournalReader(self._disk, self._wrapping_key)
        recovery = Recovery(state)
        tail = reader.replay(recovery, self._first_needed(reader, state.calendar.wall_us))
        reader.repair(tail)
        journal_id = reader.segments[0].journal_id if reader.segments else os.urandom(JOURNAL_ID_BYTES)
        writer = SegmentWriter(
            self._disk,
            self._wrapping_key,
            journal_id,
            segment_bytes=self._section.segment_bytes,
            batch_room=self._section.buffer_bytes,
        )
        recovery.begin(writer, tail.next_position)
        recovery.finish()
        keep_up(state, self.journal)
        return (
            tail.records,
            tail.next_position - 1,
            recovery.remembered,
            recovery.resumed,
            recovery.ended,
            recovery.reversed,
            tail.torn_bytes,
        )

    def _first_needed(self, reader: JournalReader, wall_us: int) -> int:
        """The number of the segment from which to read: what is open, and the duplicate window."""
        segments: list[Segment] = reader.segments
        if not segments:
            return 0
        window_begins_us = wall_us - int(self._window_s + self._request_s) * 1_000_000
        young = next((n for n, s in enumerate(segments) if s.created_us > window_begins_us), len(segments))
        return min(reader.index_of(segments[-1].low_water), max(young - 1, 0))

    def start(self, loop: asyncio.AbstractEventLoop, reactor: Reactor) -> None:
        """Commit in a thread from now on; what waits for it leaves when the thread says so."""
        self.journal.start()
        loop.add_reader(self.journal.wake, self._on_durable, reactor)

    def _on_durable(self, reactor: Reactor) -> None:
        os.eventfd_read(self.journal.wake)
        reactor.flush_gated()

    # --- while it runs --------------------------------------------------------------------------------------------

    def keep_house(self, state: State) -> None:
        """Gauges, what the next segment begins with, retention; to be called a few times a second."""
        now = time.monotonic()
        for index, read in self._gauges:
            self._stats.set(index, read())
        if self.journal.failed and not self._is_failure_told:
            self._is_failure_told = True
            log.error("the journal cannot be written: no new payment is accepted", reason=self.journal.reason)
        if now - self._kept_up_s >= KEEP_UP_SECONDS:
            self._kept_up_s = now
            keep_up(state, self.journal)
        if now - self._retained_s >= RETENTION_SECONDS:
            self._retained_s = now
            self._retain()

    def _retain(self) -> None:
        if self._section.directory is None:
            return
        try:
            files = segment_files(self._section.directory)
            for file in expired(
                files,
                low_water=self.journal.low_water,
                now_s=time.time(),
                age_s=self._section.retention_days * DAY_SECONDS,
                age_min_s=self._window_s + AGE_MIN_SECONDS,
                bytes_max=self._section.retention_bytes,
            ):
                file.path.unlink()
                log.info("journal segment removed", file=file.path.name, size=file.size)
        except OSError as error:
            log.warning("old journal segments cannot be removed", reason=str(error))

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make durable what is there, and close the files."""
        if self.journal.wake >= 0:
            loop.remove_reader(self.journal.wake)
        self.journal.stop()


def _master_key(config: Config) -> bytes:
    if config.keys is None:
        raise JournalError("the journal is sealed under the master key: section [keys] is required")
    return load_master_key(config.keys.master_key_file, config.keys.master_key_env)
