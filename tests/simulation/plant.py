"""The switch in its simulated process: the compiled engine, with wires for sockets and virtual time for ticks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from switch.calendar import Calendar
from switch.link import LinkChannel
from switch.listener import TerminalChannel
from switch.server.assembly import build_engine
from switch.stats import Stats

from .clock import MS
from .network import Wire

if TYPE_CHECKING:
    from switch.channel import Channel
    from switch.engine import Engine

    from .clock import Clock
    from .issuer import Issuer
    from .network import End, Weather
    from .options import Options
    from .world import World

PROGRESS_DONE, PROGRESS_MORE, PROGRESS_FULL = range(3)


class Socket:
    """The switch's side of one connection, as the daemon's I/O layer would have it."""

    def __init__(self, plant: Plant, channel: Channel, redial: tuple[int, Issuer] | None) -> None:
        self.plant = plant
        self.channel = channel
        self.redial = redial
        self.wire: Wire | None = None
        self.is_open = True
        self.closing = ""
        self.backlog: list[bytes] = []
        self.chunk = b""
        self.is_paused = False

    def hang_up(self, reason: str) -> None:
        """The engine asks for the end of the connection."""
        self.closing = self.closing or reason
        self.plant.clock.tell("switch", f"hangs up on slot {self.channel.slot}: {reason}")
        self.plant.touched.add(self)

    def received(self, _wire: Wire, data: bytes) -> None:
        """Bytes came in."""
        if self.is_open and not self.closing:
            if self.is_paused:
                self.backlog.append(data)
            else:
                self.plant.feed(self, data)

    def lost(self, _wire: Wire) -> None:
        """The other side has closed, or the connection broke."""
        self.plant.close(self)


class Plant:
    """One switch, which may be killed and started again.

    Args:
        world: Configuration and tables.
        options: The run.
        clock: Virtual time.
        weather: The network.
        issuers: Those whom the links dial, in the order of the links.
    """

    def __init__(self, world: World, options: Options, clock: Clock, weather: Weather, issuers: list[Issuer]) -> None:
        self.world = world
        self.clock = clock
        self.weather = weather
        self.issuers = issuers
        self.options = options
        self.draw = options.stream("plant")
        self.tick_ns = self.draw.choice((10, 50, 100, 250)) * MS
        self.touched: set[Socket] = set()
        self.sockets: dict[Channel, Socket] = {}
        self.generation = 0
        self.engine: Engine = self._build()

    @property
    def is_up(self) -> bool:
        """Whether anybody can be reached."""
        return True

    def _build(self) -> Engine:
        self.calendar = Calendar(0)
        self._set_calendar()
        return build_engine(
            self.world.config,
            self.world.parts,
            Stats(262_144),
            self._note,
            calendar=self.calendar,
            seed=self.draw.getrandbits(63),
        )

    def _note(self, event: str, details: dict[str, Any]) -> None:
        self.clock.tell("switch", f"notes {event} {details}")

    def _set_calendar(self) -> None:
        self.calendar.set(self.clock.now_ns, self.clock.switch_second)

    def start(self) -> None:
        """Open the doors and dial the issuers."""
        self._tick(self.generation)
        for number, section in enumerate(self.world.config.links):
            for _ in range(section.connections):
                self._dial(self.generation, number, 0)

    # --- connections ----------------------------------------------------------------------------------------------

    def accept(self, peer: End, listener: int) -> Wire | None:
        """A terminal calls; None when nobody answers."""
        if not self.is_up or self.engine.state.draining:
            return None
        return self._join(peer, TerminalChannel(self.engine.state.listeners[listener]), None)

    def _dial(self, generation: int, number: int, failures: int) -> None:
        if generation != self.generation or self.engine.state.draining:
            return
        issuer = self.issuers[number]
        if issuer.is_reachable:
            wire = self._join(issuer, LinkChannel(self.engine.state.links[number]), (number, issuer))
            issuer.accepted(wire)
        else:
            pause_ns = min(200 * 2**failures, 2_000) * MS
            self.clock.after(pause_ns, self._dial, generation, number, failures + 1)

    def _join(self, peer: End, channel: Channel, redial: tuple[int, Issuer] | None) -> Wire:
        socket = Socket(self, channel, redial)
        socket.wire = Wire(self.weather, peer, socket)
        channel.owner = socket
        self.sockets[channel] = socket
        self._set_calendar()
        self.engine.open(channel)
        self.flush()
        return socket.wire

    def close(self, socket: Socket) -> None:
        """A connection is gone; a link's is dialled again."""
        if not socket.is_open:
            return
        socket.is_open = False
        self.clock.tell("switch", f"has lost slot {socket.channel.slot}")
        self._set_calendar()
        self.engine.close(socket.channel)
        socket.channel.owner = None
        del self.sockets[socket.channel]
        self.touched.discard(socket)
        if socket.redial is not None:
            self.clock.after(self.draw.randrange(100, 400) * MS, self._dial, self.generation, socket.redial[0], 0)
        self.flush()

    def feed(self, socket: Socket, data: bytes) -> None:
        """Hand the engine what arrived, as often as it wants to be asked."""
        self._set_calendar()
        if data:
            socket.chunk = data  # the engine reads it until it says that it is done
        progress = self.engine.feed(socket.channel, data)
        while progress == PROGRESS_MORE:
            progress = self.engine.feed(socket.channel, b"")
        socket.is_paused = progress == PROGRESS_FULL
        self.flush()

    def flush(self) -> None:
        """Write what may leave, close what is to be closed, go on with what had to wait."""
        dirty = self.engine.state.dirty
        while dirty or self.touched:
            sockets = [channel.owner for channel in dirty] + sorted(self.touched, key=lambda one: one.channel.slot)
            dirty.clear()
            self.touched.clear()
            for socket in sockets:
                if socket is not None and socket.is_open:
                    self._flush_one(socket)

    def _flush_one(self, socket: Socket) -> None:
        output = self.engine.take(socket.channel)
        if output is not None:
            socket.wire.to_peer(output)
        if socket.closing:
            if socket.channel.waiting_bytes == 0:
                socket.wire.close_by_switch()
                self.clock.after(0, self.close, socket)
        elif socket.is_paused:
            self.clock.after(0, self._go_on, socket)

    def _go_on(self, socket: Socket) -> None:
        if socket.is_open and not socket.closing and socket.is_paused:
            self.feed(socket, b"")
            while socket.backlog and not socket.is_paused and socket.is_open and not socket.closing:
                self.feed(socket, socket.backlog.pop(0))

    # --- time -----------------------------------------------------------------------------------------------------

    def _tick(self, generation: int) -> None:
        if generation != self.generation:
            return
        self._set_calendar()
        self.engine.tick()
        self.flush()
        self.clock.after(self.tick_ns, self._tick, generation)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is in flight and nothing is owed."""
        return self.engine.in_flight == 0 and self.engine.owed == 0
