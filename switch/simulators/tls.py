"""TLS of the simulated sides."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING

from switch.base.error_words import unreadable, words_of
from switch.files.datafile import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def _naming(*files: Path | None) -> Iterator[None]:
    """Name the files in what is raised: the ssl module does not."""
    for file in files:
        try:
            if file is not None:
                open_regular(file).close()  # the ssl module would wait for a pipe's writer
        except OSError as error:
            raise OSError(unreadable(error, file)) from error
    try:
        yield
    except OSError as error:
        names = " and ".join(str(file) for file in files if file is not None)
        raise OSError(words_of(error, names)) from error


def client_tls(ca: Path, certificate: Path | None = None, private_key: Path | None = None) -> ssl.SSLContext:
    """Of the side that calls.

    Args:
        ca: PEM file of the authorities of the other side's certificate.
        certificate: PEM file of the own certificate, where the other side asks for one.
        private_key: PEM file of its key.

    Raises:
        OSError: A file cannot be read, or is no such thing.
    """
    with _naming(ca):
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if certificate is not None:
        with _naming(certificate, private_key):
            context.load_cert_chain(certificate, private_key)
    return context


def server_tls(certificate: Path, private_key: Path, client_ca: Path | None = None) -> ssl.SSLContext:
    """Of the side that is called; with ``client_ca`` the caller must show a certificate of it.

    Raises:
        OSError: A file cannot be read, or is no such thing.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with _naming(certificate, private_key):
        context.load_cert_chain(certificate, private_key)
    if client_ca is not None:
        with _naming(client_ca):
            context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def issuer_tls(
    certificate: Path | None, private_key: Path | None, ca: Path | None, *, listens: bool
) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    """Of a simulated issuer: for whom it listens to, and for whom it calls; None, None: without TLS.

    Args:
        certificate: PEM file of its certificate.
        private_key: PEM file of its key.
        ca: PEM file of the authorities of the acquirer's certificate.
        listens: It waits for the acquirer; else it calls.

    Raises:
        ValueError: Only a part of what TLS needs was given: nothing must be sent in clear by mistake.
        OSError: A file cannot be read, or is no such thing.
    """
    if (certificate is None) != (private_key is None):
        raise ValueError("needed both --certificate and --private-key, or neither")
    if listens and ca is not None and certificate is None:
        raise ValueError("--ca with --listen: needed --certificate and --private-key besides, to speak TLS")
    if not listens and certificate is not None and ca is None:
        raise ValueError("--certificate with --connect: needed --ca besides, to speak TLS")
    server = server_tls(certificate, private_key, ca) if certificate and private_key else None
    return server, client_tls(ca, certificate, private_key) if ca else None
