"""The mesh: what workers say to each other arrives late, in pieces, in part, or one way only."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import TYPE_CHECKING

from switch.mesh.mesh import Mesh as EngineMesh
from switch.mesh.peer import Peer
from switch.mesh.record_values import encode_record

from .clock import MS, SECOND

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from .acquirer import Acquirer
    from .worker import Worker

LATENCIES_MS = (0, 0, 0, 0, 1, 20, 200)
"""Mostly as through a ring, sometimes as between machines."""

FAR_LATENCIES_MS = (1, 20, 200)
"""Between workers of two nodes."""

STALL_NS_MAX = 3 * SECOND
NOTICE_NS = (0, 20 * MS, 400 * MS, 3 * SECOND)
"""At most so long after its end a connection's end is noticed; each side has its own luck."""

ONE_WAY_NS_MAX = 6 * SECOND
"""So long somebody may speak to who hears nothing, before both know."""

CALL_AGAIN_NS_MAX = SECOND
PIECES = 0.3
"""How often what is said is cut, where chunks are."""

LATE_NS = 2 * (STALL_NS_MAX + SECOND)
"""What goes through the mesh there and back, or waits for it, is this late at most."""


COUNTS_LATE_NS = 2 * SECOND
"""So much later at most other nodes know what one has counted, while nothing holds their connections up."""


class Side:
    """One worker's end of a connection of the mesh."""

    def __init__(self, worker: Worker, peer: Peer) -> None:
        self.worker = worker
        self.peer = peer
        self.generation = worker.generation
        self.has_met = False
        self.is_over = False
        self.heard = b""
        self.free_ns = 0  # when what it has said has arrived
        self.kept = -1  # of what it has said, so many bytes arrive yet; below 0: all
        self.under_way = 0

    @property
    def is_there(self) -> bool:
        """Whether its worker is still the one that it was made for, and believes in it."""
        return not self.is_over and self.generation == self.worker.generation

    def drop(self, draw: Random) -> None:
        """Of what is under way any part arrives, and nothing of what is said from now on."""
        if self.kept < 0:
            self.kept = draw.choice((0, self.under_way, draw.randrange(self.under_way + 1)))


class Connection:
    """One connection between two workers.

    Args:
        mesh: Of all.
        caller: Who has called.
        called: Who is called.
    """

    def __init__(self, mesh: Mesh, caller: Side, called: Side) -> None:
        self._mesh = mesh
        self._clock = mesh.clock
        self.caller = caller
        self.called = called
        self.is_ending = False
        node_of = mesh.acquirer.options.node_of
        self.is_far = node_of(caller.worker.number) != node_of(called.worker.number)
        self._after(called, self._arrived_call)

    def other(self, side: Side) -> Side:
        """The one at the other end."""
        return self.called if side is self.caller else self.caller

    @property
    def is_whole(self) -> bool:
        """Whether both sides have met, and all that they say arrives."""
        sides = (self.caller, self.called)
        return not self.is_ending and all(side.has_met and side.is_there and side.kept < 0 for side in sides)

    # --- beginning ------------------------------------------------------------------------------------------------

    def _arrived_call(self) -> None:
        if not (self.caller.is_there and self.called.is_there and self.called.worker.is_up):
            self.end()
            return
        self._mesh.replace(self)
        self._after(self.caller, self._meet, self.caller)
        self._meet(self.called)

    def _meet(self, side: Side) -> None:
        """A side knows that the other one is there."""
        if not side.is_there or side.kept == 0 or self.other(side).kept == 0:
            return
        side.has_met = True
        self._mesh.held_up(self._clock.now_ns)
        worker = side.worker
        worker.tell(f"meets worker {self.other(side).worker.number}")
        worker.set_calendar()
        worker.engine.meet(side.peer)
        worker.engine.hear(side.peer, self._mesh.heard_of(worker, self.other(side).worker))
        worker.flush()

    # --- bytes ----------------------------------------------------------------------------------------------------

    def _after(self, to: Side, what: Callable[..., None], *arguments: object) -> None:
        """Behind all that was said to a side."""
        side, clock = self.other(to), self._clock
        side.free_ns = max(side.free_ns, clock.now_ns + self._mesh.latency_ns(is_far=self.is_far))
        clock.errand(side.free_ns - clock.now_ns, what, *arguments)

    def say(self, side: Side) -> None:
        """Carry what a side has to say."""
        said = side.peer.take_output()
        if side.peer.fault is not None:
            self._mesh.acquirer.checker.report("mesh", f"a worker cannot go on: {side.peer.fault}")
        if not said or side.kept >= 0:
            return
        for piece in self._mesh.pieces(said, is_far=self.is_far):
            side.under_way += len(piece)
            self._after(self.other(side), self._arrive, side, piece)

    def _arrive(self, side: Side, piece: bytes) -> None:
        side.under_way -= len(piece)
        if side.kept >= 0:
            piece = piece[: side.kept]
            side.kept -= len(piece)
        to = self.other(side)
        if not (piece and to.is_there and to.has_met):
            return
        worker = to.worker
        worker.set_calendar()
        heard = to.heard + piece
        to.heard = heard[worker.engine.hear(to.peer, heard) :]
        if to.peer.fault is not None:
            self._mesh.acquirer.checker.report("mesh", f"a worker is not understood: {to.peer.fault}")
        worker.flush()

    def stall(self, side: Side, for_ns: int) -> None:
        """What a side says arrives later."""
        self._mesh.was_out_of_reach |= not (self.caller.has_met and self.called.has_met)
        side.free_ns = max(side.free_ns, self._clock.now_ns) + for_ns
        self._mesh.held_up(side.free_ns)

    # --- ending ---------------------------------------------------------------------------------------------------

    def cut_one_way(self, side: Side) -> None:
        """Nothing that a side says arrives any more; after a while both give up."""
        side.drop(self._mesh.draw)
        self._clock.errand(int(self._mesh.draw.random() * ONE_WAY_NS_MAX), self.end)  # a run waits for that

    def end(self) -> None:
        """It has ended: each side learns of it in its own time, and hears what still arrives before that."""
        if self.is_ending:
            return
        self.is_ending = True
        draw = self._mesh.draw
        for side in (self.caller, self.called):
            side.drop(draw)
            self._clock.errand(draw.randrange(draw.choice(NOTICE_NS) + 1), self.notice, side)

    def notice(self, side: Side) -> None:
        """A side knows that it is over."""
        if not side.is_there:
            return
        side.is_over = True
        if side.has_met:
            self._mesh.part(side)
        if side is self.caller:
            self._mesh.call_later(side.worker, self.called.worker)


