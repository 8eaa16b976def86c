"""What never stands in clear in the database, its backups, the audit or a log: identity numbers, accounts, papers.

Each value has three columns: sealed under AES-256-GCM and bound to its table, column and row, so that none can be moved
elsewhere; a keyed hash (HMAC-SHA-256) by which equal values are found; and a masked form for people. A sealed one is::

    form        1 byte     1
    key         2 bytes    number of the key, big-endian
    nonce      12 bytes
    ciphertext             with its tag of 16 bytes; form, key and [table, column, row] as JSON are its additional data
"""

from __future__ import annotations

import hmac
import json
import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Column, LargeBinary, String

from switch.keys.file import KeyFile
from switch.keys.store_keys import finding_key, sealing_keys
from switch.store.problems import StoreError

FORM = 1
HEAD_BYTES = 3
NONCE_BYTES = 12
TAG_BYTES = 16
MASK = "*"
SHOWN_MAX = 4
CHARACTERS_MAX = 64
"""Of what is sealed with a hash and a masked form."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value stands: it opens nowhere else."""

    table: str
    column: str
    row: str


class Sealer:
    """Seals and opens values of the store. ``repr`` shows no key.

    Args:
        keys: Keys of 32 bytes by number; the highest seals, all open.
        finding: The key of the hashes, 32 bytes.
    """

    def __init__(self, keys: Mapping[int, bytes], finding: bytes) -> None:
        self._keys = {number: AESGCM(key) for number, key in keys.items()}
        self._newest = max(keys)
        self._finding = finding

    @classmethod
    def of(cls, file: KeyFile) -> Self:
        """With the keys of a key file.

        Raises:
            KeyFileError: It has none for the store.
        """
        return cls(sealing_keys(file), finding_key(file))

    def seal(self, place: Place, clear: bytes) -> bytes:
        """A value as the database keeps it."""
        head, nonce = _head(self._newest), os.urandom(NONCE_BYTES)
        return head + nonce + self._keys[self._newest].encrypt(nonce, clear, _bound(head, place))

    def open(self, place: Place, sealed: bytes) -> bytes:
        """A value again.

        Raises:
            StoreError: It was damaged, belongs elsewhere, or its key is not in the key file.
        """
        where = f"{place.table} {place.row}: {place.column}"
        if len(sealed) < HEAD_BYTES + NONCE_BYTES + TAG_BYTES or sealed[0] != FORM:
            raise StoreError(f"{where}: is not sealed as this program does it")
        head, nonce = sealed[:HEAD_BYTES], sealed[HEAD_BYTES : HEAD_BYTES + NONCE_BYTES]
        number = int.from_bytes(head[1:], "big")
        if number not in self._keys:
            raise StoreError(f"{where}: is sealed under key {number} of the store, which the key file does not have")
        try:
            return self._keys[number].decrypt(nonce, sealed[HEAD_BYTES + NONCE_BYTES :], _bound(head, place))
        except InvalidTag:
            raise StoreError(f"{where}: was damaged, or sealed for another place") from None

    def hash(self, meaning: str, text: str) -> bytes:
        """By which equal values are found, however they are spelled: case, blanks and hyphens do not count.

        Args:
            meaning: What it is; equal texts of another meaning have another hash.
            text: The value in clear.
        """
        return finding_hash(self._finding, meaning, text)

    def hash_of_bytes(self, meaning: str, clear: bytes) -> bytes:
        """The same of bytes as they are."""
        return _finding_hash(self._finding, meaning, clear)

    def columns(self, place: Place, meaning: str, text: str) -> dict[str, Any]:
        """The values of the three columns that ``sealed_columns`` has made."""
        return {
            f"{place.column}_sealed": self.seal(place, text.encode()),
            f"{place.column}_hash": self.hash(meaning, text),
            f"{place.column}_masked": masked(text),
        }

    def text(self, table: str, column: str, row: Mapping[str, Any], key: str) -> str:
        """The clear text of a row's column.

        Raises:
            StoreError: It cannot be opened.
        """
        return self.open(Place(table, column, key), row[f"{column}_sealed"]).decode()


def sealed_columns(name: str, *, is_required: bool = True) -> list[Column[Any]]:
    """The columns of a value that never stands in clear."""
    return [
        Column(f"{name}_sealed", LargeBinary(), nullable=not is_required),
        Column(f"{name}_hash", LargeBinary(32), nullable=not is_required, index=True),
        Column(f"{name}_masked", String(CHARACTERS_MAX), nullable=not is_required),
    ]


def finding_hash(key: bytes, meaning: str, text: str) -> bytes:
    """As ``Sealer.hash``, for whoever has the key of the hashes alone."""
    return _finding_hash(key, meaning, plain(text).encode())


def _finding_hash(key: bytes, meaning: str, clear: bytes) -> bytes:
    return hmac.digest(key, meaning.encode() + b"\0" + clear, "sha256")


def plain(text: str) -> str:
    """A value without what only its spelling has."""
    whole = unicodedata.normalize("NFKC", text).casefold()
    return "".join(one for one in whole if not one.isspace() and one != "-")


def masked(text: str) -> str:
    """A value as people see it: at most its last four characters, and less than half of it."""
    shown = min(SHOWN_MAX, max(len(text) - 1, 0) // 2)
    return MASK * (len(text) - shown) + text[len(text) - shown :]


def _head(number: int) -> bytes:
    return bytes((FORM,)) + number.to_bytes(2, "big")


def _bound(head: bytes, place: Place) -> bytes:
    return head + json.dumps([place.table, place.column, place.row], separators=(",", ":")).encode()
