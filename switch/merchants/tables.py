"""The tables of the registry."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, String, Table

from switch.store.columns import METADATA, Moment, one_of
from switch.tables.party_states import IDENTITY_DIGITS, MERCHANT_CLASSES, STATES, TERMINAL_STATES

MERCHANTS = Table(
    "merchants",
    METADATA,
    Column("id", String(15), primary_key=True, comment="field 42"),
    Column("name", String(120), nullable=False),
    Column("state", String(16), nullable=False, default="active"),
    Column("category", String(4), nullable=False, comment="merchant category code, ISO 18245"),
    Column("kinds", String(400), nullable=False, default="", comment="allowed kinds divided by |, empty for all"),
    Column("since", Moment, nullable=False),
    one_of("state", STATES),
)

IDENTITIES = Table(
    "merchant_identities",
    METADATA,
    Column("id", String(15), ForeignKey("merchants.id"), primary_key=True, comment="of the merchant"),
    Column("class", String(16), nullable=False, comment="company, or small: a person without a licence"),
    Column(
        "same_identity",
        String(IDENTITY_DIGITS),
        nullable=False,
        index=True,
        comment="keyed hash of its credit or identity number: the same for all merchants of one",
    ),
    one_of("class", MERCHANT_CLASSES),
)

TERMINALS = Table(
    "terminals",
    METADATA,
    Column("id", String(8), primary_key=True, comment="field 41"),
    Column("merchant", String(15), ForeignKey("merchants.id"), nullable=False, index=True),
    Column("state", String(16), nullable=False, default="active"),
    Column("listeners", String(1_100), nullable=False, default="", comment="divided by |, empty for all"),
    Column("kinds", String(400), nullable=False, default="", comment="allowed kinds divided by |, empty for all"),
    Column("mac_algorithm", String(16), nullable=False),
    Column("pin_format", String(16), nullable=False),
    Column("certificate", String(253), nullable=False, default="", comment="its common name, where not the id"),
    Column("serial_number", String(50), unique=True, comment="of the machine; the network knows it by that"),
    Column("model", String(60), nullable=False, default=""),
    Column("place", String(200), nullable=False, default="", comment="where it is installed"),
    one_of("state", TERMINAL_STATES),
)

ACTIVATIONS = Table(
    "activations",
    METADATA,
    Column("id", String(8), ForeignKey("terminals.id"), primary_key=True, comment="of the terminal"),
    Column("code_hash", LargeBinary(32), nullable=False, comment="keyed"),
    Column("tries_left", Integer, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("used_at", Moment),
)
