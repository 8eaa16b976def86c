"""The connections of links: dialled by us and dialled again, or accepted from the issuer."""

from __future__ import annotations

import asyncio
import random
import socket
from collections import Counter
from functools import partial
from typing import Protocol

from switch.base.certificate_names import bears_name
from switch.base.log import get_logger
from switch.config import Address, LinkSection
from switch.config.file_descriptors import ARRIVING_MAX
from switch.io.connection import Connection, Reactor
from switch.io.tls import TlsStream
from switch.machine.link import Link
from switch.machine.link_connections import LinkChannel
from switch.server.acceptor import Acceptor
from switch.server.note_log import NoteLog
from switch.server.peer import Peer, is_among
from switch.server.place import Place
from switch.server.tls import accepting_link_context, calling_link_context, peer_certificate

MOVE_POLL_SECONDS = 0.05

log = get_logger(__name__)


class IssuerSide(Protocol):
    """However a link's connections come about."""

    async def start(self) -> None:
        """Begin.

        Raises:
            OSError: an address cannot be had, or a certificate cannot be read.
        """

    async def stop(self) -> None:
        """Bring about no new connections."""


def issuer_side(section: LinkSection, link: Link, reactor: Reactor, place: Place) -> IssuerSide:
    """What brings about a worker's connections of a link."""
    return (
        Caller(section, link, reactor, place) if section.mode == "connect" else Receiver(section, link, reactor, place)
    )


def endpoints_of(section: LinkSection, place: Place) -> list[Address]:
    """Where a worker calls, once for each connection.

    That is all endpoints as often as ``connections`` says, or its part of ``connections_total``, which are dealt out to
    endpoints and workers in turn.
    """
    if section.connections_total is None:
        return [endpoint for endpoint in section.endpoints for _ in range(section.connections)]
    mine = range(place.rank, section.connections_total, place.ranks)
    return [section.endpoints[number % len(section.endpoints)] for number in mine]


class _Line:
    """One connection that is kept up, or was until another endpoint took its place.

    Attributes:
        endpoint: Where it is dialled.
        channel: It, while it stands; None: it does not.
        is_wanted: Whether it is dialled again when it is lost.
        task: Who dials it.
    """

    def __init__(self, endpoint: Address) -> None:
        self.endpoint = endpoint
        self.channel: LinkChannel | None = None
        self.is_wanted = True
        self.task: asyncio.Task[None] | None = None


class Caller:
    """Keeps ``connections`` connections to each endpoint: dials, and dials again with growing, jittered pauses.

    Where other endpoints are said, these are called; as soon as one of them is signed on, the former connections get
    nothing more, and are signed off.
    """

    def __init__(self, section: LinkSection, link: Link, reactor: Reactor, place: Place) -> None:
        self._section = section
        self._link = link
        self._reactor = reactor
        self._place = place
        self._lines: list[_Line] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._mover: asyncio.Task[None] | None = None
        self._is_started = False
        self._context = None if section.tls is None else calling_link_context(section.tls)

    @property
    def dials(self) -> bool:
        """Whether this worker has connections of its own to make."""
        return bool(endpoints_of(self._section, self._place))

    async def start(self) -> None:
        """Begin to dial."""
        self._is_started = True
        self._deal()

    def use(self, section: LinkSection) -> None:
        """Call the endpoints that another section says, from now on."""
        self._section = section
        if self._is_started:
            self._deal()

    async def stop(self) -> None:
        """Dial no more."""
        self._is_started = False
        tasks = [*self._tasks, *([] if self._mover is None else [self._mover])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _deal(self) -> None:
        """Dial what is to be there and is not yet, and see what is to be there no more."""
        wanted = Counter(endpoints_of(self._section, self._place))
        for line in self._lines:
            line.is_wanted = wanted[line.endpoint] > 0
            wanted[line.endpoint] -= line.is_wanted
        for endpoint in (+wanted).elements():
            line = _Line(endpoint)
            line.task = asyncio.create_task(self._keep_connected(line))
            self._tasks.add(line.task)
            line.task.add_done_callback(self._tasks.discard)
            self._lines.append(line)
        if any(not line.is_wanted for line in self._lines) and self._mover is None:
            self._mover = asyncio.create_task(self._move())

    async def _move(self) -> None:
        """Part from what is wanted no more, when something else is signed on."""
        log.info("a link moves to other endpoints", link=self._section.name)
        while former := [line for line in self._lines if not line.is_wanted]:
            kept = [line for line in self._lines if line.is_wanted]
            if kept and not any(line.channel in self._link.connections.channels for line in kept):
                # Of a sign-on nobody tells here.
                await asyncio.sleep(MOVE_POLL_SECONDS)
                continue
            self._lines = kept
            for line in former:
                self._part_from(line)
        self._mover = None
        endpoints = sorted({str(line.endpoint) for line in self._lines})
        log.info("a link has moved to other endpoints", link=self._section.name, endpoints=endpoints)

    def _part_from(self, line: _Line) -> None:
        if line.channel is not None:
            self._reactor.engine.retire(line.channel)
        elif line.task is not None:
            line.task.cancel()

    async def _keep_connected(self, line: _Line) -> None:
        try:
            await self._dial_again_and_again(line)
        finally:
            if line in self._lines:
                self._lines.remove(line)

    async def _dial_again_and_again(self, line: _Line) -> None:
        failures = 0
        while line.is_wanted:
            lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(self._section.connect_timeout_ms / 1000):
                    await self._dial(line, lost)
            except (OSError, TimeoutError) as error:
                reason = str(error) or "no connection in time"
            else:
                reason = await lost
                line.channel = None
                # A connection that was of use begins the pauses anew; one refused at sign-on does not.
                failures = 0 if reason not in REFUSALS else failures
            log.warning("link connection lost", link=self._section.name, endpoint=str(line.endpoint), reason=reason)
            if not line.is_wanted:
                return
            await asyncio.sleep(self._pause_seconds(failures))
            failures += 1

    async def _dial(self, line: _Line, lost: asyncio.Future[str]) -> None:
        def on_lost(_connection: Connection, reason: str) -> None:
            if not lost.done():
                lost.set_result(reason)

        channel = LinkChannel(self._link.connections)
        connection = Connection(self._reactor, channel, None, on_lost)
        connected = await dial(line.endpoint)
        if self._section.tls is None or self._context is None:
            connection.open(connected.detach())
            line.channel = channel
            return
        name = self._section.tls.server_name or line.endpoint.host
        tls = TlsStream(self._context, name)
        try:
            await connection.secure(connected.detach(), tls)
        except BaseException:
            connection.abort("handshake failed")
            raise
        line.channel = channel

    def _pause_seconds(self, failures: int) -> float:
        """Doubled with each failure, and anything from half of it to all of it, so that not everybody calls at once."""
        longest = min(self._section.reconnect_max_ms, self._section.reconnect_min_ms * 2 ** min(failures, 30))
        return random.uniform(longest / 2, longest) / 1000  # noqa: S311


async def dial(address: Address) -> socket.socket:
    """A connected, non-blocking socket; each place that the host's name stands for is tried in turn.

    Raises:
        OSError: none of them can be reached.
    """
    loop = asyncio.get_running_loop()
    failure = OSError(f"{address.host} stands for no address")
    for family, kind, protocol, _, place in await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM):
        connected = socket.socket(family, kind, protocol)
        try:
            connected.setblocking(False)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(connected, place)
        except OSError as error:
            connected.close()
            failure = error
        except BaseException:
            connected.close()
            raise
        else:
            return connected
    raise failure


