"""The layer between sockets and the state machine, on real sockets, in a loop that turns when the test says so."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import struct
import time
from collections.abc import Callable, Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import iso8583

from switch.io.connection import Connection, Reactor
from switch.machine.channel import Channel
from switch.machine.link_connections import LinkChannel
from switch.machine.listener import TerminalChannel
from switch.wire.framing import Deframer
from tests.ext.world import Document, IssuerLine, TerminalLine, World, dialect, issuer_answer

OUTPUT_BYTES_MAX = 65_536
WAIT_SECONDS_MAX = 10.0


class Timer:
    """A call that is due later."""

    def __init__(self, when: float, callback: Callable[..., object], arguments: tuple[object, ...]) -> None:
        self.when = when
        self.callback = callback
        self.arguments = arguments
        self.cancelled = False

    def cancel(self) -> None:
        """Do not call."""
        self.cancelled = True


class Loop:
    """As much of an event loop as the reactor asks for; nothing is called unless it turns."""

    def __init__(self) -> None:
        self.due: list[Timer] = []
        self.later: list[Timer] = []
        self.readers: dict[int, Callable[[], object]] = {}
        self.mistakes: list[BaseException] = []
        self._futures = asyncio.new_event_loop()

    def close(self) -> None:
        """Give back what it holds."""
        self._futures.close()

    def time(self) -> float:
        """The moment, in seconds."""
        return time.monotonic()

    def call_soon(self, callback: Callable[..., object], *arguments: object) -> Timer:
        """Call in the next turn."""
        self.due.append(Timer(0.0, callback, arguments))
        return self.due[-1]

    def call_later(self, seconds: float, callback: Callable[..., object], *arguments: object) -> Timer:
        """Call in the first turn after so many seconds."""
        self.later.append(Timer(self.time() + seconds, callback, arguments))
        return self.later[-1]

    def add_reader(self, fd: int, callback: Callable[[], object]) -> None:
        """Call when something is ready."""
        self.readers[fd] = callback

    def remove_reader(self, fd: int) -> None:
        """Call no more."""
        del self.readers[fd]

    def create_future(self) -> asyncio.Future[None]:
        """Whose callbacks nobody calls."""
        return self._futures.create_future()

    def call_exception_handler(self, context: Mapping[str, Any]) -> None:
        """A mistake that concerns one callback."""
        self.mistakes.append(context["exception"])

    def turn(self) -> None:
        """What was due when the turn began, then what is ready; as a real loop does."""
        now = self.time()
        due, self.due = self.due, []
        ripe = [timer for timer in self.later if timer.when <= now]
        self.later = [timer for timer in self.later if timer.when > now]
        for timer in due + ripe:
            if not timer.cancelled:
                timer.callback(*timer.arguments)
        for fd, callback in list(self.readers.items()):
            if select.select([fd], [], [], 0)[0]:
                callback()


class Peer:
    """One connection of the switch, and its far end."""

    def __init__(self, wire: Wire, channel: Channel, far: socket.socket, encode: Callable[[Document], bytes]) -> None:
        self.wire = wire
        self.channel = channel
        self.socket = far
        self.encode = encode
        self.lost: list[str] = []
        self.connection = Connection(wire.reactor, channel, None, lambda _connection, why: self.lost.append(why))
        self.dialect = dialect("iso87-ascii")
        self._deframer = Deframer(self.dialect.framing)

    def frames(self, documents: Iterable[Document]) -> bytes:
        """Messages as they travel."""
        return b"".join(self.dialect.framing.wrap(self.encode(document)) for document in documents)

    def send(self, *documents: Document) -> None:
        """Send messages, all at once."""
        self.socket.sendall(self.frames(documents))

    def read(self) -> list[Document]:
        """The messages that one read brings; none when there is nothing to read."""
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return []
        return self.decode(data)

    def decode(self, data: bytes) -> list[Document]:
        """The messages that are whole with these bytes."""
        layout = self.dialect.layout
        return [dict(iso8583.decode(message, layout)[0]) for _, message in self._deframer.feed(data)]

    def read_one(self) -> Document:
        """The one message that comes, be it in a later turn."""
        found: list[Document] = []
        self.wire.until(lambda: found.extend(self.read()) or found)
        assert len(found) == 1, found
        return found[0]

    def answer(self, request: Document, code: str = "00") -> None:
        """Say what an issuer says."""
        self.send(issuer_answer(request, code))

    def is_closed(self) -> bool:
        """Whether the switch has closed its side, after what was read."""
        try:
            return self.socket.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionError:
            return True

    def reset(self) -> None:
        """Go away so that the switch knows at once."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Wire:
    """A reactor and those who are connected to it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.loop = Loop()
        self.reactor = Reactor(world.engine, self.loop, OUTPUT_BYTES_MAX)  # type: ignore[arg-type]
        self.reactor.start()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._stack = contextlib.ExitStack()

    def pair(self, receive_bytes: int | None = None) -> tuple[socket.socket, socket.socket]:
        """Both ends of a connection, the far one first."""
        far = self._stack.enter_context(socket.socket())
        if receive_bytes is not None:
            far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        far.connect(self._listening.getsockname())
        near, _ = self._listening.accept()
        for end in (far, near):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return far, near

    def terminal(self, receive_bytes: int | None = None) -> Peer:
        """A terminal connects."""
        far, near = self.pair(receive_bytes)
        peer = self.terminal_at(far)
        peer.connection.open(near.detach())
        return peer

    def terminal_at(self, far: socket.socket) -> Peer:
        """A terminal whose connection is not open yet."""
        line = SimpleNamespace(dialect=dialect("iso87-ascii"))
        channel = TerminalChannel(self.world.listener("iso"))
        return Peer(self, channel, far, lambda document: TerminalLine.encode(line, document))  # type: ignore[arg-type]

    def issuer(self) -> Peer:
        """A connection of the link ``bank-a`` stands."""
        far, near = self.pair()
        peer = self.issuer_at(far)
        peer.connection.open(near.detach())
        return peer

    def issuer_at(self, far: socket.socket) -> Peer:
        """A connection of that link that is not open yet."""
        line = SimpleNamespace(dialect=dialect("iso87-ascii"), mac=True)
        channel = LinkChannel(self.world.link("bank-a").connections)
        return Peer(self, channel, far, lambda document: IssuerLine.encode(line, document))  # type: ignore[arg-type]

    def turn(self, count: int = 1) -> None:
        """Let the loop turn; what was written becomes durable before each turn."""
        for _ in range(count):
            if self.world.syncs:
                self.world.sync()
                self.reactor.flush_gated()
            self.loop.turn()

    def until(self, is_so: Callable[[], object]) -> None:
        """Let the loop turn until something is so."""
        end = time.monotonic() + WAIT_SECONDS_MAX
        while not is_so():
            assert time.monotonic() < end, "never came"
            self.turn()

    def close(self) -> None:
        """Everybody goes."""
        self.reactor.stop()
        self._stack.close()
        self._listening.close()
        self.loop.close()
        self.world.now_s = self.world.calendar.now_ns / 1e9  # the reactor went by the real clock
