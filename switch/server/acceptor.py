"""Accepting connections: each counts from when the kernel hands it over, PROXY header and TLS handshake included."""

from __future__ import annotations

import asyncio
import errno
import socket
from functools import partial
from typing import Protocol

from switch.base.error_words import words_of
from switch.base.ip_addresses import address_of
from switch.config import Address
from switch.io.connection import Connection
from switch.io.tls import TlsContext, TlsStream
from switch.server.header_wait import HeaderRefusedError, HeaderWait
from switch.server.note_log import NoteLog
from switch.server.peer import Peer

ACCEPTED_A_TURN = 64
"""Connections taken before those that stand get their turn."""

PAUSE_SECONDS = 0.2
"""How long nothing is accepted where file descriptors or memory have run out."""

SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Host(Protocol):
    """For whom connections are accepted."""

    def welcome(self, peer: str) -> bool:
        """Whether to take a connection from this IP address; False closes it before anything is read."""

    def receive(self, peer: Peer) -> Connection:
        """A connection of this peer; its ``on_open`` is called when its handshake is done."""

    def part(self, peer: Peer, error: OSError | None) -> None:
        """A connection that was welcome never opened: header or handshake failed or came late; None: we gave it up."""

    def run_short(self) -> None:
        """Nothing can be accepted for a moment: file descriptors or memory have run out."""


def takes_both(place: tuple[object, ...]) -> bool:
    """Whether a socket at this place takes IPv4 as well."""
    return place[0] == "::" and socket.has_dualstack_ipv6()


async def listening_sockets(
    key: str, address: Address, *, backlog: int, is_shared: bool = False
) -> list[socket.socket]:
    """Sockets that listen on an address: one for each that its host stands for. They do not block.

    Args:
        key: Of the configuration, by which errors name the address.
        address: Where to listen.
        backlog: Connections that the kernel keeps until they are accepted.
        is_shared: Whether other workers listen there as well.

    Raises:
        OSError: The address cannot be had.
    """
    sockets: list[socket.socket] = []
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, _, _, _, place in dict.fromkeys(found):
            listening = socket.create_server(
                place, family=family, backlog=backlog, dualstack_ipv6=takes_both(place), reuse_port=is_shared
            )
            sockets.append(listening)
            listening.setblocking(False)
    except OSError as error:
        for listening in sockets:
            listening.close()
        raise OSError(error.errno, f"{key}: {address} cannot be listened on: {words_of(error)}") from error
    return sockets


class Acceptor:
    """A listening socket. ``start`` it, then ``close`` it to accept nothing new.

    Args:
        host: For whom.
        key: Of the configuration, by which errors name the address.
        address: Where to listen.
        backlog: Connections that the kernel keeps until they are accepted.
        context: The TLS context; None for plain TCP.
        awaits_header: Whether each connection begins with a PROXY header.
        is_shared: Whether other workers listen there as well: the kernel shares connections out.
        handshake_seconds: How long PROXY header and TLS handshake may take together.
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
        awaits_header: bool = False,
        is_shared: bool = False,
    ) -> None:
        self._host = host
        self._key = key
        self._address = address
        self._backlog = backlog
        self._context = context
        self._handshake_seconds = handshake_seconds
        self._sockets: list[socket.socket] = []
        self._awaits_header = awaits_header
        self._is_shared = is_shared
        self._arriving: dict[Connection | HeaderWait, tuple[Peer, asyncio.TimerHandle]] = {}
        self._notes = NoteLog()

    @property
    def address(self) -> Address:
        """Where it really listens, once it was started."""
        if not self._sockets:
            return self._address
        host, port = self._sockets[0].getsockname()[:2]
        return Address(host, port)

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return bool(self._sockets)

    @property
    def arriving(self) -> int:
        """Connections that were accepted and are not open yet: PROXY header or TLS handshake is not whole."""
        return len(self._arriving)

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be had.
        """
        self._sockets += await listening_sockets(
            self._key, self._address, backlog=self._backlog, is_shared=self._is_shared
        )
        for listening in self._sockets:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    def close(self) -> None:
        """Accept nothing new, and give up what has not opened yet; connections that stand go on."""
        loop = asyncio.get_running_loop()
        for listening in self._sockets:
            loop.remove_reader(listening)
            listening.close()
        self._sockets.clear()
        for arriving in list(self._arriving):
            self._give_up(arriving, None)

    def opened(self, connection: Connection) -> None:
        """The connection is no longer only arriving: to be called by its ``on_open``."""
        self._no_longer_arrives(connection)

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
            caller = str(address_of(place[0]))
            if self._host.welcome(caller):
                self._begin(accepted, caller)
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

    def _begin(self, accepted: socket.socket, address: str) -> None:
        accepted.setblocking(False)
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        deadline = asyncio.get_running_loop().time() + self._handshake_seconds
        if not self._awaits_header:
            self._receive(accepted.detach(), Peer(address), deadline)
            return
        wait = HeaderWait(accepted, address, self._announced)
        self._await(wait, wait.peer, deadline)
        wait.begin()

    def _announced(self, wait: HeaderWait, error: HeaderRefusedError | None) -> None:
        """A PROXY header is there, or cannot be taken."""
        if error is not None:
            self._give_up(wait, error)
            return
        deadline = self._no_longer_arrives(wait)
        self._receive(wait.take(), wait.peer, deadline)

    def _receive(self, fd: int, peer: Peer, deadline: float) -> None:
        connection = self._host.receive(peer)
        try:
            if self._context is None:
                connection.open(fd)
                return
            handshake = connection.secure(fd, TlsStream(self._context))
        except OSError as error:
            self._host.part(peer, error)
            return
        self._await(connection, peer, deadline)
        handshake.add_done_callback(partial(self._shaken, connection))

    def _await(self, arriving: Connection | HeaderWait, peer: Peer, deadline: float) -> None:
        timer = asyncio.get_running_loop().call_at(deadline, self._expire, arriving)
        self._arriving[arriving] = (peer, timer)

    def _no_longer_arrives(self, arriving: Connection | HeaderWait) -> float:
        """When its time would have been over."""
        _, timer = self._arriving.pop(arriving, (None, None))
        if timer is None:
            return 0.0
        timer.cancel()
        return timer.when()

    def _expire(self, arriving: Connection | HeaderWait) -> None:
        late = TimeoutError("the handshake was not finished")
        self._give_up(arriving, arriving.too_late() if isinstance(arriving, HeaderWait) else late)

    def _shaken(self, connection: Connection, handshake: asyncio.Future[None]) -> None:
        error = handshake.exception()
        if isinstance(error, OSError):
            self._give_up(connection, error)

    def _give_up(self, arriving: Connection | HeaderWait, error: OSError | None) -> None:
        if arriving in self._arriving:
            peer, _ = self._arriving[arriving]
            self._no_longer_arrives(arriving)
            arriving.abort("handshake failed")
            self._host.part(peer, error)
