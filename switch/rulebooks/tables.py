"""The tables of rulebooks: what was put there, what it says, and which one is in force."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table, Text, select
from sqlalchemy.engine import Connection

from switch.rulebooks.rulebooks import TITLES, hash_of
from switch.store.audit import WHO_CHARACTERS_MAX, WHY_CHARACTERS_MAX
from switch.store.columns import METADATA, Moment, one_of
from switch.store.proving import UNAUDITED, Flaw

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
    comment="versions of risk rules, BIN tables and endpoints; none is ever changed",
)


def _flaws_of_bodies(connection: Connection) -> Iterator[Flaw]:
    """Versions that do not say what was put there; one after the other, since each may be large."""
    query = select(RULEBOOKS.c.id, RULEBOOKS.c.hash).order_by(RULEBOOKS.c.kind, RULEBOOKS.c.version)
    for key, hashed in connection.execute(query).all():
        body = connection.execute(
            select(RULEBOOK_BODIES.c.body).where(RULEBOOK_BODIES.c.id == key)
        ).scalar_one_or_none()
        if body is None or hash_of(body) != hashed:
            yield Flaw(f"{RULEBOOKS.name} {key}", "does not say what was put there")


RULEBOOK_BODIES = Table(
    "rulebook_bodies",
    METADATA,
    Column("id", ForeignKey("rulebooks.id"), primary_key=True),
    Column("body", Text, nullable=False, comment="its text and tables, as JSON"),
    comment="what rulebooks say; the audit has their hashes",
    info={UNAUDITED: _flaws_of_bodies},
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
