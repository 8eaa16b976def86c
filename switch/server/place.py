"""Which worker of a daemon this is, and what it shares with the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from switch.base.stats import Stats
from switch.config import Config
from switch.server.assembly import Part, share, stand_ins_of
from switch.tables.stand_in import StandIn


def owned_by(worker: int, workers: int, partitions: int) -> range:
    """The partitions that one of so many workers owns."""
    return range(worker, partitions, workers)


@dataclass(frozen=True)
class Place:
    """One worker's place among so many.

    Attributes:
        number: Of the worker.
        workers: How many there are.
        partitions: Of the switch; None: as many as the journals say, all of them this worker's.
        stats: The counters of all; this process writes its own stretch.
        stand_ins: By link, what may be approved while it cannot be asked; counted for all.
        folder: Where the workers find each other; None: there is one alone.
    """

    number: int
    workers: int
    partitions: int | None
    stats: Stats
    stand_ins: Sequence[StandIn | None] = field(default_factory=tuple)
    folder: Path | None = None

    @classmethod
    def alone(cls, config: Config) -> Place:
        """That of the only one."""
        stats = Stats(config.limits.statistics_bytes)
        return cls(0, 1, None, stats, stand_ins_of(config, stats, 1))

    @property
    def owned(self) -> Sequence[int] | None:
        """The partitions that it owns; None: all that there are."""
        return None if self.partitions is None else owned_by(self.number, self.workers, self.partitions)

    @property
    def others(self) -> Sequence[int]:
        """The numbers of the other workers."""
        return [number for number in range(self.workers) if number != self.number]

    def part(self, partitions: int) -> Part:
        """What it has of so many partitions."""
        return Part(partitions, range(partitions) if self.owned is None else self.owned)

    def owners(self, partitions: int) -> list[int | None]:
        """By partition: the place among ``others`` of the worker that owns it; None: this one does."""
        owners: list[int | None] = [None] * partitions
        for at, worker in enumerate(self.others):
            for partition in owned_by(worker, self.workers, partitions):
                owners[partition] = at
        return owners

    def share(self, limit: int) -> int:
        """What one worker has of a limit of all."""
        return share(limit, self.workers)
