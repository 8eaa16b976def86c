"""Accepting connections: each is counted from when the kernel hands it over, its TLS handshake included."""

from __future__ import annotations

import asyncio
import errno
import socket
from functools import partial
from typing import Protocol

from switch.base.error_words import words_of
from switch.config import Address
from switch.io.connection import Connection
from switch.io.tls import TlsContext, TlsStream
from switch.server.note_log import NoteLog

ACCEPTED_A_TURN = 64
"""Connections taken before those that stand get their turn."""

PAUSE_SECONDS = 0.2
"""How long nothing is accepted where file descriptors or memory have run out."""

SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Host(Protocol):
    """For whom connections are accepted."""

    def welcome(self, peer: str) -> bool:
        """Whether to take a connection from this IP address; False closes it before anything is read."""

    def receive(self, peer: str) -> Connection:
        """A connection from this IP address; its ``on_open`` is called when its handshake is done."""

    def part(self, error: OSError | None) -> None:
        """A connection that was welcome never opened: its handshake failed or took too long; None: we gave it up."""

    def run_short(self) -> None:
        """Nothing can be accepted for a moment: file descriptors or memory have run out."""


class Acceptor:
    """A listening socket. ``start`` it, then ``close`` it to accept nothing new.

    Args:
        host: For whom.
        key: Of the configuration, by which errors name the address.
        address: Where to listen.
        backlog: Connections that the kernel keeps until they are accepted.
        context: The TLS context; None for plain TCP.
        handshake_seconds: How long a TLS handshake may take.
    """

    def __init__(
        self,
        host: Host,
        key: str,
        address: Address,
        *,
        backlog: int,
        context: TlsContext | None,
        handshake_seconds: float,
    ) -> None:
        self._host = host
        self._key = key
        self._address = address
        self._backlog = backlog
        self._context = context
        self._handshake_seconds = handshake_seconds
        self._sockets: list[socket.socket] = []
        self._arriving: dict[Connection, asyncio.TimerHandle] = {}
        self._notes = NoteLog()

    @property
    def address(self) -> Address:
        """Where it really listens, once it was started."""
        if not self._sockets:
            return self._address
        host, port = self._sockets[0].getsockname()[:2]
        return Address(host, port)

    @property
    def arriving(self) -> int:
        """Connections that were accepted and are not open yet: their TLS handshake goes on."""
        return len(self._arriving)

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be had.
        """
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(
                self._address.host, self._address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            for family, _, _, _, place in dict.fromkeys(found):
                listening = socket.create_server(place, family=family, backlog=self._backlog)
                listening.setblocking(False)
                self._sockets.append(listening)
                loop.add_reader(listening, self._accept, listening)
        except OSError as error:
            self.close()
            reason = f"{self._key}: {self._address} cannot be listened on: {words_of(error)}"
            raise OSError(error.errno, reason) from error

    def close(self) -> None:
        """Accept nothing new, and give up what has not opened yet; connections that stand go on."""
        loop = asyncio.get_running_loop()
        for listening in self._sockets:
            loop.remove_reader(listening)
            listening.close()
        self._sockets.clear()
        for connection in list(self._arriving):
            self._give_up(connection, None)

    def opened(self, connection: Connection) -> None:
        """The connection is no longer only arriving: to be called by its ``on_open``."""
        timer = self._arriving.pop(connection, None)
        if timer is not None:
            timer.cancel()

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTED_A_TURN):
            try:
                accepted, place = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in SHORTAGES:
                    self._pause(listening, error)
                    return
                continue  # The peer was gone before it was accepted.
            if self._host.welcome(place[0]):
                self._begin(accepted, place[0])
            else:
                accepted.close()

    def _pause(self, listening: socket.socket, error: OSError) -> None:
        """Leave the kernel's queue alone for a moment: it would call again at once, and do so for ever."""
        loop = asyncio.get_running_loop()
        self._host.run_short()
        self._notes("cannot_accept", {"address": str(self.address), "reason": error.strerror})
        loop.remove_reader(listening)
        loop.call_later(PAUSE_SECONDS, self._resume, listening)

    def _resume(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def _begin(self, accepted: socket.socket, peer: str) -> None:
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = self._host.receive(peer)
        fd = accepted.detach()
        try:
            if self._context is None:
                connection.open(fd)
                return
            handshake = connection.secure(fd, TlsStream(self._context))
        except OSError as error:
            self._host.part(error)
            return
        late = TimeoutError("the handshake was not finished")
        self._arriving[connection] = asyncio.get_running_loop().call_later(
            self._handshake_seconds, self._give_up, connection, late
        )
        handshake.add_done_callback(partial(self._shaken, connection))

    def _shaken(self, connection: Connection, handshake: asyncio.Future[None]) -> None:
        error = handshake.exception()
        if isinstance(error, OSError):
            self._give_up(connection, error)

    def _give_up(self, connection: Connection, error: OSError | None) -> None:
        timer = self._arriving.pop(connection, None)
        if timer is not None:
            timer.cancel()
            connection.abort("handshake failed")
            self._host.part(error)
