"""The tables of the books, in a database of their own.

Rows are put into them by one who writes at a time, and none of an entry, a posting or a payment's terms is ever changed
or deleted: the database refuses that (migration 0001). A *source* is what entries come from, in an order of its own: a
partition's journal. An entry is named by its source and the position there of what caused it, so that nothing can be
posted twice.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

from switch.store.columns import NAMES, Day, one_of
from switch.store.migrating import Schema

BOOKS_METADATA = MetaData(naming_convention=NAMES)
"""All tables of the books."""

SCHEMA = Schema("switch.books:migrations", "authswitch books upgrade CONFIG")

KIND_CHARACTERS = 32
OWNER_CHARACTERS = 40
STATES = ("stands", "taken back", "advice declined", "advice given up")
"""Of a payment: it stands, all of it was reversed, or its issuer takes no note of what was approved in its stead."""

SOURCES = Table(
    "sources",
    BOOKS_METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("journal", LargeBinary(16), nullable=False),
    Column("begins", BigInteger, nullable=False),
    Column("next_position", BigInteger, nullable=False),
    Column("entries", BigInteger, nullable=False),
    Column("chain", LargeBinary(32), nullable=False),
    Column("business_day", Day, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    comment="partitions' journals: how far each was posted, the chain of its entries' hashes, and its business day",
)

ACCOUNTS = Table(
    "accounts",
    BOOKS_METADATA,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(KIND_CHARACTERS), nullable=False),
    Column("owner", String(OWNER_CHARACTERS), nullable=False),
    Column("currency", Integer, nullable=False),
    UniqueConstraint("kind", "owner", "currency"),
    UniqueConstraint("number", "currency"),
    Index(None, "owner"),
    comment="one of each kind for each owner and currency (ISO 4217, numeric); the acquirer's own have owner ''",
)

PAYMENTS = Table(
    "payments",
    BOOKS_METADATA,
    Column("source", Integer, ForeignKey("sources.number"), primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(KIND_CHARACTERS), nullable=False),
    Column("state", String(16), nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Integer, nullable=False),
    Column("link", String(OWNER_CHARACTERS), nullable=False),
    Column("merchant", String(15), nullable=False),
    Column("terminal", String(8), nullable=False),
    Column("card", String(19), nullable=False),
    Column("card_hash", LargeBinary(16), nullable=False),
    Column("rrn", String(12), nullable=False),
    Column("stan", Integer, nullable=False),
    Column("refers_to", BigInteger, nullable=False),
    Column("is_advice", Boolean, nullable=False),
    Column("business_day", Day, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    one_of("state", STATES),
    CheckConstraint("amount_minor >= 0", name="has_an_amount"),
    Index(None, "rrn"),
    Index(None, "merchant", "business_day"),
    Index(None, "card_hash"),
    comment="what was approved, by the position of its INTENT or ADVICE; only the state is ever changed",
)

ENTRIES = Table(
    "entries",
    BOOKS_METADATA,
    Column("source", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("payment", BigInteger, nullable=False),
    Column("event", String(16), nullable=False),
    Column("why", String(64), nullable=False),
    Column("business_day", Day, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    ForeignKeyConstraint(["source", "payment"], ["payments.source", "payments.position"]),
    Index(None, "payment", "source"),  # begun as the key is, PostgreSQL might look entries up by it
    comment="what happened, by the position of the record that says so",
)

POSTINGS = Table(
    "postings",
    BOOKS_METADATA,
    Column("source", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("leg", Integer, primary_key=True, autoincrement=False),
    Column("debit", BigInteger, nullable=False),
    Column("credit", BigInteger, nullable=False),
    Column("currency", Integer, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    CheckConstraint("amount_minor > 0", name="moves_something"),
    CheckConstraint("debit <> credit", name="moves_elsewhere"),
    ForeignKeyConstraint(["source", "position"], ["entries.source", "entries.position"]),
    ForeignKeyConstraint(["debit", "currency"], ["accounts.number", "accounts.currency"]),
    ForeignKeyConstraint(["credit", "currency"], ["accounts.number", "accounts.currency"]),
    comment="an amount from the account that is credited to the one that is debited: no entry can but sum to zero",
)

BALANCES = Table(
    "balances",
    BOOKS_METADATA,
    Column("account", BigInteger, ForeignKey("accounts.number"), primary_key=True, autoincrement=False),
    Column("debits_minor", BigInteger, nullable=False),
    Column("credits_minor", BigInteger, nullable=False),
    comment="what the postings of an account sum up to",
)

DAY_TOTALS = Table(
    "day_totals",
    BOOKS_METADATA,
    Column("account", BigInteger, ForeignKey("accounts.number"), primary_key=True, autoincrement=False),
    Column("business_day", Day, primary_key=True),
    Column("debits_minor", BigInteger, nullable=False),
    Column("credits_minor", BigInteger, nullable=False),
    comment="the same by business day",
)
