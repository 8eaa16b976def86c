"""The connections of links: dialled by us and dialled again, or accepted from the issuer."""

from __future__ import annotations

import asyncio
import random
from ipaddress import ip_address
from typing import Protocol

from switch.config import Address, LinkSection
from switch.connection import Connection, Reactor
from switch.link import Link, LinkChannel
from switch.log import get_logger
from switch.server.notes import Notes
from switch.server.tls import HANDSHAKE_SECONDS, accepting_link_context, calling_link_context

HANDSHAKES_MAX = 64
"""TLS handshakes under way on a link's port."""

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


def issuer_side(section: LinkSection, link: Link, reactor: Reactor) -> IssuerSide:
    """What brings about the connections of a link."""
    return Caller(section, link, reactor) if section.mode == "connect" else Receiver(section, link, reactor)


class Caller:
    """Keeps ``connections`` connections to each endpoint: dials, and dials again with growing, jittered pauses."""

    def __init__(self, section: LinkSection, link: Link, reactor: Reactor) -> None:
        self._section = section
        self._link = link
        self._reactor = reactor
        self._tasks: list[asyncio.Task[None]] = []
        self._context = None if section.tls is None else calling_link_context(section.tls)

    async def start(self) -> None:
        """Begin to dial."""
        for endpoint in self._section.endpoints:
            for _ in range(self._section.connections):
                self._tasks.append(asyncio.create_task(self._keep_connected(endpoint)))

    async def stop(self) -> None:
        """Dial no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep_connected(self, endpoint: Address) -> None:
        failures = 0
        while True:
            lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(self._section.connect_timeout_ms / 1000):
                    await self._dial(endpoint, lost)
            except (OSError, TimeoutError) as error:
                reason = str(error) or "no connection in time"
            else:
                reason = await lost
                # A connection that was of use begins the pauses anew; one refused at sign-on does not.
                failures = 0 if reason not in REFUSALS else failures
            log.warning("link connection lost", link=self._section.name, endpoint=str(endpoint), reason=reason)
            await asyncio.sleep(self._pause_seconds(failures))
            failures += 1

    async def _dial(self, endpoint: Address, lost: asyncio.Future[str]) -> None:
        def on_lost(_connection: Connection, reason: str) -> None:
            if not lost.done():
                lost.set_result(reason)

        tls = self._section.tls
        await asyncio.get_running_loop().create_connection(
            lambda: Connection(self._reactor, LinkChannel(self._link), None, on_lost),
            endpoint.host,
            endpoint.port,
            ssl=self._context,
            server_hostname=None if tls is None else tls.server_name or endpoint.host,
        )

    def _pause_seconds(self, failures: int) -> float:
        """Doubled with each failure, and anything from half of it to all of it, so that not everybody calls at once."""
        longest = min(self._section.reconnect_max_ms, self._section.reconnect_min_ms * 2 ** min(failures, 30))
        return random.uniform(longest / 2, longest) / 1000  # noqa: S311


REFUSALS = ("issuer refused the sign-on", "issuer did not answer")


class Receiver:
    """Listens for the issuer, and takes only the peers that the configuration names."""

    def __init__(self, section: LinkSection, link: Link, reactor: Reactor) -> None:
        self._section = section
        self._link = link
        self._reactor = reactor
        self._context = None if section.tls is None else accepting_link_context(section.tls, self)
        self._server: asyncio.Server | None = None
        self._open = 0
        self._handshakes = 0
        self._notes = Notes()

    @property
    def name(self) -> str:
        """Of the link, as the configuration calls it."""
        return self._section.name

    @property
    def address(self) -> Address | None:
        """Where it really listens, once it was started."""
        if self._server is None or not self._server.sockets:
            return self._section.bind
        host, port = self._server.sockets[0].getsockname()[:2]
        return Address(host, port)

    async def start(self) -> None:
        """Listen."""
        bind = self._section.bind
        if bind is None:
            raise OSError(f"link {self._section.name}: no address to listen on")
        self._server = await asyncio.get_running_loop().create_server(
            self._accept,
            bind.host,
            bind.port,
            ssl=self._context,
            ssl_handshake_timeout=None if self._context is None else HANDSHAKE_SECONDS,
        )

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    def handshake_begins(self) -> bool:
        """Let only so many agree on TLS at once: who they are is seen afterwards."""
        if self._handshakes == HANDSHAKES_MAX:
            return False
        self._handshakes += 1
        return True

    def handshake_ends(self, failure: str | None) -> None:
        """Tell operators why the issuer could not call."""
        self._handshakes -= 1
        if failure is not None:
            self._notes("link_connection_refused", {"link": self._section.name, "reason": failure})

    def _accept(self) -> Connection:
        return Connection(self._reactor, LinkChannel(self._link), self._opened, self._lost)

    def _opened(self, connection: Connection) -> str | None:
        peer = connection.transport.get_extra_info("peername")
        if self._open >= self._section.connections:
            refusal = "too many connections"
        elif not self._is_known(peer[0]):
            refusal = "unknown peer"
        else:
            self._open += 1
            return None
        self._notes("link_connection_refused", {"link": self._section.name, "peer": peer[0], "reason": refusal})
        return refusal

    def _lost(self, connection: Connection, reason: str) -> None:
        if connection.was_open:
            self._open -= 1
            log.warning("link connection lost", link=self._section.name, reason=reason)

    def _is_known(self, host: str) -> bool:
        address = ip_address(host)
        return any(address.version == network.version and address in network for network in self._section.peers)
