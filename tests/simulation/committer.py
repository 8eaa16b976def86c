"""The thread that writes one partition's journal: in its own time, whatever the others' disks do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from switch.journal.carry_forward import keep_up

from .clock import MS, SECOND

if TYPE_CHECKING:
    from .acquirer import Acquirer
    from .storage import Storage

KEEP_UP_NS = 2 * SECOND
CARRY_RECORDS = 20
"""What is owed for longer than so many records is written down once more: few, so that it happens within a run."""


class Committer:
    """Lets the journal of one partition be written and synchronized while the switch goes on.

    Args:
        acquirer: The switch.
        storage: Journal and disk.
        partition: Whose.

    Attributes:
        settled_ns: When all that the partition knew was durable, last.
    """

    def __init__(self, acquirer: Acquirer, storage: Storage, partition: int) -> None:
        self._acquirer = acquirer
        self._clock = acquirer.clock
        self._storage = storage
        self._partition = partition
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
        acquirer = self._acquirer
        if generation == acquirer.generation:
            keep_up(acquirer.engine.partitions.states[self._partition], self._storage.journal, CARRY_RECORDS)
            self._commit_soon()
            self._clock.after(KEEP_UP_NS, self.keep_up, generation)

    def _commit_soon(self) -> None:
        acquirer = self._acquirer
        if self._is_committing or not acquirer.is_up:
            return
        journal = self._storage.journal
        if journal.failed and not self._is_broken:
            # Nothing new is accepted any more; sooner or later somebody sees to the disk and starts it again.
            self._is_broken = True
            self._clock.tell("switch", f"cannot write its journal: {journal.reason}")
            self._clock.after(acquirer.draw.randrange(100, 4_000) * MS, self._replace_disk, acquirer.generation)
        if journal.broken:
            return
        if not journal.waiting_bytes and not journal.is_held:
            # Of those that are untold nobody could tell afterwards whether they have left.
            if not acquirer.engine.partitions.states[self._partition].duplicates.untold:
                self.settled_ns = self._clock.now_ns
        else:
            self._is_committing = True
            self._clock.after(self._storage.latency_ns(), self._write, acquirer.generation)

    def _replace_disk(self, generation: int) -> None:
        acquirer = self._acquirer
        if generation != acquirer.generation or not acquirer.is_up:
            return
        self._storage.heal()
        journal = self._storage.journal
        if not journal.broken and acquirer.draw.random() < 0.5:
            journal.try_again()  # the disk was only full, and there is room again: the daemon looks every second
            if not journal.failed:
                self._clock.tell("switch", "has room for its journal again")
                self._is_broken = False
                self._commit_soon()
                return
        acquirer.end(loses_power=False)

    def _write(self, generation: int) -> None:
        if generation != self._acquirer.generation:
            return
        self._storage.journal.write()
        if not self._is_killed():
            self._clock.after(self._storage.latency_ns(), self._sync, generation)

    def _sync(self, generation: int) -> None:
        if generation != self._acquirer.generation:
            return
        self._storage.journal.sync()
        if not self._is_killed():
            self._is_committing = False
            self._acquirer.has_written()

    def _is_killed(self) -> bool:
        """Whether the process has ended in the middle of a call to the disk."""
        if self._storage.disk.is_off:
            self._acquirer.kill(loses_power=self._acquirer.draw.random() < 0.5)
            return True
        return False
