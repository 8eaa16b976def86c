"""The table of what was proposed, and what became of it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, String, Table, Text

from switch.store.audit import WHO_CHARACTERS_MAX, WHY_CHARACTERS_MAX
from switch.store.columns import METADATA, Moment, one_of

STATES = ("proposed", "approved", "refused", "expired", "withdrawn")

PROPOSALS = Table(
    "proposals",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("kind", String(64), nullable=False),
    Column("subject", String(128), nullable=False, comment="the row that it is about"),
    Column("wanted", Text, nullable=False, comment="what it is to be, as JSON; no secret in clear"),
    Column("why", String(WHY_CHARACTERS_MAX), nullable=False),
    Column("proposed_by", String(WHO_CHARACTERS_MAX), nullable=False),
    Column("proposed_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("state", String(16), nullable=False, default="proposed"),
    Column("decided_by", String(WHO_CHARACTERS_MAX)),
    Column("decided_at", Moment),
    Column("reason", String(WHY_CHARACTERS_MAX), comment="of the decision"),
    one_of("state", STATES),
    Index(None, "kind", "subject", "state"),
)
