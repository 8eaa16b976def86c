"""The switch in its simulated process: the compiled engine, with wires for sockets and virtual time for ticks."""

from __future__ import annotations

import errno
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from switch.base.calendar import Calendar
from switch.base.stats import Stats
from switch.journal.recovery import RecoveryFailed
from switch.journal.replay import JournalDamaged
from switch.machine.journal_interface import JournalOff
from switch.machine.link_connections import LinkChannel
from switch.machine.listener import TerminalChannel
from switch.machine.numbering import BLOCK_NUMBERS, Numbering
from switch.machine.partitioning import partition_of
from switch.saf.owed_entries import NotOwed, close_entry, list_entries, retry_entry
from switch.server import assembly
from switch.server.assembly import build_engine

from .checker import NEVER_BOOKED
from .clock import MS, SECOND
from .committer import Committer
from .limits import risk_control
from .network import Wire
from .storage import Storage
from .world import LINKS, LISTENERS

if TYPE_CHECKING:
    from random import Random

    from switch.machine.channel import Channel
    from switch.machine.originals import Wanted
    from switch.machine.state import State
    from switch.path.engine import Engine

    from .checker import Checker
    from .clock import Clock
    from .issuer import Issuer
    from .network import End, Weather
    from .options import Options
    from .tally import Tally
    from .world import World

PROGRESS_DONE, PROGRESS_MORE, PROGRESS_FULL = range(3)
LOOK_UP_NS_MAX = 2 * SECOND
DRAIN_NS_MAX = 3 * SECOND
ONE_SLOW_DISK = 0.7
"""How likely only one of several disks is ever slow."""

SEEN_TO = 0.4
"""How likely it is that somebody sees to the disk before a switch that did not start is started again."""

BROKEN_SHORT = 0.3
"""How likely a connection that has taken a part of what was sent breaks before the rest."""

FIRST_NUMBERS = (1, 999_960, 36**7 - BLOCK_NUMBERS - 40)
"""At the beginning, before the end of the STANs, and before reference numbers begin a new round."""

STATISTICS_BYTES = 262_144


def _named(entry: dict[str, Any]) -> dict[str, str]:
    """By what somebody names what is owed."""
    return {name: entry[name] for name in ("rrn", "what", "link")}


def numbering_from(first: int, instance: int, instances: int) -> Numbering:
    """One that gives no number below the first."""
    numbering = Numbering(instance, instances)
    numbering.begin_behind(first)
    return numbering


class Socket:
    """The switch's side of one connection, as the daemon's I/O layer would have it."""

    def __init__(self, acquirer: Acquirer, channel: Channel, redial: tuple[int, Issuer] | None) -> None:
        self.acquirer = acquirer
        self.channel = channel
        self.redial = redial
        self.wire: Wire | None = None
        self.is_open = True
        self.closing = ""
        self.backlog: list[bytes] = []
        self.chunk = b""
        self.is_paused = False
        self.has_no_room = False

    @property
    def is_reading(self) -> bool:
        """Whether what comes in is read."""
        return self.is_open and not self.closing

    def hang_up(self, reason: str) -> None:
        """The engine asks for the end of the connection."""
        self.closing = self.closing or reason
        self.acquirer.clock.tell("switch", f"hangs up on slot {self.channel.slot}: {reason}")
        self.acquirer.touched[self] = None

    def received(self, _wire: Wire, data: bytes) -> None:
        """Bytes came in."""
        if self.is_reading:
            if self.is_paused:
                self.backlog.append(data)
            else:
                self.acquirer.feed(self, data)

    def lost(self, _wire: Wire) -> None:
        """The other side has closed, or the connection broke."""
        self.acquirer.close(self)


