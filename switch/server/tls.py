"""TLS contexts of listeners and links."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from cryptography import x509
from cryptography.x509.oid import NameOID

from switch.config.models import LinkTls, ListenerTls

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def listener_context(tls: ListenerTls, on_failure: Callable[[], None]) -> ssl.SSLContext:
    """The context with which terminals are received.

    Args:
        tls: The listener's section.
        on_failure: Called for each handshake that fails; the protocol of such a connection never hears of it.

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

    class Handshake(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLError:
                on_failure()
                raise

    context.sslobject_class = Handshake
    return context


def accepting_link_context(tls: LinkTls) -> ssl.SSLContext:
    """The context of a link on which the issuer calls.

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
