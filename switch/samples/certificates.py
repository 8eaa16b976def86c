"""Certificates for trials on one machine: an authority, and what it signs."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from trustme import CA

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
_LIFETIME = timedelta(days=365)


class Pair(NamedTuple):
    """A certificate and its private key, as PEM files."""

    certificate: Path
    private_key: Path


class Authority:
    """Signs certificates; its own key never leaves the process.

    Args:
        folder: Where certificates are written, the authority's own as ``NAME.pem``.
        name: Of the authority.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._authority = CA(path_length=0, organization_name="authswitch trial", organization_unit_name=name)
        self.certificate = folder / f"{name}.pem"
        self._authority.cert_pem.write_to_path(self.certificate)

    def issue(
        self, file: str, common_name: str, other_names: Sequence[str] = (), valid_for: timedelta = _LIFETIME
    ) -> Pair:
        """Sign a certificate and write it and its new key, which only the owner can read.

        Args:
            file: Name of both files, without ending.
            common_name: The subject's.
            other_names: Host names and addresses; the common name, where there are none.
            valid_for: From now on; a negative one has run out.
        """
        end = datetime.now(UTC) + valid_for
        leaf = self._authority.issue_cert(
            *(other_names or (common_name,)),
            common_name=common_name,
            not_before=min(end, datetime.now(UTC)) - timedelta(days=1),
            not_after=end,
        )
        pair = Pair(self._folder / f"{file}.pem", self._folder / f"{file}.key")
        leaf.cert_chain_pems[0].write_to_path(pair.certificate)
        with os.fdopen(os.open(pair.private_key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(leaf.private_key_pem.bytes())
        return pair
