"""What a terminal's serial number is bound to: keyed hashes by which an altered row of the registry is noticed.

A merchant's *elements* are a hash over the acquirer's code, the merchant's number, and the hashes of who it is and of
the account that it is settled on. A terminal's *binding* is a hash over the elements that it was bound to, its number,
its serial number and its place. Neither identity nor account stands anywhere in clear. Every part of a hash comes
behind its length, so that no two rows give the same bytes.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Final, NamedTuple

BINDING_KEY: Final = "registry/rbk"
"""Name of the key in the key file."""

KEY_BYTES: Final = 32
MERCHANT_ELEMENTS: Final = ("identity", "account")
"""Columns of a merchant that its elements are made of, beside its number: hashes in hex."""

TERMINAL_ELEMENTS: Final = ("serial_number", "place", "position")
"""Columns of a terminal that its binding covers, beside its number and what it is bound to."""


class BindingRule(NamedTuple):
    """What a switch asks of its terminals.

    Attributes:
        acquirer: Identification code of the acquiring institution.
        is_demanded: Whether a terminal that is bound to nothing is not served.
        metres_max: So far from its place a terminal may be.
        serial_number_demanded: Whether a terminal must say its serial number, where its dialect has a place for it.
        position_demanded: The same of where it is.
    """

    acquirer: str
    is_demanded: bool = False
    metres_max: int = 500
    serial_number_demanded: bool = False
    position_demanded: bool = False


def secret_hash(key: bytes, column: str, merchant: str, clear: str) -> str:
    """What stands for an identity number or an account of a merchant, in hex; blanks and hyphens make no difference.

    Args:
        key: The binding key.
        column: One of ``MERCHANT_ELEMENTS``.
        merchant: Its number: two merchants with one account do not show it.
        clear: The number itself.
    """
    return _hash(key, column, merchant, "".join(clear.replace("-", "").split()).upper()).hex()


def elements_of(key: bytes, acquirer: str, merchant: str, identity: str, account: str) -> bytes:
    """The elements of a merchant, 32 bytes.

    Args:
        key: The binding key.
        acquirer: Identification code of the acquiring institution.
        merchant: The merchant's number.
        identity: Hash of its credit code, or of the person's identity number.
        account: Hash of its settlement account.
    """
    return _hash(key, "elements", acquirer, merchant, identity, account)


def binding_of(key: bytes, row: Mapping[str, str | None]) -> bytes:
    """What binds a terminal, 32 bytes.

    Args:
        key: The binding key.
        row: Its number (``id``), the elements that its merchant has, in hex (``bound_to``), and ``TERMINAL_ELEMENTS``;
            the position is empty where nobody measured it.
    """
    return _hash(key, "binding", *(row[name] or "" for name in ("bound_to", "id", *TERMINAL_ELEMENTS)))


def is_bound_as(key: bytes, row: Mapping[str, str | None]) -> bool:
    """Whether a terminal's row is the one that was bound: nobody has altered it since."""
    return hmac.compare_digest(binding_of(key, row).hex().encode(), (row["binding"] or "").encode())


def _hash(key: bytes, purpose: str, *parts: str) -> bytes:
    message = bytearray()
    for part in (purpose, *parts):
        data = part.encode()
        message += len(data).to_bytes(2)
        message += data
    return hmac.digest(key, message, "sha256")