REFUSALS = ("issuer refused the sign-on", "issuer did not answer")


class Receiver:
    """Listens for the issuer, and takes only the peers and certificates that the configuration names."""

    def __init__(self, section: LinkSection, link: Link, reactor: Reactor, place: Place) -> None:
        self._section = section
        self._link = link
        self._reactor = reactor
        self._open: set[Connection] = set()
        self._notes = NoteLog()
        self._acceptor: Acceptor | None = None
        if section.bind is not None:
            self._acceptor = Acceptor(
                self,
                f"link[{section.name}].bind",
                section.bind,
                backlog=ARRIVING_MAX,
                context=None if section.tls is None else accepting_link_context(section.tls),
                handshake_seconds=section.connect_timeout_ms / 1000,
                is_shared=place.workers > 1,
            )

    @property
    def name(self) -> str:
        """Of the link, as the configuration calls it."""
        return self._section.name

    @property
    def address(self) -> Address | None:
        """Where it really listens, once it was started."""
        return None if self._acceptor is None else self._acceptor.address

    async def start(self) -> None:
        """Listen."""
        if self._acceptor is None:
            raise OSError(f"link {self._section.name}: no address to listen on")
        await self._acceptor.start()

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._acceptor is not None and self._acceptor.is_open

    async def stop(self) -> None:
        """Listen no more."""
        if self._acceptor is not None:
            self._acceptor.close()

    def hang_up(self, reason: str) -> None:
        """Listen no more, and end the connections: the issuer is to reach another worker."""
        if self._acceptor is not None:
            self._acceptor.close()
        for connection in list(self._open):
            connection.abort(reason)

    # --- what the acceptor asks and tells -------------------------------------------------------------------------

    def welcome(self, peer: str) -> bool:
        """Whether the issuer may call from there, and there is room."""
        if not self._is_known(peer):
            refusal = "unknown peer"
        elif len(self._open) >= self._section.connections or self._arriving >= ARRIVING_MAX:
            refusal = "too many connections"
        else:
            return True
        self._refuse(peer, refusal)
        return False

    def receive(self, peer: Peer) -> Connection:
        """A connection that is welcome."""
        channel = LinkChannel(self._link.connections)
        return Connection(self._reactor, channel, partial(self._opened, peer.address), self._lost)

    def part(self, peer: Peer, error: OSError | None) -> None:
        """A handshake failed."""
        if error is not None:
            reason = str(error) or "the handshake was not finished"
            self._refuse(peer.address, reason)

    def run_short(self) -> None:
        """Nothing can be accepted for a moment; the acceptor has said so."""

    @property
    def _arriving(self) -> int:
        return 0 if self._acceptor is None else self._acceptor.arriving

    def _opened(self, peer: str, connection: Connection) -> str | None:
        if self._acceptor is not None:
            self._acceptor.opened(connection)
        if len(self._open) >= self._section.connections:
            refusal = "too many connections"
        elif not self._is_issuer(connection):
            refusal = "certificate of somebody else"
        else:
            self._open.add(connection)
            return None
        self._refuse(peer, refusal)
        return refusal

    def _refuse(self, peer: str, reason: str) -> None:
        self._notes("link_connection_refused", {"link": self._section.name, "peer": peer, "reason": reason})

    def _lost(self, connection: Connection, reason: str) -> None:
        if connection.was_open:
            self._open.discard(connection)
            log.warning("link connection lost", link=self._section.name, reason=reason)

    def _is_known(self, host: str) -> bool:
        if not self._section.peers:
            return True  # The configuration asks for tls.ca then: the certificate tells who calls.
        return is_among(host, self._section.peers)

    def _is_issuer(self, connection: Connection) -> bool:
        name = None if self._section.tls is None else self._section.tls.peer_name
        if name is None:
            return True
        certificate = peer_certificate(connection)
        return certificate is not None and bears_name(certificate, name)
