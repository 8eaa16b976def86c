"""TLS contexts of listeners and links."""

from __future__ import annotations

from cryptography import x509

from switch.config.models import LinkTls, ListenerTls
from switch.io.connection import Connection
from switch.io.tls import TlsContext


def listener_context(tls: ListenerTls) -> TlsContext:
    """The context with which terminals are received.

    Raises:
        OSError: a file cannot be read, or certificate and key do not belong together.
    """
    return TlsContext(
        is_server=True,
        minimum_version=tls.minimum_version,
        certificate=tls.certificate,
        private_key=tls.private_key,
        ca=tls.client_ca,
        peer_must_prove=tls.client_ca is not None and tls.client_certificate == "required",
    )


def accepting_link_context(tls: LinkTls) -> TlsContext:
    """The context of a link on which the issuer calls.

    Raises:
        OSError: a file cannot be read, or certificate and key do not belong together.
    """
    return _link_context(tls, is_server=True, peer_must_prove=tls.ca is not None)


def calling_link_context(tls: LinkTls) -> TlsContext:
    """The context of a link on which we call.

    Raises:
        OSError: a file cannot be read, or certificate and key do not belong together.
    """
    return _link_context(tls, is_server=False, peer_must_prove=True)


def _link_context(tls: LinkTls, *, is_server: bool, peer_must_prove: bool) -> TlsContext:
    return TlsContext(
        is_server=is_server,
        minimum_version=tls.minimum_version,
        certificate=tls.certificate,
        private_key=tls.private_key,
        ca=tls.ca,
        peer_must_prove=peer_must_prove,
    )


def peer_certificate(connection: Connection) -> x509.Certificate | None:
    """The certificate that the other side has shown; None when it showed none, or one that cannot be read."""
    shown = None if connection.tls is None else connection.tls.peer_certificate
    try:
        return None if shown is None else x509.load_der_x509_certificate(shown)
    except (ValueError, x509.InvalidVersion):
        return None
