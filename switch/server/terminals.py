"""The ports on which terminals call."""

from __future__ import annotations

import asyncio
import ssl
from typing import cast

from switch.config import Address, ListenerSection
from switch.connection import Connection, Reactor
from switch.listener import Listener, TerminalChannel
from switch.log import get_logger
from switch.server.tls import HANDSHAKE_SECONDS, common_name, listener_context
from switch.stats import Stats

log = get_logger(__name__)


class Door:
    """Counts the terminals' connections of all listeners together, and says no at the limit.

    Args:
        connections_max: Of all listeners together.
        stats: Where refused connections are counted.
    """

    def __init__(self, connections_max: int, stats: Stats) -> None:
        self._connections_max = connections_max
        self._stats = stats
        self._open = 0

    def counter(self, listener: str, why: str) -> int:
        """The place of a listener's count of connections refused for a reason."""
        return self._stats.counter(
            "authswitch_connections_refused_total",
            "Terminal connections closed as soon as they were made.",
            {"listener": listener, "why": why},
        )

    def enter(self) -> bool:
        """Take a place; False when all are taken."""
        if self._open >= self._connections_max:
            return False
        self._open += 1
        return True

    def leave(self) -> None:
        """Give a place back."""
        self._open -= 1


class TerminalPort:
    """One listening socket. ``start`` it, then ``close`` it to accept nothing new."""

    def __init__(self, section: ListenerSection, listener: Listener, reactor: Reactor, door: Door) -> None:
        self._section = section
        self._listener = listener
        self._reactor = reactor
        self._door = door
        self._stats = reactor.engine.state.meters.stats
        labels = {"listener": section.name}
        self._accepted = self._stats.counter("authswitch_connections_total", "Terminal connections accepted.", labels)
        self._connections = self._stats.gauge("authswitch_connections", "Terminal connections open now.", labels)
        self._refused = {why: door.counter(section.name, why) for why in ("limit", "identity")}
        self._failed_handshakes = self._stats.counter(
            "authswitch_tls_handshake_failures_total", "Terminal connections that failed to agree on TLS.", labels
        )
        self._handshakes = 0
        self._server: asyncio.Server | None = None

    @property
    def name(self) -> str:
        """As the configuration calls it."""
        return self._section.name

    @property
    def address(self) -> Address:
        """Where it really listens, once it was started."""
        if self._server is None or not self._server.sockets:
            return self._section.bind
        host, port = self._server.sockets[0].getsockname()[:2]
        return Address(host, port)

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be had, or a certificate cannot be read.
        """
        tls = self._section.tls
        context = None if tls is None else listener_context(tls, self)
        self._server = await asyncio.get_running_loop().create_server(
            self._accept,
            self._section.bind.host,
            self._section.bind.port,
            backlog=self._section.backlog,
            ssl=context,
            ssl_handshake_timeout=None if context is None else HANDSHAKE_SECONDS,
        )

    def close(self) -> None:
        """Accept nothing new; connections that stand go on."""
        if self._server is not None:
            self._server.close()

    def status(self) -> dict[str, object]:
        """One row for operators."""
        return {
            "name": self.name,
            "address": str(self.address),
            "dialect": self._listener.tables.name,
            "tls": self._section.tls is not None,
            "connections": self._listener.connections,
        }

    def handshake_begins(self) -> bool:
        """Take a place for a connection that agrees on TLS first; False when all are taken."""
        if not self._has_room() or not self._door.enter():
            self._stats.add(self._refused["limit"])
            return False
        self._handshakes += 1
        return True

    def handshake_ends(self, failure: str | None) -> None:
        """Give its place back; a connection that goes on takes another at once."""
        self._handshakes -= 1
        self._door.leave()
        if failure is not None:
            self._stats.add(self._failed_handshakes)

    def _has_room(self) -> bool:
        return self._listener.connections + self._handshakes < self._section.connections_max

    def _accept(self) -> Connection:
        return Connection(self._reactor, TerminalChannel(self._listener), self._opened, self._lost)

    def _opened(self, connection: Connection) -> str | None:
        """Take the connection in, or say why not."""
        if not self._has_room() or not self._door.enter():
            self._stats.add(self._refused["limit"])
            return "too many connections"
        if self._listener.binds_identity:
            name = self._identity(connection.transport)
            if name is None:
                self._door.leave()
                self._stats.add(self._refused["identity"])
                return "certificate names nobody"
            cast("TerminalChannel", connection.channel).bind(name)
        self._stats.add(self._accepted)
        self._stats.set(self._connections, self._listener.connections + 1)
        return None

    def _lost(self, connection: Connection, reason: str) -> None:
        if not connection.was_open:
            return
        self._door.leave()
        self._stats.set(self._connections, self._listener.connections)
        log.debug("terminal connection closed", listener=self.name, reason=reason)

    @staticmethod
    def _identity(transport: asyncio.Transport) -> str | None:
        tls: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
        certificate = None if tls is None else tls.getpeercert(binary_form=True)
        return None if certificate is None else common_name(certificate)