class Acquirer:
    """One switch, which may be killed and started again.

    Args:
        world: Configuration and tables.
        options: The run.
        clock: Virtual time.
        weather: The network.
        issuers: Those whom the links dial.
        checker: Is told when the switch does not start.
        tally: Counts crashes.
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
        self.draw = options.stream("plant")  # its first name: each seed goes on meaning the same
        self.draw_notes = options.stream("notes")
        self._failing_notes = options.rates()["failing_notes"]
        self.tick_ns = self.draw.choice((10, 50, 100, 250)) * MS
        self.draw_disks = options.stream("disks")
        self.storages = [
            Storage(world.config, options, tally, number) for number in range(options.partitions) if options.journal
        ]
        self._committers = [Committer(self, storage, number) for number, storage in enumerate(self.storages)]
        if self.storages and self.draw_disks.random() < ONE_SLOW_DISK:
            slow = self.draw_disks.choice(self.storages)
            for storage in self.storages:
                if storage is not slow:
                    storage.be_quick()
        self._first_number = options.stream("numbers").choice(FIRST_NUMBERS)
        self.arrangement = 0
        self._reconfigure = options.rates()["reconfigure"]
        self.touched: dict[Socket, None] = {}
        self.gated: dict[Socket, None] = {}
        self.sockets: dict[Channel, Socket] = {}
        self.generation = 0
        self.is_up = False
        self.is_draining = False
        self._booted_ns = 0
        self._alerts: set[str] = set()
        self.engine: Engine = self._build()

    def _build(self) -> Engine:
        self.calendar = Calendar(0)
        self.set_calendar()
        stats = Stats(STATISTICS_BYTES)
        config, parts = self.world.arrangements[self.arrangement]
        self.config = config
        parts = replace(parts, risk=risk_control(self.options))
        assembly.Numbering = partial(numbering_from, self._first_number)  # type: ignore[misc]
        engine = build_engine(
            config,
            parts,
            stats,
            self._note,
            journals=[storage.new_journal(stats) for storage in self.storages]
            or [JournalOff() for _ in range(self.options.partitions)],
            calendar=self.calendar,
            seed=self.draw.getrandbits(63),
        )
        uncertain = stats.counter("authswitch_originals_looked_up_total", "", {"result": "uncertain"})
        self._gave_up_looking = lambda: stats.value(uncertain) > 0
        return engine

    def _note(self, event: str, details: dict[str, Any]) -> None:
        self.clock.tell("switch", f"notes {event} {details}")
        if event == "reversal_not_found":
            self._alerts.add(details["rrn"])
        if self._failing_notes and self.draw_notes.random() < self._failing_notes:
            self.tally.fault("failing_notes")
            raise OSError(errno.EIO, "the log is gone")

    def set_calendar(self) -> None:
        """Let the switch look at its clocks."""
        self.calendar.set(self.clock.now_ns - self._booted_ns, self.clock.switch_second)

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Recover, open the doors and dial the issuers; try again later when the disk does not let it."""
        if not self._recover():
            self.clock.after(self.draw.randrange(200, 2_000) * MS, self._start_again, self.generation)
            return
        self.is_up = True
        self.clock.tell("switch", "is up")
        self._tick(self.generation)
        for committer in self._committers:
            committer.keep_up(self.generation)
        for number, section in enumerate(self.config.links):
            for _ in range(section.connections):
                self._dial(self.generation, number, 0)

    def _recover(self) -> bool:
        """Read all journals, one after the other; false when one of them cannot be had."""
        recovered = (
            self._recover_one(state, storage)
            for state, storage in zip(self.engine.partitions.states, self.storages, strict=False)
        )
        return all(recovered)

    def _recover_one(self, state: State, storage: Storage) -> bool:
        try:
            storage.recover(state, f"start {self._booted_ns}")
        except JournalDamaged as damage:
            if not storage.disk.has_rotted:
                self.checker.report("recovery", f"the journal was refused though nothing had changed it: {damage}")
            storage.disk.restore()
        except (RecoveryFailed, OSError) as error:
            self.clock.tell("switch", f"does not start: {error}")
            if self.arrangement and "the configuration" in str(error):
                self.arrangement = 0  # somebody reads what it says, and brings back what is owed something
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
            self.engine = self._build()
            self.start()

    def kill(self, *, loses_power: bool) -> None:
        """End the process, or the machine under it, without a word; another one comes soon."""
        if not self.storages or not self.is_up:
            return
        self.clock.tell("switch", "loses power" if loses_power else "is killed")
        self.tally.crashes += 1
        self.end(loses_power=loses_power)

    def kill_within(self, calls: int) -> None:
        """End the process in the middle of one of its next calls to the disk."""
        if self.storages and self.is_up:
            self.draw_disks.choice(self.storages).disk.calls_left = calls

    def end(self, *, loses_power: bool) -> None:
        """The process is gone, for whatever reason; another one comes soon."""
        self.checker.switch_ended([committer.settled_ns for committer in self._committers])
        self.tally.endings += 1
        self.is_up = self.is_draining = False
        for committer in self._committers:
            committer.end()
        self.generation += 1
        if self._reconfigure and self.draw.random() < self._reconfigure:
            self.tally.fault("reconfigure")
            self.arrangement = self.draw.randrange(len(self.world.arrangements))
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
        for storage in self.storages:
            storage.restart(loses_power=loses_power)
        if loses_power:
            self._booted_ns = self.clock.now_ns - self.draw.randrange(10) * SECOND  # the monotonic clock begins anew
        self.engine = self._build()
        self.clock.after(self.draw.randrange(10, 3_000) * MS, self._started, self.generation)

    def _started(self, generation: int) -> None:
        if generation == self.generation and not self.is_up:
            self.start()

    def operate(self, draw: Random) -> None:
        """Somebody looks at what is owed, and has it sent at once or gives it up."""
        if self.is_up and (entries := self._owed()):
            entry = draw.choice(entries)
            if draw.random() < 0.6:
                retry_entry(self._owing(entry), **_named(entry))
            elif entry["amount_minor"] and self._close(entry, "settled by hand"):
                self.tally.given_up += 1
                self.checker.given_up(entry["terminal"], entry["amount_minor"], entry["rrn"])
            self.flush()

    def close_what_was_never_booked(self) -> None:
        """Nothing is owed but what issuers do not find, of which the switch has told its operator: he asks them, and
        closes that of which their ledgers have nothing. What one of them has booked stays owed."""
        entries = self._owed() if self.is_up else []
        if all(
            entry["what"] == "reversal" and entry["not_found"] and entry["rrn"] in self._alerts for entry in entries
        ):
            for entry in entries:
                issuer = self.issuers[LINKS.index(entry["link"])]
                is_booked = issuer.has_booked(entry["terminal"], entry["amount_minor"], entry["rrn"])
                if not is_booked and self._close(entry, NEVER_BOOKED):
                    self.tally.never_booked += 1
            self.flush()

    def _owed(self) -> list[dict[str, Any]]:
        self.set_calendar()
        return [entry for state in self.engine.partitions.states for entry in list_entries(state)[1]]

    def _owing(self, entry: dict[str, Any]) -> State:
        return self.engine.partitions.states[entry["partition"]]

    def _close(self, entry: dict[str, Any], reason: str) -> bool:
        try:
            close_entry(self._owing(entry), name="night", reason=reason, **_named(entry))
        except NotOwed as refusal:
            self.clock.tell("operator", str(refusal))
            return False
        self.clock.tell("operator", f"gives up the {entry['what']} of {entry['amount_minor']}")
        return True

    def finish(self) -> None:
        """Stop for good, with all that is known written down."""
        for storage in self.storages:
            storage.journal.stop()

    def drain(self) -> None:
        """Stop in good order, and start again."""
        if not self.storages or not self.is_up or self.is_draining:
            return
        self.clock.tell("switch", "drains")
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
            self.finish()
            self.end(loses_power=False)

    def has_disk_trouble(self, terminal: str) -> bool:
        """Whether the disk of a terminal's partition has ever refused something."""
        return bool(self.storages) and self.storages[partition_of(terminal, len(self.storages))].has_had_trouble

    # --- connections ----------------------------------------------------------------------------------------------

    def say_at_once(self, listener: int, peer: End, data: bytes) -> bool:
        """Somebody calls and is heard in this moment; false when nobody answers."""
        wire = self.accept(peer, listener)
        if wire is None:
            return False
        self.feed(next(socket for socket in self.sockets.values() if socket.wire is wire), data)
        return True

    def accept(self, peer: End, listener: int) -> Wire | None:
        """A terminal calls; None when nobody answers."""
        if not self.is_up or self.is_draining:
            return None
        names = [section.name for section in self.config.listeners]
        channel = TerminalChannel(self.engine.state.listeners[names.index(LISTENERS[listener])])
        return self._join(peer, channel, None)

    def calm_down(self) -> None:
        """Trouble is over; so there is no need any more to look at the clock so often."""
        self._reconfigure = 0.0
        if self.arrangement:
            self.arrangement = 0
            if self.is_up:
                self.end(loses_power=False)
            else:
                self.engine = self._build()
        self.tick_ns = max(self.tick_ns, 100 * MS)
        self._failing_notes = 0.0
        for storage in self.storages:
            storage.calm_down()

    def _dial(self, generation: int, number: int, failures: int) -> None:
        if generation != self.generation or self.is_draining:
            return
        issuer = self.issuers[LINKS.index(self.config.links[number].name)]
        if issuer.is_reachable:
            wire = self._join(issuer, LinkChannel(self.engine.state.links[number].connections), (number, issuer))
            issuer.accepted(wire)
        else:
            pause_ns = min(200 * 2**failures, 2_000) * MS
            self.clock.after(pause_ns, self._dial, generation, number, failures + 1)

    def _join(self, peer: End, channel: Channel, redial: tuple[int, Issuer] | None) -> Wire:
        socket = Socket(self, channel, redial)
        socket.wire = Wire(self.weather, peer, socket, self.generation)
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
        self.clock.tell("switch", f"has lost slot {socket.channel.slot}")
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
        if data:
            socket.chunk = data  # the engine reads it until it says that it is done
        progress = self.engine.feed(socket.channel, data)
        while progress == PROGRESS_MORE:
            progress = self.engine.feed(socket.channel, b"")
        socket.is_paused = progress == PROGRESS_FULL
        self.flush()

    def flush(self) -> None:
        """Write what may leave, close what is to be closed, go on with what had to wait."""
        dirty = self.engine.state.channels.dirty
        while dirty or self.touched:
            sockets = [channel.owner for channel in dirty] + list(self.touched)
            dirty.clear()
            self.touched.clear()
            for socket in sockets:
                if socket is not None and socket.is_open:
                    self._flush_one(socket)
        for committer in self._committers:
            committer.end_turn()

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
        if socket.has_no_room:
            return
        output = self.engine.offer(socket.channel)
        if not output:
            return
        taken = self.weather.taken(len(output))
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
        if self.storages:
            for wanted in self.engine.take_wanted():
                self.clock.errand(int(self.draw.random() * LOOK_UP_NS_MAX), self._look_up, generation, wanted)
        self.clock.after(self.tick_ns, self._tick, generation)

    def _look_up(self, generation: int, wanted: Wanted) -> None:
        """What the thread that reads the journal does: beside the switch, and in its own time."""
        if generation == self.generation and self.is_up:
            original, is_certain = self.storages[wanted.partition].look_up(wanted)
            self.checker.finds_originals &= is_certain
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
