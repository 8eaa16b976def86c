"""The whole switch: one or several workers, what they have in common, and who of them is called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from switch.machine.partitioning import partition_of
from switch.saf.owed_entries import NotOwed, close_entry, retry_entry

from .checker import NEVER_BOOKED
from .clock import SECOND
from .mesh import Mesh
from .node import NodeMemory
from .storage import Storage
from .worker import Worker
from .world import LINKS

if TYPE_CHECKING:
    from random import Random

    from switch.machine.state import State
    from switch.path.engine import Engine

    from .checker import Checker
    from .clock import Clock
    from .issuer import Issuer
    from .network import End, Weather, Wire
    from .options import Options
    from .tally import Tally
    from .world import World

ONE_SLOW_DISK = 0.7
"""How likely only one of several disks is ever slow."""


NODE_AWAY_NS_MAX = 20 * SECOND


def _named(entry: dict[str, Any]) -> dict[str, str]:
    """By what somebody names what is owed."""
    return {name: entry[name] for name in ("rrn", "what", "link")}


class Acquirer:
    """One switch, whose processes may be killed and started again, one or all.

    Args:
        world: Configuration and tables.
        options: The run.
        clock: Virtual time.
        weather: The network.
        issuers: Those whom the links dial.
        checker: Is told when the switch does not start.
        tally: Counts crashes.

    Attributes:
        arrangement: Which of its configurations it has.
        booted_ns: When its machine was started.
        life: How often all its processes have ended together.
        lives: By node, how often what its workers had counted together was lost.
    """

    def __init__(
        self,
        world: World,
        options: Options,
        clock: Clock,
        weather: Weather,
        issuers: list[Issuer],
        checker: Checker,
        tally: Tally,
    ) -> None:
        self.world = world
        self.clock = clock
        self.weather = weather
        self.issuers = issuers
        self.checker = checker
        self.tally = tally
        self.options = options
        self.draw_disks = options.stream("disks")
        self.draw_nodes = options.stream("lost nodes")
        self.storages = [
            Storage(world.config, options, tally, number) for number in range(options.partitions) if options.journal
        ]
        if self.storages and self.draw_disks.random() < ONE_SLOW_DISK:
            slow = self.draw_disks.choice(self.storages)
            for storage in self.storages:
                if storage is not slow:
                    storage.be_quick()
        self._reconfigure = options.rates()["reconfigure"]
        self._balance = options.stream("balancer")
        self._shares_links = options.shares_links
        self.is_one_process = options.workers == 1
        self.arrangement = 0
        self.booted_ns = 0
        self.life = 0
        self.is_draining = False
        self.lives = [0 for _ in range(options.nodes)]
        self.memories = [NodeMemory(world, 0, options, node) for node in range(options.nodes)]
        self.mesh = Mesh(self)
        self.workers = [Worker(self, number) for number in range(options.workers)]
        for worker in self.workers:
            worker.build()

    # --- life -----------------------------------------------------------------------------------------------------

    @property
    def is_up(self) -> bool:
        """Whether any of its workers is."""
        return any(worker.is_up for worker in self.workers)

    def start(self) -> None:
        """Start all workers."""
        for worker in self.workers:
            worker.start()

    def kill(self, *, loses_power: bool) -> None:
        """End all processes, or the machine under them, without a word; others come soon."""
        if not self.storages or not self.is_up:
            return
        self.clock.tell("switch", "loses power" if loses_power else "is killed")
        self.tally.crashes += 1
        self.end(loses_power=loses_power)

    def kill_within(self, calls: int) -> None:
        """End a process in the middle of one of its next calls to a disk."""
        if self.storages and self.is_up:
            number = self.draw_disks.randrange(len(self.storages))
            if self.workers[self.options.owners[number]].is_up:
                self.storages[number].disk.calls_left = calls

    def end(self, *, loses_power: bool, may_be_reconfigured: bool = True) -> None:
        """All processes are gone, for whatever reason; others come soon."""
        draw = self.workers[0].draw
        self.tally.endings += 1
        self.is_draining = False
        if may_be_reconfigured and self._reconfigure and draw.random() < self._reconfigure:
            self.tally.fault("reconfigure")
            self.arrangement = draw.randrange(len(self.world.arrangements))
        for worker in self.workers:
            worker.leave(loses_power=loses_power)
        for storage in self.storages:
            storage.restart(loses_power=loses_power)
        if loses_power:
            self.booted_ns = self.clock.now_ns - draw.randrange(10) * SECOND  # the monotonic clock begins anew
        self._build_anew()
        for worker in self.workers:
            worker.start_soon()

    def _build_anew(self) -> None:
        self.life += 1
        for node in range(self.options.nodes):
            self._forget_counts(node)
        for worker in self.workers:
            worker.build()

    def _forget_counts(self, node: int) -> None:
        self.lives[node] += 1
        self.memories[node] = NodeMemory(self.world, self.arrangement, self.options, node)

    def memory_of(self, worker: int) -> NodeMemory:
        """What the workers of a worker's node count together."""
        return self.memories[self.options.node_of(worker)]

    def left_alone(self, worker: int) -> None:
        """A process has ended, and another one comes: what it had counted is lost if it was the only one of a node."""
        node = self.options.node_of(worker)
        if self.options.nodes > 1 and len(self._crew(node)) == 1:
            self._forget_counts(node)

    def _crew(self, node: int) -> list[Worker]:
        return [worker for worker in self.workers if worker.place.node == node]

    def lose_node(self, node: int) -> None:
        """All processes of a node end without a word, with all that they had counted; others come later."""
        crew = self._crew(node)
        if not self.storages or not any(worker.is_up for worker in crew):
            return
        self.clock.tell("switch", f"loses node {node}")
        self.tally.crashes += 1
        if self.is_draining:
            for worker in crew:
                worker.kill()
            return
        self.tally.endings += 1
        for worker in crew:
            worker.leave(loses_power=False)
            for storage in worker.storages:
                storage.restart(loses_power=False)
        self._forget_counts(node)
        away_ns = self.draw_nodes.randrange(NODE_AWAY_NS_MAX)
        for worker in crew:
            worker.build()
            worker.start_soon(away_ns)

    def bring_back_the_links(self) -> None:
        """Somebody reads why a worker does not start, and brings back what is owed something."""
        if self.is_one_process:
            self.arrangement = 0
        else:
            self.clock.after(0, self._end_for_other_links, self.life)

    def _end_for_other_links(self, life: int) -> None:
        if life == self.life:
            self.arrangement = 0
            self.end(loses_power=False, may_be_reconfigured=False)

    def drain(self) -> None:
        """Stop in good order, and start again."""
        if not self.storages or not self.is_up or self.is_draining:
            return
        self.clock.tell("switch", "drains")
        self.is_draining = True
        for worker in self.workers:
            if worker.is_up:
                worker.drain()
            else:
                worker.leave(loses_power=False)  # who was about to be started is not

    def left_for_good(self) -> None:
        """One of several workers has ended in a drain: when all have, others come."""
        if not self.is_up:
            self.end(loses_power=False)

    def calm_down(self) -> None:
        """Trouble is over."""
        self._reconfigure = 0.0
        if self.arrangement:
            self.arrangement = 0
            if self.is_up:
                self.end(loses_power=False)
            else:
                self._build_anew()
        self.mesh.calm_down()
        for worker in self.workers:
            worker.calm_down()
        for storage in self.storages:
            storage.calm_down()

    def finish(self) -> None:
        """Stop for good, with all that is known written down."""
        for storage in self.storages:
            storage.journal.stop()

    # --- those who call -------------------------------------------------------------------------------------------

    def accept(self, peer: End, listener: int) -> Wire | None:
        """A terminal calls, and gets any of the workers; None when nobody answers."""
        ready = [worker for worker in self.workers if worker.is_open]
        if not ready:
            return None
        worker = ready[0] if self.is_one_process else self._balance.choice(ready)
        return worker.accept(peer, listener)

    def say_at_once(self, terminal: str, listener: int, peer: End, data: bytes) -> bool:
        """Somebody calls and is heard in this moment by who decides of a terminal; false when nobody answers."""
        return self.owner_of(terminal).say_at_once(listener, peer, data)

    def connections_of(self, wanted: int, worker: int) -> int:
        """How many connections of a link, of which there are so many for each or in all, are one worker's."""
        place = self.workers[worker].place
        return len(range(place.rank, wanted, place.ranks)) if self._shares_links else wanted

    # --- what is decided where ------------------------------------------------------------------------------------

    def owner_of(self, terminal: str) -> Worker:
        """The worker that decides of a terminal."""
        return self.workers[self.options.owners[partition_of(terminal, self.options.partitions)]]

    def life_of(self, terminal: str) -> int:
        """How often that worker has ended."""
        return self.owner_of(terminal).generation

    def counting(self, terminal: str) -> tuple[tuple[int, int], int]:
        """In which life of which node's counts a terminal's payments are counted now; and what was counted on other
        nodes until when is known there."""
        node = self.options.node_of(self.owner_of(terminal).number)
        return (node, self.lives[node]), self.mesh.counts_known_ns

    def has_disk_trouble(self, terminal: str) -> bool:
        """Whether the disk of a terminal's partition has ever refused something."""
        return bool(self.storages) and self.storages[partition_of(terminal, len(self.storages))].has_had_trouble

    def may_refuse_unwritten(self, terminal: str) -> bool:
        """Whether something of a terminal's may have been refused that nobody wrote down."""
        return self.mesh.was_out_of_reach or self.has_disk_trouble(terminal)

    # --- the operator ---------------------------------------------------------------------------------------------

    def operate(self, draw: Random) -> None:
        """Somebody looks at what is owed, and has it sent at once or gives it up."""
        if owed := self._owed():
            worker, state, entry = draw.choice(owed)
            if draw.random() < 0.6:
                retry_entry(state, **_named(entry))
            elif entry["amount_minor"] and self._close(state, entry, "settled by hand"):
                self.tally.given_up += 1
                self.checker.given_up(entry["terminal"], entry["amount_minor"], entry["rrn"])
            worker.flush()

    def close_what_was_never_booked(self) -> None:
        """Nothing is owed but what issuers do not find, of which the switch has told its operator: he asks them, and
        closes that of which their ledgers have nothing. What one of them has booked stays owed."""
        owed = self._owed()
        if all(
            entry["what"] == "reversal" and entry["not_found"] and entry["rrn"] in worker.alerts
            for worker, _, entry in owed
        ):
            for _, state, entry in owed:
                issuer = self.issuers[LINKS.index(entry["link"])]
                is_booked = issuer.has_booked(entry["terminal"], entry["amount_minor"], entry["rrn"])
                if not is_booked and self._close(state, entry, NEVER_BOOKED):
                    self.tally.never_booked += 1
            for worker in self.workers:
                if worker.is_up:
                    worker.flush()

    def _owed(self) -> list[tuple[Worker, State, dict[str, Any]]]:
        return [(worker, state, entry) for worker in self.workers for state, entry in worker.owed()]

    def _close(self, state: State, entry: dict[str, Any], reason: str) -> bool:
        try:
            close_entry(state, name="night", reason=reason, **_named(entry))
        except NotOwed as refusal:
            self.clock.tell("operator", str(refusal))
            return False
        self.clock.tell("operator", f"gives up the {entry['what']} of {entry['amount_minor']}")
        return True

    # --- at rest --------------------------------------------------------------------------------------------------

    @property
    def engines(self) -> list[Engine]:
        """Of all workers."""
        return [worker.engine for worker in self.workers]

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is in flight, nothing is owed and nothing waits for the disk."""
        return not self.is_draining and all(worker.is_quiet for worker in self.workers)
