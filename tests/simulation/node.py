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
    from switch.server.place import Place
    from switch.tables.risk import Risk
    from switch.tables.stand_in import StandIn

    from .options import Options
    from .world import World


def _of_nodes(config: Config, far: int) -> Config:
    """A configuration of a node where others have so many workers."""
    crews = [NodeSection.model_construct(workers=number) for number in (0, far)]
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
        self._crew = options.crews[node]
        self._windows = counted_windows(options, node)
        self._stand_ins: list[StandIn | None] = []
        far = options.workers - self._crew
        if options.workers > 1:
            config = _of_nodes(world.arrangements[arrangement][0], far)
            stats = cleared_stats(self._crew, 0, (options.setting, node))
            self._stand_ins = stand_ins_of(config, stats, self._crew)
        self._of_workers: dict[int, list[StandIn | None]] = {}
        self._risks: dict[int, Risk | None] = {}
        self._logs = [CountLog() for _ in range(self._crew)] if options.nodes > 1 else []
        self._heard = CountsHeard(far)

    def risk(self, place: Place) -> Risk | None:
        """That of a process."""
        risk = risk_control(self._options, self._windows, self._node)
        if risk is not None and self._logs:
            risk.use_log(self._logs[place.number])
        self._risks[place.number] = risk
        return risk

    def stand_ins(self, stats: Stats) -> list[StandIn | None] | None:
        """Those of a process that counts in ``stats``; None where it is the only one."""
        if self._options.workers == 1:
            return None
        of_worker = (
            [None if rule is None else rule.forked(stats) for rule in self._stand_ins]
            if self._crew > 1
            else self._stand_ins
        )
        if self._logs:
            for link, rule in enumerate(of_worker):
                if rule is not None:
                    rule.use_log(self._logs[stats.worker], link)
        self._of_workers[stats.worker] = of_worker
        return of_worker

    def share_counts(self, place: Place, peers: list[Peer]) -> None:
        """Let workers of other nodes know what is counted here, if not from another one, and count what they tell.

        Args:
            place: Of a process.
            peers: Its peers on other nodes, in the order of ``place.far``.
        """
        stand_ins, risk = self._of_workers[place.number], self._risks[place.number]
        for at, (other, peer) in enumerate(zip(place.far, peers, strict=True)):
            log = self._logs[place.number] if place.tells_counts(other) else None
            peer.share_counts(PeerCounts(at, self._heard, stand_ins, risk, log))

    def replayed(self, place: Place) -> None:
        """A worker has read all its journals."""
        for rule in self._of_workers.get(place.number, ()):
            if rule is not None:
                rule.replayed()
