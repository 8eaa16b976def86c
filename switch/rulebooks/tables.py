"""The tables of rulebooks: what was put there, what it says, and which one is in force."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table, Text

from switch.rulebooks.rulebooks import TITLES
from switch.store.audit import WHO_CHARACTERS_MAX, WHY_CHARACTERS_MAX
from switch.store.columns import METADATA, Moment, one_of
from switch.store.proving import UNAUDITED

KINDS = tuple(TITLES)

RULEBOOKS = Table(
    "rulebooks",
    METADATA,
    Column("id", String(32), primary_key=True, comment="kind and version: risk@3"),
    Column("kind", String(16), nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False, comment="SHA-256 of its body, in hex"),
    Column("bytes", BigInteger, nullable=False, comment="of its body"),
    Column("put_by", String(WHO_CHARACTERS_MAX), nullable=False),
    Column("put_at", Moment, nullable=False),
    Column("why", String(WHY_CHARACTERS_MAX), nullable=False),
    one_of("kind", KINDS),
    Index(None, "kind", "version", unique=True),
    comment="versions of risk rules and BIN tables; none is ever changed",
)

RULEBOOK_BODIES = Table(
    "rulebook_bodies",
    METADATA,
    Column("id", ForeignKey("rulebooks.id"), primary_key=True),
    Column("body", Text, nullable=False, comment="its text and tables, as JSON"),
    comment="what rulebooks say; the audit has their hashes",
    info={UNAUDITED: True},
)

RULEBOOKS_IN_FORCE = Table(
    "rulebooks_in_force",
    METADATA,
    Column("id", String(16), primary_key=True, comment="the kind"),
    Column("rulebook", ForeignKey("rulebooks.id"), nullable=False),
    Column("turn", BigInteger, nullable=False, comment="how often one was put in force"),
    Column("since", Moment, nullable=False),
    comment="which version is in force of each kind",
)
