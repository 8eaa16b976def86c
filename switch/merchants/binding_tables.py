"""The tables of what terminals are bound to, and of the cases that follow when something does not fit."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table, Text

from switch.store.audit import WHO_CHARACTERS_MAX, WHY_CHARACTERS_MAX
from switch.store.columns import METADATA, Day, Moment, one_of

HASH_DIGITS = 64
VERIFICATIONS = ("on site", "live video")
CASE_STATES = ("open", "closed")


def _verification() -> list[Column[Any]]:
    """Who saw, how and when, that it is so."""
    return [
        Column("verified", String(16), nullable=False, default="", comment=f"how: {' or '.join(VERIFICATIONS)}"),
        Column("verified_by", String(WHO_CHARACTERS_MAX), nullable=False, default=""),
        Column("verified_on", Day),
        Column("reference", String(120), nullable=False, default="", comment="of the record of it"),
    ]


ELEMENTS = Table(
    "merchant_elements",
    METADATA,
    Column("id", String(15), ForeignKey("merchants.id"), primary_key=True),
    Column("identity", String(HASH_DIGITS), nullable=False, comment="keyed hash of its credit or identity number"),
    Column("account", String(HASH_DIGITS), nullable=False, comment="keyed hash of its settlement account"),
    *_verification(),
)

BINDINGS = Table(
    "terminal_bindings",
    METADATA,
    Column("id", String(8), ForeignKey("terminals.id"), primary_key=True),
    Column("position", String(32), nullable=False, default="", comment="of its place, ISO 6709; empty: not measured"),
    Column("bound_to", String(HASH_DIGITS), nullable=False, comment="elements of its merchant at that time"),
    Column("binding", String(HASH_DIGITS), nullable=False, comment="keyed hash over the row and what it is bound to"),
    *_verification(),
)

CASES = Table(
    "cases",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(64), nullable=False),
    Column("subject", String(64), nullable=False, comment="table of what it is about"),
    Column("row", String(128), nullable=False, comment="which row of it"),
    Column("opened_at", Moment, nullable=False),
    Column("facts", Text, nullable=False, comment="JSON, without secrets"),
    Column("state", String(16), nullable=False, default="open"),
    Column("decided_by", String(WHO_CHARACTERS_MAX)),
    Column("decided_at", Moment),
    Column("reason", String(WHY_CHARACTERS_MAX), comment="of the decision"),
    one_of("state", CASE_STATES),
    Index(None, "subject", "row", "state"),
)
