"""TLS of the simulated sides."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def client_tls(ca: Path, certificate: Path | None = None, private_key: Path | None = None) -> ssl.SSLContext:
    """Of the side that calls.

    Args:
        ca: PEM file of the authorities of the other side's certificate.
        certificate: PEM file of the own certificate, where the other side asks for one.
        private_key: PEM file of its key.

    Raises:
        OSError: A file cannot be read, or is no such thing.
    """
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        context.load_cert_chain(certificate, private_key)
    return context


def server_tls(certificate: Path, private_key: Path, client_ca: Path | None = None) -> ssl.SSLContext:
    """Of the side that is called; with ``client_ca`` the caller must show a certificate of it.

    Raises:
        OSError: A file cannot be read, or is no such thing.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, private_key)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
