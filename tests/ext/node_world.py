"""Nodes of several workers, which count together: what each says to those of other nodes, and what is lost of it."""

from __future__ import annotations

from typing import Any

from switch.base.stats import Stats
from switch.dialect.kinds import Kind
from switch.dialect.reasons import Reason
from switch.mesh.counts import CountsHeard, PeerCounts
from switch.mesh.mesh import Mesh
from switch.mesh.peer import Peer
from switch.server.place import Place, WorkerId
from switch.tables.count_log import CountLog
from switch.tables.risk import PAST_MS, Risk
from switch.tables.stand_in import StandIn
from switch.tables.time_windows import WindowTable
from tests.ext.test_shared_counts import PURCHASE, YUAN, Limit
from tests.ext.world import World, listener

PARTITIONS = 4
CARD, OTHER = "6225000000000014", "6225000000000022"
SECRET_BYTES = 16


class Node:
    """What the workers of a node have in common, and what outlives each of them."""

    def __init__(self, nodes: Nodes, number: int) -> None:
        crew, far = nodes.crews[number], sum(nodes.crews) - nodes.crews[number]
        self.number = number
        self.secret = bytes([number, *bytes(SECRET_BYTES - 1)])
        self.windows = WindowTable(1_000, is_shared=crew > 1)
        self.logs = [CountLog() for _ in range(crew)]
        self.heard = CountsHeard(far)
        self.stand_in = StandIn(
            Stats(1 << 16, crew),
            "bank",
            kinds=PURCHASE,
            bins=[],
            allows_pin=True,
            window_seconds=60,
            cards_room=100,
            limits=[(YUAN, 10_000, None, None, nodes.outstanding_max)],
            workers=crew,
            far=far,
        )


class Worker:
    """One worker of a node, as the daemon puts it together."""

    def __init__(self, nodes: Nodes, node: Node, number: int) -> None:
        crew = nodes.crews[node.number]
        stats = Stats(1 << 16, crew)
        stats.use_worker(number)
        self.id = WorkerId(node.number, number)
        self.place = Place(number, crew, PARTITIONS, stats, node=node.number, crews=nodes.crews)
        self.world = World(listeners=[listener("iso", "iso87-ascii", mac="optional")], part=self.place.part(PARTITIONS))
        self.engine = self.world.engine
        self.log = node.logs[number]
        self.risk = Risk.build(node.secret, node.windows, rules=nodes.limits)
        self.stand_in = node.stand_in.forked(stats) if crew > 1 else node.stand_in
        self.risk.use_log(self.log)
        self.stand_in.use_log(self.log, 1)
        self.stand_in.replayed()
        connections = [link.connections for link in self.engine.state.links]
        self.peers = {
            other: Peer(at, str(other), self.engine.channels, connections) for at, other in enumerate(self.place.others)
        }
        for at, other in enumerate(self.place.far):
            log = self.log if self.place.tells_counts(other) else None
            self.peers[other].share_counts(PeerCounts(at, node.heard, [None, self.stand_in], self.risk, log))
        self.engine.join(Mesh(list(self.peers.values()), self.place.owners(PARTITIONS), 1_000))

    @property
    def now_ms(self) -> int:
        """By its clock."""
        return self.engine.state.calendar.now_ns // 1_000_000

    def buy(self, pan: str = CARD, amount: int = 100) -> Reason:
        """Count a purchase; what risk control says to it."""
        return Reason(
            self.risk.check_request(
                Kind.PURCHASE, pan=pan, amount_minor=amount, currency=YUAN, now_ms=self.now_ms + PAST_MS
            )
        )

    def has_counted(self, count: int) -> bool:
        """Whether exactly so many purchases of the card are in its windows; there is one more then."""
        limit = [Limit("count", count_max=count + 1)]
        strict = Risk.build(None, self.risk.windows, rules=limit, previous=self.risk)
        verdicts = [
            strict.check_request(Kind.PURCHASE, pan=CARD, amount_minor=1, currency=YUAN, now_ms=self.now_ms + PAST_MS)
            for _ in range(2)
        ]
        return verdicts == [Reason.APPROVED, Reason.COUNT_LIMIT]

    def stand_in_for(self, pan: str = CARD, amount: int = 100) -> str:
        """Approve a purchase in the issuer's stead; what the rule says to it."""
        return self.stand_in.claim_payment(Kind.PURCHASE, pan, amount, YUAN, now_ns=self.now_ms * 1_000_000)

    def say(self, other: WorkerId) -> bytes:
        """What it has for another one."""
        self.engine.woken()
        return self.peers[other].take_output()

    def hear(self, other: WorkerId, said: bytes) -> None:
        """Another one has said this."""
        peer = self.peers[other]
        assert self.engine.hear(peer, said) == len(said)
        assert peer.fault is None


class Nodes:
    """All of them, and the connections between those of different nodes.

    Args:
        crews: How many workers each node has.
        limits: Of risk control.
        outstanding_max: Of stand-in.

    Attributes:
        is_up: Whether these connections stand.
        carried_bytes: By them, so far.
    """

    def __init__(self, crews: tuple[int, ...], limits: list[Any], outstanding_max: int = 1_000) -> None:
        self.crews = crews
        self.limits = limits
        self.outstanding_max = outstanding_max
        self.is_up = False
        self.carried_bytes = 0
        self.nodes = [Node(self, number) for number in range(len(crews))]
        self.workers = {
            WorkerId(node, number): Worker(self, self.nodes[node], number)
            for node, crew in enumerate(crews)
            for number in range(crew)
        }
        self.meet()

    def __getitem__(self, worker: tuple[int, int]) -> Worker:
        return self.workers[WorkerId(*worker)]

    def _ends(self, of: WorkerId | None = None) -> list[tuple[WorkerId, WorkerId]]:
        return [
            (one, other)
            for one in self.workers
            for other in self.workers
            if one.node != other.node and (of is None or of in {one, other})
        ]

    def meet(self, of: WorkerId | None = None) -> None:
        """All connections stand, or all of one worker."""
        self.is_up |= of is None
        for one, other in self._ends(of):
            self.workers[one].engine.meet(self.workers[one].peers[other])
        self.carry()

    def part(self, of: WorkerId | None = None) -> None:
        """They are gone, with all that is under way on them."""
        self.is_up &= of is not None
        for one, other in self._ends(of):
            peer = self.workers[one].peers[other]
            peer.take_output()
            self.workers[one].engine.part(peer)

    def carry(self) -> None:
        """Carry what there is until nothing is left."""
        moved = True
        while moved:
            moved = False
            for one, other in self._ends():
                if said := self.workers[one].say(other):
                    self.workers[other].hear(one, said)
                    self.carried_bytes += len(said)
                    moved = True

    def replace(self, worker: tuple[int, int]) -> None:
        """A worker dies, and its successor goes on with what is not lost."""
        who = WorkerId(*worker)
        if self.is_up:
            self.part(who)
        self.workers[who] = Worker(self, self.nodes[who.node], who.number)
        if self.is_up:
            self.meet(who)
