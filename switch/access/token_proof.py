"""What a token is, and whether one that is shown is the one of which a hash is kept."""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from switch.store.problems import RefusedError

SECRET_BYTES = 32
ID_BYTES = 6
DAYS_MAX = 366

TOKEN = re.compile(r"authswitch_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
WITHOUT_TOKEN = bytes(32)
"""Compared with where no token has the id, so that this takes as long as where one has."""


class UnknownTokenError(Exception):
    """A token that proves nothing. The words say why for the log, without the token; who shows it is told nothing."""


def new_token() -> tuple[str, str, bytes]:
    """A new token: its id, its text, and its hash."""
    key = secrets.token_hex(ID_BYTES)
    text = f"authswitch_{key}_{secrets.token_urlsafe(SECRET_BYTES)}"
    return key, text, hash_of(text)


def hash_of(text: str) -> bytes:
    """What is kept of a token: 256 random bits need no salt, and no slow hash."""
    return sha256(text.encode()).digest()


def id_of(text: str) -> str:
    """The id that stands in a token.

    Raises:
        UnknownTokenError: It is none.
    """
    written = TOKEN.fullmatch(text)
    if written is None:
        raise UnknownTokenError("it does not look like a token")
    return written[1]


def checked(text: str, found: Mapping[str, Any] | None, at: datetime) -> Mapping[str, Any]:
    """See that a token is the one of a row, and is in force.

    Args:
        text: What was shown.
        found: What is kept of the token with its id: ``id``, ``hash``, ``expires_at``, perhaps ``revoked_at``.
        at: Now.

    Raises:
        UnknownTokenError: It is not.
    """
    is_same = hmac.compare_digest(hash_of(text), WITHOUT_TOKEN if found is None else bytes(found["hash"]))
    if found is None or not is_same:
        raise UnknownTokenError("nobody has it")
    if found.get("revoked_at") is not None:
        raise UnknownTokenError(f"{found['id']} was revoked")
    if at >= found["expires_at"]:
        raise UnknownTokenError(f"{found['id']} has expired")
    return found


def expiry(days: int, at: datetime) -> datetime:
    """When a token ends.

    Raises:
        RefusedError: It would not end within a year.
    """
    if not 1 <= days <= DAYS_MAX:
        raise RefusedError(f"a token lasts 1 to {DAYS_MAX} days, not {days}")
    return at + timedelta(days=days)


def shown_token(header: str | None) -> str | None:
    """The token in an ``Authorization`` header; None where there is none."""
    scheme, _, text = (header or "").partition(" ")
    return text.strip() if scheme.lower() == "bearer" and text.strip() else None
