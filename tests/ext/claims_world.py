"""A switch of some partitions, in one worker or in two, each with a journal of its own; workers can be killed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from switch.base.stats import Stats
from switch.journal import replay_into
from switch.journal.claim_search import look_up
from switch.journal.commit import JournalFiles
from switch.journal.disk import ScriptedDisk
from switch.journal.original_search import Finder
from switch.machine.originals import Original, Wanted
from switch.machine.partitioning import partition_of
from switch.mesh.mesh import Mesh
from switch.mesh.peer import Peer
from switch.server.assembly import Part
from tests.ext.journal_world import BUFFER_BYTES, DAYS, KEY, SEGMENT_BYTES, WINDOW_SECONDS, ZONE_SECONDS, records_of
from tests.ext.memory_disk import MemoryDisk
from tests.ext.world import MERCHANT, Document, IssuerLine, TerminalLine, World, change, link, listener, purchase

SALE, TILL, OTHER_TILL = "10000002", "10000008", "10000001"
"""Terminals of one merchant, of four partitions each of another one; with two workers the second one has the first and
the last."""

PATIENCE_S = 5.0
PROCESSING = {"refund": ("0220", "200000"), "void": ("0200", "020000"), "refund_void": ("0200", "220000")}


class Worker(World):
    """One of them, begun with what its partitions' disks hold."""

    def __init__(self, switch: Switch, owned: Sequence[int], now_s: float) -> None:
        self.owned = owned
        self.is_slow = False  # it does not look originals up
        self.is_certain = True  # all of its journal can be read
        self.finders: dict[int, Finder] = {}
        super().__init__(
            listeners=[listener("iso", "iso87-ascii", mac="optional")],
            links=[link("bank-a", "iso87-ascii", reversal={"booking_horizon_seconds": 0})],
            routes=["6,,,,,,bank-a:1"],
            journals=[JournalFiles(BUFFER_BYTES, Stats(262_144), partition=number) for number in owned],
            part=Part(switch.count, owned),
            originals=switch.originals,
            limits=switch.limits,
        )
        self.now_s = now_s
        self._set_clock()
        self.disks = {number: ScriptedDisk(switch.disks[number]) for number in owned}
        self.switch = switch
        if len(switch.owned) > 1:
            self.peer = Peer(0, "the other", self.engine.channels, [one.connections for one in self.engine.state.links])
            owners = [None if number in owned else 0 for number in range(switch.count)]
            self.engine.join(Mesh([self.peer], owners, 1_000))
        for state, journal in zip(self.engine.partitions.states, self.journals, strict=True):
            replay_into(
                state,
                journal,
                self.disks[state.partition],
                KEY,
                segment_bytes=SEGMENT_BYTES,
                window_seconds=WINDOW_SECONDS,
                boot="first start",
            )

    def sync(self) -> None:
        """What was written becomes durable, if the worker is there."""
        for journal in self.journals if self.syncs else ():
            journal.commit()

    def seek(self) -> None:
        """Look originals up as the daemon's thread does: what is found may be out of date when it is told."""
        self.sync()
        found = [(one, self._found(one)) for one in (() if self.is_slow else self.engine.take_wanted())]
        for one, (original, is_certain) in found:
            self.engine.settle(one, original, self.is_certain and is_certain)

    def _found(self, wanted: Wanted) -> tuple[Original | None, bool]:
        finder = self.finders.get(wanted.partition)
        if finder is None:
            disk = ScriptedDisk(self.switch.disks[wanted.partition])
            finder = self.finders[wanted.partition] = Finder(disk, KEY, days=DAYS)
        finder.refresh()
        return look_up(finder, wanted, ZONE_SECONDS)


