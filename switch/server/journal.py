"""The daemon's journal: recovered before anybody connects, kept up while it runs, closed at the end."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from switch.base.log import get_logger
from switch.base.stats import Stats
from switch.config.models import Config
from switch.io.connection import Reactor
from switch.journal.boot import since_boot_ns
from switch.journal.carry_forward import keep_up
from switch.journal.commit import JournalFiles
from switch.journal.directory_keeper import Keeper, Rules
from switch.journal.disk import FileDisk
from switch.journal.lives import LivesDamagedError
from switch.journal.partitions import Hold, partition_folder
from switch.journal.problems import JournalError
from switch.journal.recovery import RecoveryFailed
from switch.journal.replay import JournalDamaged, JournalReader
from switch.journal.resuming import Progress, Replayed, longest_request_s, replay_into
from switch.journal.risk_counts import restore_counts
from switch.machine.state import State

KEEP_UP_SECONDS = 5.0
TRY_AGAIN_SECONDS = 1.0
DAY_SECONDS = 86_400
AGE_MIN_SECONDS = 3_600
"""How much longer than the window of repeats files are kept at least."""

OUTDATED = "the journal is an older copy: nothing is decided by it"
OUTDATED_EFFECT = (
    "this worker turns terminals away, and others begin no connection with it for any of its partitions, healthy ones "
    "neither"
)
OUTDATED_ADVICE = (
    "bring the newer journal back and start again; where it is lost for good, wait until the duplicate window has "
    "passed, then restart the other workers and nodes, one by one, and this one last"
)

log = get_logger(__name__)


class Store:
    """The journal of one partition.

    Args:
        config: The configuration; its journal has mode ``files``.
        stats: Where series are registered.
        wrapping_keys: As ``switch.keys.journal_keys`` gives them.
        partition: Which one.

    Raises:
        JournalError: The directory cannot be had, another daemon has it, or it is of another number of partitions.

    Attributes:
        partition: Which one.
        partitions: How many the directory has.
    """

    def __init__(self, config: Config, stats: Stats, wrapping_keys: bytes, partition: int = 0) -> None:
        self.partition = partition
        self._section = config.journal
        self._window_s = config.limits.duplicate_window_seconds
        self._request_s = longest_request_s(config)
        self._stats = stats
        self._wrapping_keys = wrapping_keys
        self._node = config.node
        self._hold, self._disk = self._open_directory()
        self.partitions = self._hold.partitions
        self._kept_up_s = -KEEP_UP_SECONDS
        self._tried_s = 0.0
        self._is_failure_told = self._is_outdated_told = False
        self._is_recovered = False
        self._progress = Progress()
        self.journal = JournalFiles(config.journal.buffer_bytes, stats, partition=partition)
        rules = Rules(
            age_min_s=max(self._window_s + AGE_MIN_SECONDS, self._section.originals_days * DAY_SECONDS),
            age_max_s=self._section.retention_days * DAY_SECONDS,
            bytes_max=self._section.retention_bytes and self._section.retention_bytes // len(self._hold.here),
            posted=config.books is not None,
        )
        self._keeper = Keeper(self.journal, self._disk, rules, stats, partition=partition)
        self._gauges: tuple[tuple[int, Callable[[], int]], ...] = tuple(
            (stats.gauge(f"authswitch_journal_{name}", text, {"partition": str(partition)}), read)
            for name, text, read in (
                ("failed", "1 when the journal failed and nothing new may begin.", self._has_failed),
                (
                    "outdated",
                    "1 when others have heard of a newer journal: nothing is decided by this one.",
                    lambda: int(self.journal.outdated is not None),
                ),
                ("waiting_bytes", "Records that no batch has taken yet.", lambda: self.journal.waiting_bytes),
                ("refused_full", "Records that found the buffer full.", lambda: self.journal.refused_full),
                ("position", "Of the last durable record.", lambda: self.journal.durable),
                ("low_water", "Records before this position are not needed any more.", lambda: self.journal.low_water),
                ("disk_free_bytes", "Room on the journal's disk.", self._disk.free_bytes),
            )
        )

    def _has_failed(self) -> int:
        return int(self.journal.failed and self.journal.outdated is None)

    def _open_directory(self) -> tuple[Hold, FileDisk]:
        directory = self._section.directory
        if directory is None:
            raise JournalError('journal.directory is required with mode "files"')
        try:
            hold = Hold(directory, self._section.partitions, node=self._node)
        except OSError as error:
            raise JournalError(f"{directory}: cannot be opened: {error.strerror}") from error
        folder = partition_folder(directory, self.partition)
        try:
            return hold, FileDisk(str(folder), exclusive=True)
        except BlockingIOError:
            hold.release()
            raise JournalError(f"{directory}: another daemon writes its journal there") from None
        except OSError as error:
            hold.release()
            raise JournalError(f"{folder}: cannot be opened: {error.strerror}") from error

    # --- start ----------------------------------------------------------------------------------------------------

    def recover(self, state: State) -> Replayed:
        """Read the journal into a fresh state machine, cut what is torn, and begin to write.

        It may take a while, and may run in a thread of its own: ``progress`` tells others of it meanwhile.

        Raises:
            JournalError: It is damaged, owes what the configuration cannot pay, or cannot be written.
            ReplayStopped: ``stop_replay`` was called; nothing was written.
        """
        wall_us = time.time_ns() // 1000
        state.calendar.set(since_boot_ns(), *divmod(wall_us, 1_000_000))
        reader = partial(JournalReader, self._disk, self._wrapping_keys)
        try:
            counted = restore_counts(state, reader, self._progress, wall_us)
            replayed = replay_into(
                state,
                self.journal,
                self._disk,
                self._wrapping_keys,
                segment_bytes=self._section.segment_bytes,
                window_seconds=self._window_s + self._request_s,
                progress=self._progress,
            )
        except (JournalDamaged, LivesDamagedError, RecoveryFailed, OSError) as error:
            raise JournalError(f"journal {self._disk.path}: {error}") from error
        finally:
            self._progress = Progress()  # The other one holds all that was read.
        if counted:
            log.info("risk control counts on", partition=self.partition, requests=counted)
        self._is_recovered = True
        if not replayed.position:
            log.warning("a new journal begins: nothing is known of any earlier payment", directory=self._disk.path)
        return replayed

    def stop_replay(self) -> None:
        """Let a replay that another thread does end at once."""
        self._progress.stop()

    @property
    def directory(self) -> Path:
        """Where this partition's files are."""
        return Path(self._disk.path)

    @property
    def progress(self) -> str:
        """How far the replay has come; empty when there is none."""
        return str(self._progress)

    def start(self, loop: asyncio.AbstractEventLoop, reactor: Reactor, on_lost: Callable[[str], None]) -> None:
        """Commit in a thread from now on; what waits for it leaves when the thread says so.

        Args:
            loop: Hears what the thread says.
            reactor: Where answers wait.
            on_lost: Called with the reason, once or more, when the directory or a segment is gone or replaced.
        """
        self.journal.start()
        loop.add_reader(self.journal.wake, self._on_durable, reactor, on_lost)
        self._keeper.start()

    def _on_durable(self, reactor: Reactor, on_lost: Callable[[str], None]) -> None:
        os.eventfd_read(self.journal.wake)
        if self.journal.lost:
            on_lost(self.journal.lost)
        reactor.flush_gated()

    # --- while it runs --------------------------------------------------------------------------------------------

    def keep_house(self, state: State) -> None:
        """Gauges, what the next segment begins with, a full disk; to be called a few times a second."""
        now = time.monotonic()
        for index, read in self._gauges:
            self._stats.set(index, read())
        self._watch_failure(now)
        if now - self._kept_up_s >= KEEP_UP_SECONDS:
            self._kept_up_s = now
            keep_up(state, self.journal)

    def _watch_failure(self, now_s: float) -> None:
        """Say that nothing can be written, once; look each second whether a full disk has room again."""
        if self.journal.outdated is not None:
            if not self._is_outdated_told:
                log.error(
                    OUTDATED,
                    partition=self.partition,
                    reason=self.journal.outdated,
                    effect=OUTDATED_EFFECT,
                    advice=OUTDATED_ADVICE,
                )
            self._is_outdated_told = True
            return
        if self.journal.failed and not self._is_failure_told:
            log.error("the journal cannot be written: no new payment is accepted", reason=self.journal.reason)
        elif self._is_failure_told and not self.journal.failed:
            log.warning("the journal can be written again: payments are accepted")
        self._is_failure_told = self.journal.failed
        if self.journal.failed and now_s - self._tried_s >= TRY_AGAIN_SECONDS:
            self._tried_s = now_s
            self.journal.try_again()

    @property
    def keeps(self) -> bool:
        """Whether what the state machine owes survives its end: it is written down, and can still be made durable.

        What an older copy owes a newer one knows.
        """
        return self.journal.outdated is not None or not (self.journal.broken or self.journal.is_held)

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make durable what is there, and close the files; nothing is written where the recovery failed."""
        if self.journal.wake >= 0:
            loop.remove_reader(self.journal.wake)
        self._keeper.stop()
        if self._is_recovered:
            self.journal.stop()
        self._disk.release()
        self._hold.release()
