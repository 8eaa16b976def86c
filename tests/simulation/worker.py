"""One process of the switch: the compiled engine, with wires for sockets and virtual time for ticks."""

from __future__ import annotations

import contextlib
import errno
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from switch.base.calendar import Calendar
from switch.journal.recovery import RecoveryFailed
from switch.journal.replay import JournalDamaged
from switch.machine.journal_interface import JournalOff
from switch.machine.link_connections import LinkChannel
from switch.machine.listener import TerminalChannel
from switch.machine.numbering import BLOCK_NUMBERS, Numbering
from switch.saf.owed_entries import list_entries
from switch.server import assembly
from switch.server.assembly import build_engine
from switch.server.place import Place

from .clock import MS, SECOND
from .committer import Committer
from .network import Wire
from .speed import cleared_stats
from .world import LINKS, LISTENERS

if TYPE_CHECKING:
    from switch.machine.channel import Channel
    from switch.machine.originals import Wanted
    from switch.machine.state import State
    from switch.path.engine import Engine

    from .acquirer import Acquirer
    from .disk import Content
    from .issuer import Issuer
    from .network import End
    from .storage import Storage

PROGRESS_DONE, PROGRESS_MORE, PROGRESS_FULL = range(3)
LOOK_UP_NS_MAX = 2 * SECOND
DRAIN_NS_MAX = 3 * SECOND
SEEN_TO = 0.4
"""How likely it is that somebody sees to the disk before a switch that did not start is started again."""

BROKEN_SHORT = 0.3
"""How likely a connection that has taken a part of what was sent breaks before the rest."""

BY_THE_CLOCK, BEFORE_THE_LAST_STAN, BEFORE_A_NEW_ROUND = 1, 60_000_000_000, 36**7 - BLOCK_NUMBERS - 40
FIRST_NUMBERS = (BY_THE_CLOCK, BEFORE_THE_LAST_STAN, BEFORE_A_NEW_ROUND)
"""Where the clock says, before the end of a partition's STANs, and before reference numbers begin a new round; the
latter two lie behind what the clock says."""

LAST_STANS = 24
"""So many STANs are left before the end."""


def numbering_from(first: int, instance: int, instances: int) -> Numbering:
    """One that gives no number below the first."""
    numbering = Numbering(instance, instances)
    numbering.begin_behind(first)
    if first == BEFORE_THE_LAST_STAN:
        end = numbering.stan_first + numbering.stan_count
        numbering.begin_behind(first + (end - LAST_STANS - numbering.next_stan) % numbering.stan_count)
    return numbering


class Socket:
    """The switch's side of one connection, as the daemon's I/O layer would have it."""

    def __init__(self, worker: Worker, channel: Channel, redial: tuple[int, Issuer] | None) -> None:
        self.worker = worker
        self.channel = channel
        self.redial = redial
        self.wire: Wire | None = None
        self.is_open = True
        self.closing = ""
        self.backlog: list[bytes] = []
        self.chunk = b""
        self.is_paused = False
        self.fed = 0
        self.has_no_room = False

    @property
    def is_reading(self) -> bool:
        """Whether what comes in is read."""
        return self.is_open and not self.closing

    def hang_up(self, reason: str) -> None:
        """The engine asks for the end of the connection."""
        self.closing = self.closing or reason
        self.worker.tell(f"hangs up on slot {self.channel.slot}: {reason}")
        self.worker.touched[self] = None

    def received(self, _wire: Wire, data: bytes) -> None:
        """Bytes came in."""
        if self.is_reading:
            if self.is_paused:
                self.backlog.append(data)
            else:
                self.worker.feed(self, data)

    def lost(self, _wire: Wire) -> None:
        """The other side has closed, or the connection broke."""
        self.worker.close(self)


