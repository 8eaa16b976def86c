"""Certificates, their private keys and authorities: readable, current, belonging together, and kept private."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from switch.base.certificate_names import bears_name
from switch.config.mesh_checks import own_node
from switch.config.mesh_sections import MeshSection
from switch.config.mesh_tls import refusal_of_our_own
from switch.config.partial_config import PartialConfig
from switch.files.datafile import read_regular
from switch.files.problems import errors_among

EXPIRES_SOON = timedelta(days=30)
FILE_BYTES_MAX = 16 << 20


def check_tls(draft: PartialConfig) -> None:
    """Check every certificate, private key and authority that listeners and links name."""
    for key, certificate, private_key, authorities_key, authorities in _users(draft):
        if certificate is not None:
            chain = _read_certificates(draft, f"{key}.certificate", certificate)
            if key == "mesh" and chain:
                _check_name(draft, chain[0])
            if private_key is not None:
                _check_private_key(draft, f"{key}.private_key", private_key, chain)
        if authorities is not None:
            _read_certificates(draft, f"{key}.{authorities_key}", authorities)
    mesh = draft.get("mesh", MeshSection)
    if mesh is not None and not any(one.key.startswith("mesh.") for one in errors_among(draft.problems)):
        _check_own(draft, mesh)


def _users(draft: PartialConfig) -> Iterator[tuple[str, Path | None, Path | None, str, Path | None]]:
    for listener in draft.listeners:
        if (tls := listener.tls) is not None:
            yield f"listener[{listener.name}].tls", tls.certificate, tls.private_key, "client_ca", tls.client_ca
    for link in draft.links:
        if (own := link.tls) is not None:
            yield f"link[{link.name}].tls", own.certificate, own.private_key, "ca", own.ca
    if (mesh := draft.get("mesh", MeshSection)) is not None:
        yield "mesh", mesh.certificate, mesh.private_key, "ca", mesh.ca


def _check_name(draft: PartialConfig, certificate: x509.Certificate) -> None:
    """Refuse a certificate with which the other nodes would not know us."""
    own = own_node(draft)
    if own is not None and not bears_name(certificate, own.certified_name):
        draft.error("mesh.certificate", f"does not bear the name {own.certified_name}: other nodes would refuse it")


def _check_own(draft: PartialConfig, mesh: MeshSection) -> None:
    """Refuse a certificate that nodes with the same authority would not take."""
    if reason := refusal_of_our_own(mesh):
        draft.error("mesh.certificate", f"{mesh.certificate}: with {mesh.ca} other nodes would refuse it: {reason}")


def read_file(draft: PartialConfig, key: str, path: Path) -> bytes | None:
    """The content of a file; None, and an error noted, when it cannot be had."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            draft.error(key, f"{path}: is larger than {FILE_BYTES_MAX:,} bytes")
            return None
        return read_regular(path)
    except OSError as error:
        draft.error(key, f"{path}: cannot be read: {error.strerror}")
        return None


def check_private(draft: PartialConfig, key: str, path: Path) -> None:
    """Refuse a file with a secret that others may read, or that the group may write."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        draft.error(key, f"{path}: its mode is {mode:04o}, so others can use it; needed 0600 or 0640")


def _read_certificates(draft: PartialConfig, key: str, path: Path) -> list[x509.Certificate]:
    content = read_file(draft, key, path)
    if content is None:
        return []
    try:
        certificates = x509.load_pem_x509_certificates(content)
    except ValueError:
        draft.error(key, f"{path}: holds no PEM certificate that can be read")
        return []
    now = datetime.now(UTC)
    for certificate in certificates:
        subject = certificate.subject.rfc4514_string()
        if certificate.not_valid_after_utc < now:
            draft.error(key, f"{path}: {subject} expired on {certificate.not_valid_after_utc:%Y-%m-%d}")
        elif certificate.not_valid_before_utc > now:
            draft.error(key, f"{path}: {subject} is valid only from {certificate.not_valid_before_utc:%Y-%m-%d}")
        elif certificate.not_valid_after_utc < now + EXPIRES_SOON:
            draft.warning(key, f"{path}: {subject} expires on {certificate.not_valid_after_utc:%Y-%m-%d}")
    return certificates


def _check_private_key(draft: PartialConfig, key: str, path: Path, chain: list[x509.Certificate]) -> None:
    content = read_file(draft, key, path)
    if content is None:
        return
    check_private(draft, key, path)
    try:
        private_key = load_pem_private_key(content, password=None)
    except TypeError:
        draft.error(key, f"{path}: is encrypted; the daemon has nobody to ask for a password")
        return
    except ValueError:
        draft.error(key, f"{path}: holds no PEM private key that can be read")
        return
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if chain and chain[0].public_key().public_bytes(*form) != private_key.public_key().public_bytes(*form):
        draft.error(key, f"{path}: does not belong to the certificate")
