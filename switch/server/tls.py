"""TLS contexts of listeners and links."""

from __future__ import annotations

import ssl
from typing import ClassVar, Protocol

from cryptography import x509
from cryptography.x509.oid import NameOID

from switch.config.models import LinkTls, ListenerTls

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

HANDSHAKE_SECONDS = 10.0
"""How long a peer that calls may take for its handshake."""


class HandshakeWatch(Protocol):
    """Who counts handshakes that are under way."""

    def handshake_begins(self) -> bool:
        """Whether there is room for one more."""

    def handshake_ends(self, failure: str | None) -> None:
        """One that had begun came to its end: well, or for this reason."""


class WatchedHandshake(ssl.SSLObject):
    """A connection's TLS that tells of its handshake. The connection's protocol only hears of those that go well."""

    watch: ClassVar[HandshakeWatch]
    _has_begun = False
    _under_way = False

    def do_handshake(self) -> None:
        """Take the next step.

        Raises:
            ssl.SSLError: more from the peer is needed, there is no agreement, or no room for another connection.
        """
        if not self._has_begun:
            self._has_begun = True
            if not self.watch.handshake_begins():
                raise ssl.SSLError("too many connections")
            self._under_way = True
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self._end(str(error))
            raise
        self._end(None)

    def __del__(self) -> None:
        # The peer went away, or was given up: nobody calls a method for that.
        self._end("not finished")

    def _end(self, failure: str | None) -> None:
        if self._under_way:
            self._under_way = False
            self.watch.handshake_ends(failure)


def listener_context(tls: ListenerTls, watch: HandshakeWatch) -> ssl.SSLContext:
    """The context with which terminals are received.

    Args:
        tls: The listener's section.
        watch: Who counts handshakes.

    Raises:
        OSError: a file cannot be read, or certificate and key do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[tls.minimum_version]
    context.load_cert_chain(tls.certificate, tls.private_key)
    # Long-lived connections gain nothing from session tickets, and each would cost memory and a handshake message.
    context.num_tickets = 0
    if tls.client_ca is not None:
        context.load_verify_locations(tls.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED if tls.client_certificate == "required" else ssl.CERT_NONE
    _watch(context, watch)
    return context


def _watch(context: ssl.SSLContext, watch: HandshakeWatch) -> None:
    context.sslobject_class = type("Handshake", (WatchedHandshake,), {"watch": watch})


def accepting_link_context(tls: LinkTls, watch: HandshakeWatch) -> ssl.SSLContext:
    """The context of a link on which the issuer calls.

    Args:
        tls: The link's section.
        watch: Who counts handshakes.

    Raises:
        OSError: a file cannot be read, or certificate and key do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[tls.minimum_version]
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.private_key)
    if tls.ca is not None:
        context.load_verify_locations(tls.ca)
        context.verify_mode = ssl.CERT_REQUIRED
    _watch(context, watch)
    return context


def calling_link_context(tls: LinkTls) -> ssl.SSLContext:
    """The context of a link on which we call.

    Raises:
        OSError: a file cannot be read, or certificate and key do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = VERSIONS[tls.minimum_version]
    if tls.ca is not None:
        context.load_verify_locations(tls.ca)
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.private_key)
    return context


def common_name(certificate: bytes) -> str | None:
    """The common name of a certificate in DER; None when it has none, or more than one."""
    names = x509.load_der_x509_certificate(certificate).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) != 1:
        return None
    value = names[0].value
    return value if isinstance(value, str) else None