class Mesh:
    """All connections between workers.

    Args:
        acquirer: The switch.

    Attributes:
        was_out_of_reach: Whether any worker could not be reached by another, ever.
    """

    def __init__(self, acquirer: Acquirer) -> None:
        self.acquirer = acquirer
        self.clock = acquirer.clock
        self.draw = acquirer.options.stream("mesh")
        self._latency_ns = self.draw.choice(LATENCIES_MS) * MS
        self._far_latency_ns = acquirer.options.stream("far mesh").choice(FAR_LATENCIES_MS) * MS
        self._cuts = PIECES if acquirer.options.rates()["fragment"] else 0.0
        self._far_cuts = PIECES
        self._held_up_ns = 0
        self._peers: dict[tuple[int, int], Peer] = {}
        self._connections: dict[tuple[int, int], Connection] = {}
        self.was_out_of_reach = False

    def latency_ns(self, *, is_far: bool) -> int:
        """How long the next thing that is said takes, on one node or between two."""
        return int((self._far_latency_ns if is_far else self._latency_ns) * (0.5 + self.draw.random()))

    def pieces(self, said: bytes, *, is_far: bool) -> list[bytes]:
        """What is said, whole or cut anywhere, on one node or between two."""
        cuts = self._far_cuts if is_far else self._cuts
        if not cuts or self.draw.random() >= cuts:
            return [said]
        places = sorted({0, len(said), *(self.draw.randrange(len(said)) for _ in range(3))})
        return [said[start:end] for start, end in pairwise(places)]

    def calm_down(self) -> None:
        """From now on nothing is cut."""
        self._cuts = self._far_cuts = 0.0

    # --- what nodes know of each other ----------------------------------------------------------------------------

    def held_up(self, until_ns: int) -> None:
        """What is said somewhere before then may arrive late."""
        self._held_up_ns = max(self._held_up_ns, until_ns)

    @property
    def counts_known_ns(self) -> int:
        """All that was counted by then is known to all nodes now; -1: nobody knows what is."""
        options, known_ns = self.acquirer.options, self.clock.now_ns - COUNTS_LATE_NS
        connections = (
            self._connections.get(pair)
            for pair in combinations(range(options.workers), 2)
            if options.node_of(pair[0]) != options.node_of(pair[1])
        )
        is_whole = all(connection is not None and connection.is_whole for connection in connections)
        return known_ns if is_whole and known_ns >= self._held_up_ns else -1

    # --- what workers have heard of each other's journals ----------------------------------------------------------

    def heard_of(self, owner: Worker, by: Worker) -> bytes:
        """What somebody says of the journals of an owner when they meet."""
        heard = by.engine.mesh.heard
        return b"".join(
            encode_record("journal", partition=number, epoch=epoch, life=life, position=position)
            for number in owner.part.owned
            for epoch, life, position in [heard.newest(number)]
        )

    def newer_than(self, owner: Worker) -> list[str]:
        """Why one that starts is told, by any that is up, that its journals are older copies, as it asks them."""
        return [
            f"worker {other.number} of partition {state.partition}: {why}"
            for other in self.acquirer.workers
            if other is not owner and other.is_up
            for state in owner.engine.partitions.states
            if (why := state.journal.why_outdated(*other.engine.mesh.heard.newest(state.partition)))
        ]

    def knows_more_than(self, owner: Worker) -> bool:
        """Whether any that is up has heard of a later life, or of more, than there was when an owner was started."""
        for other in self.acquirer.workers:
            for state in owner.engine.partitions.states if other is not owner and other.is_up else ():
                epoch, _, position = other.engine.mesh.heard.newest(state.partition)
                if epoch >= state.journal.epoch or position > state.journal.began:
                    return True
        return False

    # --- workers --------------------------------------------------------------------------------------------------

    def begin(self, worker: Worker) -> None:
        """Make place for the others in a new process."""
        options = self.acquirer.options
        if options.workers == 1:
            return
        place = worker.place
        peers = []
        for other in place.others:
            number = options.worker_ids.index(other)
            connections = [link.connections for link in worker.engine.state.links]
            peer = Peer(len(peers), str(number), worker.engine.channels, connections)
            self._peers[worker.number, number] = peer
            peers.append(peer)
        self.acquirer.memory_of(worker.number).share_counts(place, peers[len(place.mates) :])
        owners = place.owners(options.partitions)
        worker.engine.join(EngineMesh(peers, owners, worker.config.limits.partition_wait_ms))

    def call_others(self, worker: Worker) -> None:
        """A worker is up: it calls those with lower numbers, as others call it."""
        for number in range(worker.number):
            self._call(worker, self.acquirer.workers[number], worker.generation)

    def call_later(self, worker: Worker, other: Worker) -> None:
        """A connection has ended."""
        self.clock.after(self.draw.randrange(CALL_AGAIN_NS_MAX), self._call, worker, other, worker.generation)

    def _call(self, worker: Worker, other: Worker, generation: int) -> None:
        if generation != worker.generation:
            return
        if not other.is_up:
            self.was_out_of_reach = True
            self.call_later(worker, other)
            return
        sides = (self._side(worker, other), self._side(other, worker))
        Connection(self, *sides)

    def _side(self, worker: Worker, other: Worker) -> Side:
        return Side(worker, self._peers[worker.number, other.number])

    def replace(self, connection: Connection) -> None:
        """A call has come: what stood before is over, whatever the called one knows of that itself."""
        pair = (connection.called.worker.number, connection.caller.worker.number)
        earlier = self._connections.get(pair)
        if earlier is not None:
            earlier.notice(earlier.called)
        self._connections[pair] = connection

    def part(self, side: Side) -> None:
        """A worker has lost a connection."""
        worker = side.worker
        self.was_out_of_reach = True
        self.acquirer.tally.partings += 1
        worker.tell(f"loses worker {side.peer.name}")
        self.acquirer.checker.mesh_parted(worker.settled)
        worker.set_calendar()
        worker.engine.part(side.peer)
        worker.flush()

    def left(self, worker: Worker) -> None:
        """A worker's process is gone."""
        for pair, connection in self._connections.items():
            if worker.number in pair:
                self.was_out_of_reach = True
                connection.end()

    def send(self, worker: Worker) -> None:
        """Carry what a worker has to say."""
        for pair, connection in self._connections.items():
            if worker.number in pair:
                side = connection.called if worker.number == pair[0] else connection.caller
                if side.has_met and side.is_there:
                    connection.say(side)

    # --- trouble --------------------------------------------------------------------------------------------------

    def trouble(self, fault: str) -> None:
        """Let something happen to one of the connections."""
        pair = self.draw.choice(list(combinations(range(self.acquirer.options.workers), 2)))
        connection = self._connections.get(pair)
        if connection is None:
            return
        side = self.draw.choice((connection.caller, connection.called))
        if fault == "broken_mesh":
            connection.end()
        elif fault == "one_way_mesh":
            connection.cut_one_way(side)
        else:
            connection.stall(side, int(self.draw.random() * STALL_NS_MAX))
