"""TLS of the simulated sides."""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING

from switch.datafile import open_regular
from switch.wording import words_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def _naming(*files: Path | None) -> Iterator[None]:
    """Name the files in what is raised: the ssl module does not."""
    try:
        for file in files:
            if file is not None:
                open_regular(file).close()  # the ssl module would wait for a pipe's writer
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
