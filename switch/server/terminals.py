"""The ports on which terminals call."""

from __future__ import annotations

from typing import cast

from switch.base.log import get_logger
from switch.base.stats import Stats
from switch.config import Address, ListenerSection
from switch.io.connection import Connection, Reactor
from switch.machine.listener import Listener, TerminalChannel
from switch.server.acceptor import Acceptor
from switch.server.tls import common_name, listener_context, peer_certificate

TLS_HANDSHAKE_SECONDS = 10.0
log = get_logger(__name__)


class Door:
    """Counts the terminals' connections of all listeners together, those in a handshake too; says no at the limit.

    Args:
        connections_max: Of all listeners together.
        stats: Where refused connections are counted.
    """

    def __init__(self, connections_max: int, stats: Stats) -> None:
        self._connections_max = connections_max
        self._stats = stats
        self._taken = 0

    def counter(self, listener: str, why: str) -> int:
        """The place of a listener's count of connections refused for a reason."""
        return self._stats.counter(
            "authswitch_connections_refused_total",
            "Terminal connections closed as soon as they were made.",
            {"listener": listener, "why": why},
        )

    def enter(self) -> bool:
        """Take a place; False when all are taken."""
        if self._taken >= self._connections_max:
            return False
        self._taken += 1
        return True

    def leave(self) -> None:
        """Give a place back."""
        self._taken -= 1


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
            "authswitch_tls_handshake_failures_total",
            "Terminal connections that did not agree on TLS, or not in time.",
            labels,
        )
        self._shortages = self._stats.counter(
            "authswitch_accept_shortages_total",
            "Times that nothing was accepted for a moment, for want of file descriptors or memory.",
            labels,
        )
        tls = section.tls
        self._acceptor = Acceptor(
            self,
            f"listener[{section.name}].bind",
            section.bind,
            backlog=section.backlog,
            context=None if tls is None else listener_context(tls),
            handshake_seconds=TLS_HANDSHAKE_SECONDS,
        )

    @property
    def name(self) -> str:
        """As the configuration calls it."""
        return self._section.name

    @property
    def address(self) -> Address:
        """Where it really listens, once it was started."""
        return self._acceptor.address

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address cannot be had.
        """
        await self._acceptor.start()

    def close(self) -> None:
        """Accept nothing new; connections that stand go on."""
        self._acceptor.close()

    def status(self) -> dict[str, object]:
        """One row for operators."""
        return {
            "name": self.name,
            "address": str(self.address),
            "dialect": self._listener.tables.name,
            "tls": self._section.tls is not None,
            "connections": self._listener.connections,
        }

    # --- what the acceptor asks and tells -------------------------------------------------------------------------

    def welcome(self, _peer: str) -> bool:
        """Take a place at the door, from now until the connection is lost or its handshake fails."""
        mine = self._listener.connections + self._acceptor.arriving
        if mine < self._section.connections_max and self._door.enter():
            return True
        self._stats.add(self._refused["limit"])
        return False

    def receive(self, _peer: str) -> Connection:
        """A connection that is welcome."""
        return Connection(self._reactor, TerminalChannel(self._listener), self._opened, self._lost)

    def part(self, error: OSError | None) -> None:
        """A handshake failed."""
        self._door.leave()
        if error is not None:
            self._stats.add(self._failed_handshakes)

    def run_short(self) -> None:
        """Nothing can be accepted for a moment."""
        self._stats.add(self._shortages)

    def _opened(self, connection: Connection) -> str | None:
        """Take the connection in, or say why not."""
        self._acceptor.opened(connection)
        if self._listener.binds_identity:
            name = self._identity(connection)
            if name is None:
                self._stats.add(self._refused["identity"])
                return "certificate names nobody"
            cast("TerminalChannel", connection.channel).bind(name)
        self._stats.add(self._accepted)
        self._stats.set(self._connections, self._listener.connections + 1)
        return None

    def _lost(self, connection: Connection, reason: str) -> None:
        self._door.leave()
        if connection.was_open:
            self._stats.set(self._connections, self._listener.connections)
            log.debug("terminal connection closed", listener=self.name, reason=reason)

    @staticmethod
    def _identity(connection: Connection) -> str | None:
        certificate = peer_certificate(connection)
        return None if certificate is None else common_name(certificate)
