"""The ports on which terminals call."""

from __future__ import annotations

from functools import partial
from typing import cast

from switch.base.certificate_names import common_name
from switch.base.log import get_logger
from switch.base.stats import Stats
from switch.config import Address, ListenerSection
from switch.io.connection import Connection, Reactor
from switch.machine.listener import Listener, TerminalChannel
from switch.server.acceptor import Acceptor
from switch.server.header_wait import HeaderRefusedError
from switch.server.note_log import NoteLog
from switch.server.peer import Peer, is_among
from switch.server.place import Place
from switch.server.tls import listener_context, peer_certificate
from switch.wire.proxy_header import UnexpectedProxyHeaderError

TLS_HANDSHAKE_SECONDS = 10.0
REFUSALS = ("limit", "identity")
PROXY_REFUSALS = ("untrusted", "header", "late")
"""Of listeners behind a load balancer."""

log = get_logger(__name__)

COMMON_NAME_BYTES_MAX = 256
"""Of a client certificate: above 64 characters (RFC 5280, ub-common-name), and what the mesh has room for."""


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


def arrival_seconds(section: ListenerSection) -> float:
    """How long PROXY header and TLS handshake may take; without TLS the first message is awaited no longer, either."""
    first_message = section.first_message_timeout_ms / 1000
    return TLS_HANDSHAKE_SECONDS if section.tls is not None else min(TLS_HANDSHAKE_SECONDS, first_message)


class TerminalPort:
    """One listening socket. ``start`` it, then ``close`` it to accept nothing new."""

    def __init__(
        self, section: ListenerSection, listener: Listener, reactor: Reactor, door: Door, place: Place
    ) -> None:
        self._section = section
        self._connections_max = place.share(section.connections_max)
        self._listener = listener
        self._reactor = reactor
        self._door = door
        self._stats = reactor.engine.state.meters.stats
        labels = {"listener": section.name}
        self._accepted = self._stats.counter("authswitch_connections_total", "Terminal connections accepted.", labels)
        self._connections = self._stats.gauge("authswitch_connections", "Terminal connections open now.", labels)
        self._refused = {why: door.counter(section.name, why) for why in REFUSALS}
        if section.proxy_trusted is not None:
            self._refused |= {why: door.counter(section.name, why) for why in PROXY_REFUSALS}
        self._notes = NoteLog()
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
            awaits_header=section.proxy_trusted is not None,
            is_shared=place.workers > 1,
            handshake_seconds=arrival_seconds(section),
        )

    @property
    def name(self) -> str:
        """As the configuration calls it."""
        return self._section.name

    @property
    def address(self) -> Address:
        """Where it really listens, once it was started."""
        return self._acceptor.address

    @property
    def is_open(self) -> bool:
        """Whether it listens."""
        return self._acceptor.is_open

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

    def welcome(self, peer: str) -> bool:
        """Take a place at the door, from now until the connection is lost or its header or handshake fails."""
        trusted = self._section.proxy_trusted
        if trusted is not None and not is_among(peer, trusted):
            self._refuse(Peer(peer), "untrusted", "its address is not in proxy_trusted")
            return False
        mine = self._listener.connections + self._acceptor.arriving
        if mine < self._connections_max and self._door.enter():
            return True
        self._stats.add(self._refused["limit"])
        return False

    def receive(self, peer: Peer) -> Connection:
        """A connection that is welcome."""
        channel = TerminalChannel(self._listener)
        channel.called_from(peer.address)
        return Connection(self._reactor, channel, self._opened, partial(self._lost, peer))

    def part(self, peer: Peer, error: OSError | None) -> None:
        """No PROXY header came, or a handshake failed."""
        self._door.leave()
        if isinstance(error, HeaderRefusedError):
            self._refuse(peer, error.why, str(error))
        elif error is not None:
            self._stats.add(self._failed_handshakes)
            if isinstance(error, UnexpectedProxyHeaderError):
                self._tell_of_refusal(peer, str(error))

    def run_short(self) -> None:
        """Nothing can be accepted for a moment."""
        self._stats.add(self._shortages)

    def _refuse(self, peer: Peer, why: str, reason: str) -> None:
        self._stats.add(self._refused[why])
        self._tell_of_refusal(peer, reason)

    def _tell_of_refusal(self, peer: Peer, reason: str) -> None:
        self._notes("terminal_connection_refused", {"listener": self.name, **peer.details(), "reason": reason})

    def _opened(self, connection: Connection) -> str | None:
        """Take the connection in, or say why not."""
        self._acceptor.opened(connection)
        if self._listener.binds_identity:
            name = self._identity(connection)
            if name is None or len(name.encode()) > COMMON_NAME_BYTES_MAX:
                self._stats.add(self._refused["identity"])
                return "certificate names nobody"
            cast("TerminalChannel", connection.channel).bind(name)
        self._stats.add(self._accepted)
        self._stats.set(self._connections, self._listener.connections + 1)
        return None

    def _lost(self, peer: Peer, connection: Connection, reason: str) -> None:
        self._door.leave()
        if connection.was_open:
            self._stats.set(self._connections, self._listener.connections)
            log.debug("terminal connection closed", listener=self.name, **peer.details(), reason=reason)

    @staticmethod
    def _identity(connection: Connection) -> str | None:
        certificate = peer_certificate(connection)
        return None if certificate is None else common_name(certificate)
