"""Accepting connections: each is counted from when the kernel hands it over, its TLS handshake included."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from typing import Protocol

from switch.config import Address
from switch.connection import Connection
from switch.server.notes import Notes

ACCEPTED_A_TURN = 64
"""Connections taken before those that stand get their turn."""

PAUSE_SECONDS = 0.2
"""How long nothing is accepted where file descriptors or memory have run out."""

SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Host(Protocol):
    """For whom connections are accepted."""

    def welcome(self, peer: str) -> bool:
        """Whether to take a connection from this IP address; False closes it before anything is read."""

    def receive(self) -> Connection:
        """The protocol of a connection; its ``on_open`` is called when its handshake is done."""

    def part(self, error: OSError | None) -> None:
        """A connection that was welcome never opened: its handshake failed or took too long; None: we gave it up."""

    def run_short(self) -> None:
        """Nothing can be accepted for a moment: file descriptors or memory have run out."""


class Acceptor:
    """A listening socket. ``start`` it, then ``close`` it to accept nothing new.

    Args:
        host: For whom.
        address: Where to listen.
        backlog: Connections that the kernel keeps until they are accepted.
        context: The TLS context; None for plain TCP.
        handshake_seconds: How long a TLS handshake may take.
    """

    def __init__(
        self,
        host: Host,
        address: Address,
        *,
        backlog: int,
        context: ssl.SSLContext | None,
        handshake_seconds: float,
    ) -> None:
        self._host = host
        self._address = address
        self._backlog = backlog
        self._context = context
        self._handshake_seconds = handshake_seconds
        self._sockets: list[socket.socket] = []
        self._arriving: dict[Connection, asyncio.Task[None]] = {}
        self._notes = Notes()

    @property
    def address(self) -> Address:
        """Where it really listens, once it was started."""
        if not self._sockets:
            return self._address
        host, port = self._sockets[0].getsockname()[:2]
        return Address(host, port)

    @property
    def arriving(self) -> int:
        """Connections that were accepted and are not open yet."""
        return len(self._arriving)

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be had.
        """
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(
            self._address.host, self._address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        try:
            for family, _, _, _, place in dict.fromkeys(found):
                listening = socket.create_server(place, family=family, backlog=self._backlog)
                listening.setblocking(False)
                self._sockets.append(listening)
                loop.add_reader(listening, self._accept, listening)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Accept nothing new, and give up what has not opened yet; connections that stand go on."""
        loop = asyncio.get_running_loop()
        for listening in self._sockets:
            loop.remove_reader(listening)
            listening.close()
        self._sockets.clear()
        for task in self._arriving.values():
            task.cancel()

    def opened(self, connection: Connection) -> None:
        """The connection is no longer only arriving: to be called by the protocol's ``on_open``."""
        self._arriving.pop(connection, None)

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
                self._begin(accepted)
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

    def _begin(self, accepted: socket.socket) -> None:
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = self._host.receive()
        self._arriving[connection] = asyncio.get_running_loop().create_task(self._open(connection, accepted))

    async def _open(self, connection: Connection, accepted: socket.socket) -> None:
        failure: OSError | None = None
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection,
                accepted,
                ssl=self._context,
                ssl_handshake_timeout=None if self._context is None else self._handshake_seconds,
            )
        except OSError as error:
            failure = error
        finally:
            if self._arriving.pop(connection, None) is not None:
                self._host.part(failure)