class Worker:
    """One of the switch's processes, which may be killed and started again.

    Args:
        acquirer: The whole switch.
        number: Which of its workers.

    Attributes:
        generation: How often it has ended: tells its lives apart.
    """

    def __init__(self, acquirer: Acquirer, number: int) -> None:
        self.acquirer = acquirer
        self.number = number
        self.clock = acquirer.clock
        self.checker = acquirer.checker
        node, in_node = acquirer.options.worker_ids[number]
        crews, partitions = acquirer.options.crews, acquirer.options.partitions
        stats = cleared_stats(crews[node], in_node, (acquirer.options.setting, node))
        self.place = Place(in_node, crews[node], partitions, stats, node=node, crews=crews)
        self.part = self.place.part(partitions)
        self.storages = [acquirer.storages[partition] for partition in self.part.owned if acquirer.storages]
        self.draw = acquirer.options.stream(f"plant/{number}" if number else "plant")
        self._name = f"worker {number}" if acquirer.options.workers > 1 else "switch"
        self._draw_notes = acquirer.options.stream(f"notes/{number}" if number else "notes")
        self._failing_notes = acquirer.options.rates()["failing_notes"]
        self._tick_ns = self.draw.choice((10, 50, 100, 250)) * MS
        self._committers = [Committer(self, storage, at) for at, storage in enumerate(self.storages)]
        self._first_number = acquirer.options.stream("numbers").choice(FIRST_NUMBERS)
        self.touched: dict[Socket, None] = {}
        self.gated: dict[Socket, None] = {}
        self._kept_waiting: dict[Socket, int] = {}
        self.sockets: dict[Channel, Socket] = {}
        self.alerts: set[str] = set()
        self._settled_ns = [0 for _ in self.part.owned]
        self.generation = 0
        self._copies: list[Content] = []
        self._tries_copies = False
        self.is_up = False
        self.is_draining = False

    def build(self) -> None:
        """Make its next process."""
        acquirer, options = self.acquirer, self.acquirer.options
        self.calendar = Calendar(0)
        self.set_calendar()
        stats = cleared_stats(self.place.workers, self.place.number, (options.setting, self.place.node))
        self.config, parts = acquirer.world.arrangements[acquirer.arrangement]
        memory = acquirer.memory_of(self.number)
        parts = replace(parts, risk=memory.risk(self.place))
        assembly.Numbering = partial(numbering_from, self._first_number)  # type: ignore[misc]
        self.engine: Engine = build_engine(
            self.config,
            parts,
            stats,
            self._note,
            journals=[storage.new_journal(stats) for storage in self.storages]
            or [JournalOff() for _ in self.part.owned],
            part=self.part,
            stand_ins=memory.stand_ins(stats),
            calendar=self.calendar,
            seed=self.draw.getrandbits(63),
        )
        uncertain = stats.counter("authswitch_originals_looked_up_total", "", {"result": "uncertain"})
        before = stats.value(uncertain)
        self._gave_up_looking = lambda: stats.value(uncertain) > before
        acquirer.mesh.begin(self)

    def tell(self, what: str) -> None:
        """Say what happens to it, when somebody wants to read it."""
        self.clock.tell(self._name, what)

    def _note(self, event: str, details: dict[str, Any]) -> None:
        self.tell(f"notes {event} {details}")
        if event == "reversal_not_found":
            self.alerts.add(details["rrn"])
        if self._failing_notes and self._draw_notes.random() < self._failing_notes:
            self.acquirer.tally.fault("failing_notes")
            raise OSError(errno.EIO, "the log is gone")

    def set_calendar(self) -> None:
        """Let the switch look at its clocks."""
        self.calendar.set(self.clock.now_ns - self.acquirer.booted_ns, self.clock.switch_second)

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Recover, open the doors and dial the issuers; try again later when the disk does not let it."""
        if self._tries_copies:
            self._try_copies()
        if not self._recover():
            self.clock.after(self.draw.randrange(200, 2_000) * MS, self._start_again, self.generation)
            return
        self.acquirer.memory_of(self.number).replayed(self.place)
        for why in self.acquirer.mesh.newer_than(self):
            self.checker.report("mesh", f"the rightful owner is shut out: {why}")
        self.is_up = True
        self.tell("is up")
        self._tick(self.generation)
        for committer in self._committers:
            committer.keep_up(self.generation)
        self.acquirer.mesh.call_others(self)
        for number, section in enumerate(self.config.links):
            for _ in range(self.acquirer.connections_of(section.connections, self.number)):
                self._dial(self.generation, number, 0)

    def take_or_try_a_copy(self) -> None:
        """Copy its disks; where that was done before, let it end, and start once on the copies."""
        if not self.is_up or self.is_draining or any(storage.disk.has_rotted for storage in self.storages):
            return
        if not self._copies:
            self._copies = [storage.disk.copied() for storage in self.storages]
            return
        self._tries_copies = True
        self.kill()

    def _try_copies(self) -> None:
        """Start on the copies: whoever has heard of more says so, and then the newer journals are brought back."""
        self._tries_copies = False
        newer = [storage.disk.exchanged(copy) for storage, copy in zip(self.storages, self._copies, strict=True)]
        self._copies = []
        with contextlib.suppress(JournalDamaged, RecoveryFailed, OSError):  # else it is not even started
            for state, storage in zip(self.engine.partitions.states, self.storages, strict=True):
                storage.recover(state, f"start {self.acquirer.booted_ns}")
            mesh = self.acquirer.mesh
            if mesh.knows_more_than(self) and not mesh.newer_than(self):
                self.checker.report("mesh", "an older copy of a journal is believed")
        for storage, content in zip(self.storages, newer, strict=True):
            storage.disk.exchanged(content)
            storage.restart(loses_power=False)
        self.generation += 1
        self._build_next()

    def start_soon(self, away_ns: int = 0) -> None:
        """Be started by somebody who has seen that it has ended, but not before its machine is there again."""
        self.clock.after(away_ns + self.draw.randrange(10, 3_000) * MS, self._started, self.generation)

    def _started(self, generation: int) -> None:
        if generation == self.generation and not self.is_up:
            self.start()

    def _recover(self) -> bool:
        """Read all its journals, one after the other; false when one of them cannot be had."""
        recovered = (
            self._recover_one(state, storage)
            for state, storage in zip(self.engine.partitions.states, self.storages, strict=False)
        )
        return all(recovered)

    def _recover_one(self, state: State, storage: Storage) -> bool:
        try:
            storage.recover(state, f"start {self.acquirer.booted_ns}")
        except JournalDamaged as damage:
            if not storage.disk.has_rotted:
                self.checker.report("recovery", f"the journal was refused though nothing had changed it: {damage}")
            storage.disk.restore()
        except (RecoveryFailed, OSError) as error:
            self.tell(f"does not start: {error}")
            if self.acquirer.arrangement and "the configuration" in str(error):
                self.acquirer.bring_back_the_links()
            elif not storage.has_had_trouble:
                self.checker.report("recovery", f"the journal was not recovered: {error}")
        else:
            return not storage.disk.is_off
        return False

    def _start_again(self, generation: int) -> None:
        if generation == self.generation and not self.is_up:
            self.generation += 1
            is_seen_to = self.draw.random() < SEEN_TO
            for storage in self.storages:
                if is_seen_to:
                    storage.heal()
                storage.restart(loses_power=False)
            self._build_next()
            self.start()

    def _build_next(self) -> None:
        self.acquirer.left_alone(self.number)
        self.build()

    def killed_by_its_disk(self) -> None:
        """It has ended in the middle of a call to a disk: alone, or with the machine."""
        if self.draw.random() < 0.5:
            self.acquirer.kill(loses_power=True)
        else:
            self.kill()

    def kill(self) -> None:
        """End this process, without a word; another one comes soon."""
        if self.storages and self.is_up:
            self.tell("is killed")
            self.acquirer.tally.crashes += 1
            self.end()

    def end(self) -> None:
        """This process is gone, for whatever reason; another one comes soon."""
        if self.acquirer.is_one_process:
            self.acquirer.end(loses_power=False)
            return
        self.acquirer.tally.endings += 1
        self.leave(loses_power=False)
        for storage in self.storages:
            storage.restart(loses_power=False)
        if self.acquirer.is_draining:
            self.acquirer.left_for_good()
        else:
            self._build_next()
            self.start_soon()

    def leave(self, *, loses_power: bool) -> None:
        """It is gone, with its memory and its connections."""
        self.generation += 1
        if self.is_up:
            self.checker.switch_ended(self.settled)
        self.is_up = self.is_draining = False
        for committer in self._committers:
            committer.end()
        for channel, socket in self.sockets.items():
            socket.is_open = False
            channel.owner = None
            if loses_power:
                socket.wire.fall_silent()
            else:
                socket.wire.close_by_switch()
        self.sockets.clear()
        self.touched.clear()
        self.gated.clear()
        self.acquirer.mesh.left(self)

    @property
    def settled(self) -> dict[int, int]:
        """By partition: when all that it knew was durable, last."""
        moments = [committer.settled_ns for committer in self._committers] or self._settled_ns
        return dict(zip(self.part.owned, moments, strict=True))

    def owed(self) -> list[tuple[State, dict[str, Any]]]:
        """What it owes issuers, and which of its partitions does."""
        if not self.is_up:
            return []
        self.set_calendar()
        return [(state, entry) for state in self.engine.partitions.states for entry in list_entries(state)[1]]

    def drain(self) -> None:
        """Take no more work, and stop in good order."""
        self.is_draining = True
        self.engine.drain()
        self.flush()
        self.clock.after(int(self.draw.random() * DRAIN_NS_MAX), self._sign_off, self.generation)

    def _sign_off(self, generation: int) -> None:
        if generation == self.generation:
            self.set_calendar()
            self.engine.sign_off()
            self.flush()
            self.clock.after(int(self.draw.random() * SECOND), self._stop, generation)

    def _stop(self, generation: int) -> None:
        if generation == self.generation:
            for storage in self.storages:
                storage.journal.stop()
            self.end()

    def calm_down(self) -> None:
        """Trouble is over; so there is no need any more to look at the clock so often."""
        self._tick_ns = max(self._tick_ns, 100 * MS)
        self._failing_notes = 0.0

    # --- connections ----------------------------------------------------------------------------------------------

    def say_at_once(self, listener: int, peer: End, data: bytes) -> bool:
        """Somebody calls and is heard in this moment; false when nobody answers."""
        wire = self.accept(peer, listener)
        if wire is None:
            return False
        self.feed(next(socket for socket in self.sockets.values() if socket.wire is wire), data)
        return True

    @property
    def is_open(self) -> bool:
        """Whether it takes calls."""
        return self.is_up and not self.is_draining

    def accept(self, peer: End, listener: int) -> Wire | None:
        """A terminal calls; None when nobody answers."""
        if not self.is_open:
            return None
        names = [section.name for section in self.config.listeners]
        channel = TerminalChannel(self.engine.state.listeners[names.index(LISTENERS[listener])])
        return self._join(peer, channel, None)

    def _dial(self, generation: int, number: int, failures: int) -> None:
        if generation != self.generation or self.is_draining:
            return
        issuer = self.acquirer.issuers[LINKS.index(self.config.links[number].name)]
        if issuer.is_reachable:
            wire = self._join(issuer, LinkChannel(self.engine.state.links[number].connections), (number, issuer))
            issuer.accepted(wire)
        else:
            pause_ns = min(200 * 2**failures, 2_000) * MS
            self.clock.after(pause_ns, self._dial, generation, number, failures + 1)

    def _join(self, peer: End, channel: Channel, redial: tuple[int, Issuer] | None) -> Wire:
        socket = Socket(self, channel, redial)
        socket.wire = Wire(self.acquirer.weather, peer, socket, (self.number, self.generation))
        channel.owner = socket
        self.sockets[channel] = socket
        self.set_calendar()
        self.engine.open(channel)
        self.flush()
        return socket.wire

    def close(self, socket: Socket) -> None:
        """A connection is gone; a link's is dialled again."""
        if not socket.is_open:
            return
        socket.is_open = False
        self.tell(f"has lost slot {socket.channel.slot}")
        self.set_calendar()
        self.engine.close(socket.channel)
        socket.channel.owner = None
        del self.sockets[socket.channel]
        self.touched.pop(socket, None)
        self.gated.pop(socket, None)
        if socket.redial is not None:
            self.clock.after(self.draw.randrange(100, 400) * MS, self._dial, self.generation, socket.redial[0], 0)
        self.flush()

    def feed(self, socket: Socket, data: bytes) -> None:
        """Hand the engine what arrived, as often as it wants to be asked."""
        self.set_calendar()
        socket.fed += 1
        if data:
            socket.chunk = data  # the engine reads it until it says that it is done
        progress = self.engine.feed(socket.channel, data)
        while progress == PROGRESS_MORE:
            progress = self.engine.feed(socket.channel, b"")
        socket.is_paused = progress == PROGRESS_FULL
        self.flush()

    def flush(self) -> None:
        """Write what may leave, close what is to be closed, go on with what had to wait."""
        while (woken := self.engine.woken()) or self.touched:
            sockets = [channel.owner for channel in woken] + list(self.touched)
            self.touched.clear()
            for socket in sockets:
                if socket is not None and socket.is_open:
                    self._flush_one(socket)
        for committer in self._committers:
            committer.end_turn()
        if not self.storages:
            for at, state in enumerate(self.engine.partitions.states):
                if not state.duplicates.untold:
                    self._settled_ns[at] = self.clock.now_ns
        self.acquirer.mesh.send(self)

    def _flush_one(self, socket: Socket) -> None:
        self._send(socket)
        if not socket.is_open:
            return
        if socket.channel.waiting_bytes:
            self.gated[socket] = None
        if socket.closing:
            if socket.channel.waiting_bytes == 0 and socket.channel.in_flight == 0:
                socket.wire.close_by_switch()
                self.clock.after(0, self.close, socket)
        elif socket.is_paused:
            self.clock.after(0, self._go_on, socket)

    def _send(self, socket: Socket) -> None:
        """Hand the kernel what may leave: it takes all of it, a part, or says that nobody is there any more."""
        output = self.engine.offer(socket.channel)
        if socket.has_no_room or not output:
            return
        taken = self.acquirer.weather.taken(len(output))
        if taken < 0:
            self.engine.note_left(socket.channel, 0)
            socket.wire.break_off()
            self.close(socket)
            return
        self.engine.note_left(socket.channel, taken)
        if taken:
            socket.wire.to_peer(output[:taken])
        if taken < len(output):
            socket.has_no_room = True
            if self.draw.random() < BROKEN_SHORT:
                self.clock.after(self.draw.randrange(500) * MS, socket.wire.break_off)
            self.clock.after(self.draw.choice((0, 5, 200, 3_000)) * MS, self._has_room, socket)

    def _has_room(self, socket: Socket) -> None:
        socket.has_no_room = False
        if socket.is_open:
            self.touched[socket] = None
            self.set_calendar()
            self.flush()

    def _go_on(self, socket: Socket) -> None:
        if socket.is_open and not socket.closing and socket.is_paused:
            self.feed(socket, b"")
            while socket.backlog and not socket.is_paused and socket.is_open and not socket.closing:
                self.feed(socket, socket.backlog.pop(0))

    # --- the journals ---------------------------------------------------------------------------------------------

    def has_written(self) -> None:
        """Something is durable that was not: output that has waited for it may leave."""
        self.set_calendar()
        gated = [socket for socket in self.gated if socket.is_open]
        self.gated.clear()
        self.engine.flush_waiting()
        for socket in gated:
            self._flush_one(socket)
        self.flush()

    # --- time -----------------------------------------------------------------------------------------------------

    def _tick(self, generation: int) -> None:
        if generation != self.generation:
            return
        self.set_calendar()
        self.engine.tick()
        self.checker.finds_originals &= not self._gave_up_looking()  # the disk kept it waiting for too long
        self.flush()
        self._look_at_who_may_ask()
        if self.storages:
            for wanted in self.engine.take_wanted():
                self.clock.errand(int(self.draw.random() * LOOK_UP_NS_MAX), self._look_up, generation, wanted)
        self.clock.after(self._tick_ns, self._tick, generation)

    def _look_at_who_may_ask(self) -> None:
        """Who was not read on at its limit is so when it is below it, and not only when something else happens."""
        limit = self.config.listeners[0].requests_in_flight_max
        kept_waiting = {
            socket: socket.fed
            for socket in self.sockets.values()
            if socket.is_paused and not socket.closing and socket.channel.in_flight < limit
        }
        for socket in kept_waiting:
            if self._kept_waiting.get(socket) == socket.fed:
                self.checker.report("waiting", f"{self._name} does not go on with slot {socket.channel.slot}")
        self._kept_waiting = kept_waiting

    def _look_up(self, generation: int, wanted: Wanted) -> None:
        """What the thread that reads the journal does: beside the switch, and in its own time."""
        if generation == self.generation and self.is_up:
            original, is_certain = self.acquirer.storages[wanted.partition].look_up(wanted)
            self.checker.finds_originals &= is_certain or wanted.sought is not None
            self.set_calendar()
            self.engine.settle(wanted, original, is_certain)
            self.flush()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is in flight, nothing is owed and nothing waits for the disk."""
        if not self.is_up or self.is_draining or not all(committer.is_quiet for committer in self._committers):
            return False
        untold = sum(state.duplicates.untold for state in self.engine.partitions.states)
        return self.engine.in_flight == 0 and self.engine.owed == 0 and untold == 0
