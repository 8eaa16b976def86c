"""What one run is: everything follows from these few values, so that a failure can be told in one line."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from random import Random

from switch.config.mesh_sections import Node
from switch.server.place import WorkerId, owned_by

from .world import Setting

FAULTS = (
    "fragment",  # chunks are cut anywhere, down to single bytes
    "delay",  # a direction of a connection stands still for seconds
    "reset",  # a connection breaks, with all that was under way on it
    "half_open",  # a peer vanishes; the other side learns nothing of it
    "short_send",  # the kernel takes a part of what is sent, and the rest later, or never
    "failed_send",  # it takes nothing, for the peer is gone
    "duplicate",  # messages come twice, in both directions
    "late",  # issuers answer after everybody has given up
    "silent",  # issuers book a request, or not, and say nothing
    "reorder",  # issuers answer in another order, and on another connection
    "abandon",  # terminals hang up and never come back to what they have begun
    "forge",  # messages that nobody entitled to it has sent
    "reuse",  # terminals use a number and moment twice, for another amount
    "replay",  # somebody sends once more what a terminal has said before
    "garble",  # messages that cannot be read, or that nobody asked for
    "queued",  # issuers take a request up seconds after it came: its reversal may be done by then
    "overtaken",  # issuers charge a request though they were told before that it is reversed
    "partial",  # issuers approve a part of the amount
    "rest",  # issuers sign off, and on again
    "busy",  # issuers answer a reversal with "system malfunction"
    "jump",  # the wall clock of the switch jumps
    "flap",  # an issuer goes away and comes back
    "outage",  # all issuers are away for long
    "failing_notes",  # what is told the log raises an error
    "operator",  # somebody hastens what is owed, or gives it up
    "reconfigure",  # its configuration is another one when it is started again
    "drain",  # the switch is drained in the middle
    "crash",  # the switch is killed at any moment and started again
    "power",  # so is its machine: what was not synced may be lost
    "slow_disk",  # fdatasync takes long
    "failed_disk",  # a write or fdatasync fails
    "short_write",  # the disk takes a part of what is written, and the rest when it is asked again
    "full_disk",  # there is no room left
    "bit_rot",  # what was written is not what is read
)
"""Kinds of trouble; each has a rate of its own in each run."""

JOURNAL_FAULTS = frozenset(
    {"reconfigure", "drain", "crash", "power", "slow_disk", "failed_disk", "short_write", "full_disk", "bit_rot"}
    | {"killed_worker", "lost_node", "old_copy"}
)
"""Those that only a switch with a journal can outlive."""

TERMINALS_MAX = 5
MESH_FAULTS = (
    "killed_worker",  # one of several workers is killed at any moment, and started again
    "broken_mesh",  # a connection between two workers breaks, with any part of what was under way on it
    "one_way_mesh",  # nothing comes through it one way, while the other goes on, until both notice
    "stalled_mesh",  # what one of them says arrives seconds later
    "lost_node",  # where there are several nodes, all workers of one are killed at once, and it comes back later
    "old_copy",  # one of several workers comes back on a copy of its disks that was taken earlier
)
"""The same, where there are several workers."""

PARTITIONS = (1, 1, 1, 2, 3, 4)
WORKERS = (1, 2, 2, 3)
"""At most as many as there are partitions."""

NODES = (1, 1, 1, 2)
"""At most as many as there are workers."""

ONE_MORE = 0.5
"""How likely there is one worker more where there are several nodes, as far as there are partitions for it: so one of
them has more than the others."""

REQUESTS_MAX = 6
LONG_RUNS, LONG_REQUESTS_MAX = 0.02, 40
"""Few runs are long enough for the journal to go on in another file."""

TIGHT_RUNS, TIGHT_RUNS_OF_NODES = 0.15, 0.4
"""With little room, so that limits are met; more of those in which nodes must tell each other how near these are."""

BINARY_RUNS = 0.3
"""With dialects of packed digits."""

CALM, ROUGH, TERRIBLE = 0.02, 0.12, 0.4


@dataclass(frozen=True)
class Options:
    """One run.

    Attributes:
        seed: Decides all that the other values leave open.
        terminals: Numbers of the terminals that take part.
        requests: How many transactions each of them makes at most.
        faults: Kinds of trouble that may happen.
        journal: Whether there is a journal; without one nothing is crashed.
        defect: Name of the deliberate defect that is switched on; empty for none.
        partitions: How many the switch has, each with a journal on a disk of its own.
        workers: How many processes it has; each owns some of the partitions.
        nodes: On how many machines they are; those of one count together.
    """

    seed: int
    terminals: tuple[int, ...]
    requests: int
    faults: tuple[str, ...]
    journal: bool = True
    defect: str = ""
    partitions: int = 1
    workers: int = 1
    nodes: int = 1

    @classmethod
    def drawn(cls, seed: int, *, journal: bool = True, defect: str = "") -> Options:
        """The run that a seed stands for."""
        draw = Random(f"{seed}/options")
        terminals = tuple(range(draw.randint(1, TERMINALS_MAX)))
        faults = tuple(fault for fault in FAULTS + MESH_FAULTS if journal or fault not in JOURNAL_FAULTS)
        requests = draw.randint(1, REQUESTS_MAX if draw.random() >= LONG_RUNS else LONG_REQUESTS_MAX)
        partitions = Random(f"{seed}/partitions").choice(PARTITIONS)
        workers = min(partitions, Random(f"{seed}/workers").choice(WORKERS))
        nodes = min(workers, Random(f"{seed}/nodes").choice(NODES))
        if nodes > 1 and Random(f"{seed}/one more").random() < ONE_MORE:
            workers = min(workers + 1, partitions, max(WORKERS))
        return cls(seed, terminals, requests, faults, journal, defect, partitions, workers, nodes)

    @property
    def is_tight(self) -> bool:
        """Whether the switch has room for a handful of transactions only, so that its limits are met."""
        return self.stream("limits").random() < (TIGHT_RUNS if self.nodes == 1 else TIGHT_RUNS_OF_NODES)

    @property
    def stands_in(self) -> bool:
        """Whether the switch approves payments in the stead of issuers that are away."""
        return self.journal and self.stream("stand-in").random() < 0.5

    @property
    def shares_connections(self) -> bool:
        """Whether the terminals of a listener, which are of several partitions, speak on one connection."""
        return self.partitions > 1 and self.stream("connections").random() < 0.5

    @property
    def shares_links(self) -> bool:
        """Whether workers have the connections to an issuer together, so that some of them have none."""
        return self.workers > 1 and self.stream("links").random() < 0.4

    @property
    def shares_cards(self) -> bool:
        """Whether all terminals see the same few cards, so that partitions meet at their limits."""
        return self.partitions > 1 and self.stream("cards").random() < 0.5

    @property
    def card_limit(self) -> int:
        """How many payments risk control lets a card make; 0: as many as it likes."""
        draw = self.stream("card limit")
        return draw.choice((2, 4)) if self.shares_cards and draw.random() < 0.5 else 0

    @property
    def setting(self) -> Setting:
        """In which world it happens."""
        is_forgetful = self.stream("window").random() < 0.25
        return Setting(self.is_tight, self.stands_in, self.stream("dialects").random() < BINARY_RUNS, is_forgetful)

    @cached_property
    def crews(self) -> tuple[int, ...]:
        """How many workers each node has: any numbers that give each worker a partition of its node's."""
        owned = [len(range(node, self.partitions, self.nodes)) for node in range(self.nodes)]
        possible = [crews for crews in product(*(range(1, most + 1) for most in owned)) if sum(crews) == self.workers]
        return self.stream("crews").choice(possible)

    @cached_property
    def worker_ids(self) -> tuple[WorkerId, ...]:
        """Who each worker is, those of one node behind those of the one before."""
        return tuple(WorkerId(node, number) for node, crew in enumerate(self.crews) for number in range(crew))

    @cached_property
    def owners(self) -> tuple[int, ...]:
        """By partition, which of the workers owns it."""
        owners = {
            partition: at
            for at, (node, number) in enumerate(self.worker_ids)
            for partition in owned_by(number, self.crews[node], self.partitions, Node(node, self.nodes))
        }
        return tuple(owners[partition] for partition in range(self.partitions))

    def node_of(self, worker: int) -> int:
        """On which node a worker is."""
        return self.worker_ids[worker].node

    def stream(self, name: str) -> Random:
        """Randomness for one purpose, whatever others have drawn: what is left out changes nothing else."""
        return Random(f"{self.seed}/{name}")

    def rates(self) -> dict[str, float]:
        """How often each kind of trouble happens: some runs are calm, some are terrible, some know one trouble only."""
        draw = self.stream("rates")
        mood = draw.choice((0.0, CALM, CALM, ROUGH, ROUGH, TERRIBLE))
        drawn = {fault: mood * draw.choice((0.0, draw.random(), 1.0)) for fault in FAULTS}
        if draw.random() < 0.2:
            single = draw.choice(FAULTS)
            drawn = {fault: TERRIBLE if fault == single else 0.0 for fault in FAULTS}
        if self.setting.is_forgetful:
            drawn["jump"] = 0.0  # how long a window is, is told by the clock
        if self.workers > 1:
            drawn |= self._mesh_rates()
        return {fault: drawn.get(fault, 0.0) if fault in self.faults else 0.0 for fault in FAULTS + MESH_FAULTS}

    def _mesh_rates(self) -> dict[str, float]:
        draw = self.stream("mesh rates")
        mood = draw.choice((0.0, CALM, ROUGH, ROUGH, TERRIBLE))
        return {fault: mood * draw.choice((0.0, draw.random(), 1.0)) for fault in MESH_FAULTS}

    def command(self) -> str:
        """The command that replays this run."""
        whole = Options.drawn(self.seed, journal=self.journal, defect=self.defect)
        words = []
        if self.terminals != whole.terminals:
            words += ["--terminals", ",".join(map(str, self.terminals))]
        if self.requests != whole.requests:
            words += ["--requests", str(self.requests)]
        if self.faults != whole.faults:
            words += ["--faults", ",".join(self.faults) or "none"]
        if self.partitions != whole.partitions:
            words += ["--partitions", str(self.partitions)]
        if self.workers != whole.workers:
            words += ["--workers", str(self.workers)]
        if self.nodes != whole.nodes:
            words += ["--nodes", str(self.nodes)]
        if not self.journal:
            words += ["--no-journal"]
        if self.defect:
            words += ["--defect", self.defect]
        arguments = f" ARGS={shlex.quote(shlex.join(words))}" if words else ""
        return f"make simulate START={self.seed} SEEDS=1{arguments}"
