"""What the workers of one node count together, in memory that outlives each of them, but not all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from switch.config.mesh_sections import NodeSection
from switch.mesh.counts import CountsHeard, PeerCounts
from switch.server.assembly import stand_ins_of
from switch.tables.count_log import CountLog

from .limits import counted_windows, risk_control
from .speed import cleared_stats

if TYPE_CHECKING:
    from switch.base.stats import Stats
    from switch.config.models import Config
    from switch.mesh.peer import Peer
    from switch.tables.risk import Risk
    from switch.tables.stand_in import StandIn

    from .options import Options
    from .world import World


def _of_nodes(config: Config, workers: int) -> Config:
    """A configuration in which each worker may be one of another node."""
    crews = [NodeSection.model_construct(workers=number) for number in (0, workers)]
    return config.model_copy(update={"nodes": crews})


class NodeMemory:
    """The counts of a node, from the start of its first worker until all have ended.

    Args:
        world: Configuration and tables.
        arrangement: Which of the configurations.
        options: The run.
        node: Number of the node.
    """

    def __init__(self, world: World, arrangement: int, options: Options, node: int) -> None:
        self._options = options
        self._node = node
        self._windows = counted_windows(options)
        self._stand_ins: list[StandIn | None] = []
        if options.workers > 1:
            config = world.arrangements[arrangement][0]
            if options.nodes > 1:
                config = _of_nodes(config, options.workers)
            stats = cleared_stats(options.workers, 0, options.setting)
            self._stand_ins = stand_ins_of(config, stats, options.workers)
        self._of_workers: dict[int, list[StandIn | None]] = {}
        self._risks: dict[int, Risk | None] = {}
        self._logs: dict[int, CountLog] = {}
        self._heard = CountsHeard(options.workers)

    def risk(self, worker: int) -> Risk | None:
        """That of a process."""
        risk = risk_control(self._options, self._windows, self._node)
        if risk is not None and self._options.nodes > 1:
            risk.use_log(self._log(worker))
        self._risks[worker] = risk
        return risk

    def stand_ins(self, stats: Stats) -> list[StandIn | None] | None:
        """Those of a process that counts in ``stats``; None where it is the only one."""
        if self._options.workers == 1:
            return None
        forked = [None if rule is None else rule.forked(stats) for rule in self._stand_ins]
        if self._options.nodes > 1:
            for link, rule in enumerate(forked):
                if rule is not None:
                    rule.use_log(self._log(stats.worker), link)
        self._of_workers[stats.worker] = forked
        return forked

    def share_counts(self, worker: int, other: int, peer: Peer) -> None:
        """Let a worker of another node know what is counted here, if not from another one, and count what it tells."""
        options = self._options
        crew = len(range(options.node_of(other), options.workers, options.nodes))
        is_told = other // options.nodes == worker // options.nodes % crew
        log = self._log(worker) if is_told else None
        peer.share_counts(PeerCounts(other, self._heard, self._of_workers[worker], self._risks[worker], log))

    def replayed(self, worker: int) -> None:
        """A worker has read all its journals."""
        for rule in self._of_workers.get(worker, ()):
            if rule is not None:
                rule.replayed()

    def _log(self, worker: int) -> CountLog:
        """What a worker and those before it have counted."""
        if worker not in self._logs:
            self._logs[worker] = CountLog()
        return self._logs[worker]