class Switch:
    """All of it.

    Args:
        owned: The partitions of each worker.
        limits: A section of the configuration.
        originals: Another one.
    """

    def __init__(
        self, owned: Sequence[Sequence[int]], *, limits: Mapping[str, Any] | None = None, **originals: Any
    ) -> None:
        self.owned = owned
        self.limits = limits
        self.originals = originals
        self.now_s = 100.0
        self.count = sum(map(len, owned))
        self.disks = {number: MemoryDisk() for number in range(self.count)}
        self.workers = [Worker(self, numbers, self.now_s) for numbers in owned]
        self.is_cut = False
        self.meet()

    def worker_of(self, terminal: str) -> Worker:
        """Who decides about a terminal."""
        number = partition_of(terminal, self.count)
        return next(worker for worker in self.workers if number in worker.owned)

    # --- the mesh ---------------------------------------------------------------------------------------------------

    def meet(self) -> None:
        """The connection of the mesh stands."""
        if len(self.workers) > 1:
            self.is_cut = False
            for worker in self.workers:
                worker.engine.meet(worker.peer)

    def part(self) -> None:
        """It is gone, with all that is under way on it."""
        if len(self.workers) > 1 and not self.is_cut:
            self.is_cut = True
            for worker in self.workers:
                worker.peer.take_output()
                worker.engine.part(worker.peer)

    def carry(self) -> None:
        """What workers say to each other arrives."""
        if len(self.workers) == 1 or self.is_cut:
            return
        for worker, other in (self.workers, self.workers[::-1]):
            worker.engine.woken()
            said = worker.peer.take_output()
            assert other.engine.hear(other.peer, said) == len(said)
            assert (worker.peer.fault, other.peer.fault) == (None, None)

    def kill(self, number: int) -> None:
        """Kill one worker, and start it again on what its disks hold."""
        self.part()
        for partition in self.workers[number].owned:
            self.disks[partition] = self.disks[partition].copy()
        stans = self.workers[number]._stans
        self.workers[number] = Worker(self, self.owned[number], self.now_s)
        self.workers[number]._stans = stans
        self.workers[number].issuer()
        self.meet()

    def step(self, seconds: float = 0.05, steps: int = 10) -> None:
        """Let time pass, look up, and carry."""
        for _ in range(steps):
            self.now_s += seconds
            for worker in self.workers:
                worker.seek()
                worker.advance(worker.now_s and self.now_s - worker.now_s, step=seconds)
                worker.sync()
            self.carry()

    # --- what terminals and issuers do ------------------------------------------------------------------------------

    def ask(self, document: Document, code: str = "00", **changes: str | None) -> tuple[Document | None, Document]:
        """What the issuer was asked, if it was, and what the terminal was told."""
        line = self.send(document)
        self.step()
        asked = self.answer(document["41"], code, **changes)
        self.step()
        told = line.read_one()
        self.step()
        line.close()
        return asked, told

    def send(self, document: Document) -> TerminalLine:
        """A terminal asks, and waits."""
        worker = self.worker_of(document["41"])
        if not any(isinstance(line, IssuerLine) for line in worker.lines):
            worker.issuer()
        line = worker.terminal()
        line.send(document)
        return line

    def answer(self, terminal: str, code: str = "00", **changes: str | None) -> Document | None:
        """The issuer answers what it was asked by the worker of a terminal; the last of it."""
        asked = None
        for line in list(self.worker_of(terminal).lines):
            if isinstance(line, IssuerLine):
                for asked in line.read():
                    line.answer(asked, code, **changes)
        return asked

    def sold(self, **changes: str | None) -> tuple[Document, Document, Document]:
        """A sale: what was sent, asked and told."""
        request = self.purchase(SALE, **changes)
        asked, told = self.ask(request)
        assert asked is not None
        assert told["39"] == "00"
        return request, asked, told

    def purchase(self, terminal: str, **changes: str | None) -> Document:
        """A purchase of one of the tills."""
        document = purchase(self.workers[0], f41=terminal, f42=MERCHANT)
        return change(document, **changes)

    def undoing(self, kind: str, terminal: str, told: Document, **changes: str | None) -> Document:
        """A refund or void of what a terminal was told, at any till."""
        mti, code = PROCESSING[kind]
        return self.purchase(terminal, **{"t": mti, "f3": code, "f37": told["37"], "f4": told["4"], **changes})

    def records(self, terminal: str) -> list[dict[str, Any]]:
        """What a terminal's partition has written down."""
        return records_of(self.disks[partition_of(terminal, self.count)])[0]
