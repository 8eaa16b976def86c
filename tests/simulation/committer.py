"""The thread that writes one partition's journal: in its own time, whatever the others' disks do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from switch.journal.carry_forward import keep_up

from .clock import MS, SECOND

if TYPE_CHECKING:
    from .storage import Storage
    from .worker import Worker

KEEP_UP_NS = 2 * SECOND
CARRY_RECORDS = 20
"""What is owed for longer than so many records is written down once more: few, so that it happens within a run."""


class Committer:
    """Lets the journal of one partition be written and synchronized while the switch goes on.

    Args:
        worker: Whose process it is in.
        storage: Journal and disk.
        at: Which of the partitions of the worker it is.

    Attributes:
        settled_ns: When all that the partition knew was durable, last.
    """

    def __init__(self, worker: Worker, storage: Storage, at: int) -> None:
        self._worker = worker
        self._clock = worker.clock
        self._storage = storage
        self._at = at
        self.settled_ns = 0
        self._is_committing = False
        self._is_broken = False

    @property
    def is_quiet(self) -> bool:
        """Whether nothing waits for the disk, and nothing is wrong with it."""
        return not (self._is_broken or self._is_committing or self._storage.journal.is_held)

    def end(self) -> None:
        """The process is gone."""
        self._is_committing = self._is_broken = False

    def end_turn(self) -> None:
        """What was written down in a turn of the switch may be made durable."""
        self._storage.journal.end_turn()
        self._commit_soon()

    def keep_up(self, generation: int) -> None:
        """Now and then, write what is owed for long down once more."""
        worker = self._worker
        if generation == worker.generation:
            keep_up(worker.engine.partitions.states[self._at], self._storage.journal, CARRY_RECORDS)
            self._commit_soon()
            self._clock.after(KEEP_UP_NS, self.keep_up, generation)

    def _commit_soon(self) -> None:
        worker = self._worker
        if self._is_committing or not worker.is_up:
            return
        journal = self._storage.journal
        if journal.failed and not self._is_broken:
            # Nothing new is accepted any more; sooner or later somebody sees to the disk and starts it again.
            self._is_broken = True
            worker.tell(f"cannot write its journal: {journal.reason}")
            self._clock.after(worker.draw.randrange(100, 4_000) * MS, self._replace_disk, worker.generation)
        if journal.broken:
            return
        if not journal.waiting_bytes and not journal.is_held:
            # Of those that are untold nobody could tell afterwards whether they have left.
            if not worker.engine.partitions.states[self._at].duplicates.untold:
                self.settled_ns = self._clock.now_ns
        else:
            self._is_committing = True
            self._clock.after(self._storage.latency_ns(), self._write, worker.generation)

    def _replace_disk(self, generation: int) -> None:
        worker = self._worker
        if generation != worker.generation or not worker.is_up:
            return
        self._storage.heal()
        journal = self._storage.journal
        if not journal.broken and worker.draw.random() < 0.5:
            journal.try_again()  # the disk was only full, and there is room again: the daemon looks every second
            if not journal.failed:
                worker.tell("has room for its journal again")
                self._is_broken = False
                self._commit_soon()
                return
        worker.end()

    def _write(self, generation: int) -> None:
        if generation != self._worker.generation:
            return
        self._storage.journal.write()
        if not self._is_killed():
            self._clock.after(self._storage.latency_ns(), self._sync, generation)

    def _sync(self, generation: int) -> None:
        if generation != self._worker.generation:
            return
        self._storage.journal.sync()
        if not self._is_killed():
            self._is_committing = False
            self._worker.has_written()

    def _is_killed(self) -> bool:
        """Whether the process has ended in the middle of a call to the disk."""
        if self._storage.disk.is_off:
            self._worker.killed_by_its_disk()
            return True
        return False
