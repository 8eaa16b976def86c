"""TLS contexts of listeners and links."""

from __future__ import annotations

import ssl

from cryptography import x509
from cryptography.x509.oid import NameOID

from switch.config.models import LinkTls, ListenerTls
from switch.connection import Connection

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def _server_context(minimum_version: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[minimum_version]
    # Long-lived connections gain nothing from session tickets: each would cost memory and a handshake message, and the
    # key of the tickets of TLS 1.2 would undo forward secrecy. The number is that of TLS 1.3, the option is for 1.2.
    context.num_tickets = 0
    context.options |= ssl.OP_NO_TICKET
    return context


def listener_context(tls: ListenerTls) -> ssl.SSLContext:
    """The context with which terminals are received.

    Raises:
        OSError: a file cannot be read, or certificate and key do not belong together.
    """
    context = _server_context(tls.minimum_version)
    context.load_cert_chain(tls.certificate, tls.private_key)
    if tls.client_ca is not None:
        context.load_verify_locations(tls.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED if tls.client_certificate == "required" else ssl.CERT_NONE
    return context


def accepting_link_context(tls: LinkTls) -> ssl.SSLContext:
    """The context of a link on which the issuer calls.

    Raises:
        OSError: a file cannot be read, or certificate and key do not belong together.
    """
    context = _server_context(tls.minimum_version)
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


def peer_certificate(connection: Connection) -> x509.Certificate | None:
    """The certificate that the other side has shown; None when it showed none, or one that cannot be read."""
    shown = None if connection.tls is None else connection.tls.peer_certificate
    try:
        return None if shown is None else x509.load_der_x509_certificate(shown)
    except (ValueError, x509.InvalidVersion):
        return None


def common_name(certificate: x509.Certificate) -> str | None:
    """The common name of a certificate; None when it has none that can be read, or more than one."""
    try:
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:
        return None
    if len(names) != 1:
        return None
    value = names[0].value
    return value if isinstance(value, str) else None


def bears_name(certificate: x509.Certificate, name: str) -> bool:
    """Whether a name is the certificate's common name or one of its DNS names, upper case or lower; no wildcards."""
    own = common_name(certificate)
    try:
        others = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = others.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        names = []
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return False
    return name.lower() in {each.lower() for each in (own, *names) if each is not None}
