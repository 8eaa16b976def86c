"""Two workers of one switch, and the mesh between them, in a world where nothing happens unless the test does it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from switch.machine.partitioning import partition_of
from switch.mesh.mesh import Mesh
from switch.mesh.peer import Peer
from switch.server.assembly import Part
from tests.ext.world import MERCHANT, OTHER_MERCHANT, Document, TerminalLine, World, listener, purchase

COUNT = 3
OWNED = ((0, 1), (2,))
PATIENCE_MS = 1_000
MERCHANTS = {"10000002": MERCHANT, "10000003": OTHER_MERCHANT, "10000008": MERCHANT}
TERMINALS = sorted(MERCHANTS, key=lambda terminal: partition_of(terminal, COUNT))
"""One of each partition, in their order; that of partition 2 has no MAC key."""

HERE, THERE = TERMINALS[0], TERMINALS[2]
"""Terminals of partitions that the first worker and the second own."""


class Worker(World):
    """One of the two; what is read of a line brings what the mesh has for it first."""

    def __init__(self, pair: Pair, owned: tuple[int, ...], terminal: Mapping[str, Any], **parts: Any) -> None:
        self.pair = pair
        iso = listener("iso", "iso87-ascii", mac="optional", **terminal)
        super().__init__(listeners=[iso], part=Part(COUNT, owned), **parts)
        connections = [link.connections for link in self.engine.state.links]
        self.peer = Peer(0, "the other", self.engine.channels, connections)
        owners = [None if number in owned else 0 for number in range(COUNT)]
        self.engine.join(Mesh([self.peer], owners, PATIENCE_MS))

    def sync(self) -> None:
        """What was written becomes durable, and what the mesh has is carried."""
        self.pair.carry()
        for worker in self.pair.workers:
            if worker.syncs:
                World.sync(worker)
        self.pair.carry()


class Pair:
    """Two workers, and the bytes between them; ``terminal`` is said of their listener."""

    def __init__(
        self,
        owned: tuple[tuple[int, ...], ...] = OWNED,
        *,
        terminal: Mapping[str, Any] | None = None,
        **parts: Any,
    ) -> None:
        self.carries = False
        self.workers = [Worker(self, some, terminal or {}, **parts) for some in owned]
        self.first, self.second = self.workers
        self.meet()

    def meet(self) -> None:
        """The connection of the mesh stands."""
        self.carries = True
        for worker in self.workers:
            worker.engine.meet(worker.peer)
        self.carry()

    def part(self) -> None:
        """The connection is gone, with all that is under way on it."""
        self.carries = False
        for worker in self.workers:
            worker.peer.take_output()
            worker.engine.part(worker.peer)

    def carry(self, *, most: int = 1 << 30) -> None:
        """Carry what there is both ways until nothing is left, ``most`` bytes at a time."""
        if not self.carries:
            return
        moved = True
        while moved:
            moved = False
            for worker, other in ((self.first, self.second), (self.second, self.first)):
                worker.engine.woken()
                worker.engine.flush_waiting()
                left = b""
                while said := worker.peer.take_output(most):
                    left += said
                    left = left[other.engine.hear(other.peer, left) :]
                    moved = True
                assert left == b"", left
                assert (worker.peer.fault, other.peer.fault) == (None, None)

    def advance(self, seconds: float) -> None:
        """Let time pass for both."""
        for worker in self.workers:
            worker.advance(seconds)
        self.carry()

    def settle(self) -> None:
        """See that nothing is left at either of them."""
        for _ in range(40):
            for worker in self.workers:
                for line in list(worker.lines):
                    if isinstance(line, TerminalLine):
                        line.close()
                worker._bring_links_up()
                worker.sync()
                worker._acknowledge()
            states = [state for worker in self.workers for state in worker.engine.partitions.states]
            if not any(state.transactions.in_use or state.saf.in_use for state in states):
                break
            self.advance(5.0)
        for worker in self.workers:
            for line in list(worker.lines):
                line.close()
        self.carry()
        self.part()
        for worker in self.workers:
            for state in worker.engine.partitions.states:
                assert (state.transactions.in_use, state.saf.in_use, state.duplicates.untold) == (0, 0, 0)
            assert worker.engine.channels.open_count == len(worker.peer.links)


def asked_by(world: World, terminal: str, **changes: str | None) -> Document:
    """A purchase of that terminal."""
    return purchase(world, f41=terminal, f42=MERCHANTS[terminal], **changes)
