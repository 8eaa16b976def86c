"""Which worker of a daemon this is, and what it shares with the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from switch.base.shares import share
from switch.base.stats import Stats
from switch.config import Config
from switch.config.mesh_sections import ALONE, Node
from switch.crypto.device_counters import DeviceCounters
from switch.keys import KeyFile
from switch.mesh.counts import CountsHeard
from switch.server.assembly import Part, stand_ins_of
from switch.server.node_keys import NodeKeys, node_keys
from switch.server.pin_counters import open_counters
from switch.tables.count_log import CountLog
from switch.tables.stand_in import StandIn


class WorkerId(NamedTuple):
    """One worker among those of all nodes.

    Attributes:
        node: Number of its machine.
        number: Its own, on that machine.
    """

    node: int
    number: int


def owned_by(worker: int, workers: int, partitions: int, node: Node = ALONE) -> range:
    """The partitions that one of so many workers of a node owns."""
    return range(node.number + worker * node.nodes, partitions, workers * node.nodes)


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
        node: Number of this machine.
        count_log: What this worker has counted, for other machines; its successor goes on with it.
        counts_heard: How far workers of other machines have told what they counted; shared by those of this one.
        crews: How many workers each machine has, in order of the configuration; empty: this one is alone.
        keys: The key file, as the processes of this machine know it; None: there is none.
        devices: How far devices with derived PIN keys have counted, at all workers of this machine.
    """

    number: int
    workers: int
    partitions: int | None
    stats: Stats
    stand_ins: Sequence[StandIn | None] = field(default_factory=tuple)
    folder: Path | None = None
    node: int = 0
    crews: Sequence[int] = ()
    count_log: CountLog | None = None
    counts_heard: CountsHeard = field(default_factory=lambda: CountsHeard(0))
    keys: NodeKeys | None = None
    devices: DeviceCounters | None = None

    @classmethod
    def alone(cls, config: Config, key_file: KeyFile | None = None) -> Place:
        """That of the only one on this machine, with the key file that its start has opened."""
        stats = Stats(config.limits.statistics_bytes)
        partitions = config.journal.partitions if config.nodes else None
        stand_ins = stand_ins_of(config, stats, 1)
        heard = CountsHeard(config.far_workers)
        return cls(
            0,
            1,
            partitions,
            stats,
            stand_ins,
            node=config.node.number,
            crews=config.crews,
            count_log=CountLog() if config.nodes else None,
            counts_heard=heard,
            keys=node_keys(config, key_file, stats),
            devices=open_counters(config),
        )

    @property
    def owned(self) -> Sequence[int] | None:
        """The partitions that it owns; None: all that there are."""
        return None if self.partitions is None else self.owned_by(WorkerId(self.node, self.number), self.partitions)

    @property
    def mates(self) -> Sequence[int]:
        """The numbers of the other workers of this machine."""
        return [number for number in range(self.workers) if number != self.number]

    @property
    def others(self) -> Sequence[WorkerId]:
        """All other workers: those of this machine first."""
        return [*(WorkerId(self.node, number) for number in self.mates), *self.far]

    @property
    def far(self) -> Sequence[WorkerId]:
        """The workers of other machines."""
        return [
            WorkerId(node, number)
            for node, workers in enumerate(self._crews)
            if node != self.node
            for number in range(workers)
        ]

    def tells_counts(self, worker: WorkerId) -> bool:
        """Whether that worker of another machine is told what this one counts: one of each machine is."""
        return worker.number == self.number % self._crews[worker.node]

    @property
    def rank(self) -> int:
        """Its number among the workers of all machines."""
        return sum(self._crews[: self.node]) + self.number

    @property
    def ranks(self) -> int:
        """How many workers all machines have."""
        return sum(self._crews)

    @property
    def _crews(self) -> Sequence[int]:
        return self.crews or (self.workers,)

    def is_crew(self, worker: WorkerId) -> bool:
        """Whether there is such a worker."""
        return worker.node < len(self._crews) and worker.number < self._crews[worker.node]

    def owned_by(self, worker: WorkerId, partitions: int) -> range:
        """The partitions of any worker."""
        node = Node(worker.node, len(self._crews))
        return owned_by(worker.number, self._crews[worker.node], partitions, node)

    def part(self, partitions: int) -> Part:
        """What it has of so many partitions."""
        return Part(partitions, range(partitions) if self.owned is None else self.owned)

    def owners(self, partitions: int) -> list[int | None]:
        """By partition: the place among ``others`` of the worker that owns it; None: this one does."""
        owners: list[int | None] = [None] * partitions
        for at, worker in enumerate(self.others):
            for partition in self.owned_by(worker, partitions):
                owners[partition] = at
        return owners

    def share(self, limit: int) -> int:
        """What one worker has of a limit of all."""
        return share(limit, self.workers)
