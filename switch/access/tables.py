"""The tables of people and their tokens."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, LargeBinary, String, Table

from switch.store.audit import WHO_CHARACTERS_MAX
from switch.store.columns import METADATA, Moment, one_of
from switch.store.proving import UNAUDITED

PERSON_CHARACTERS_MAX = 32

PEOPLE = Table(
    "people",
    METADATA,
    Column("id", String(PERSON_CHARACTERS_MAX), primary_key=True, comment="as the audit names them"),
    Column("name", String(120), nullable=False),
    Column("system_user", String(32), unique=True, comment="of this machine, for the command line"),
    Column("roles", String(200), nullable=False, comment="divided by |"),
    Column("state", String(16), nullable=False, default="active"),
    Column("since", Moment, nullable=False),
    one_of("state", ("active", "left")),
)

TOKENS = Table(
    "tokens",
    METADATA,
    Column("id", String(12), primary_key=True, comment="stands in the token, and is no secret"),
    Column("person", String(PERSON_CHARACTERS_MAX), ForeignKey("people.id"), nullable=False, index=True),
    Column("label", String(60), nullable=False, comment="what it is for"),
    Column("hash", LargeBinary(32), nullable=False, comment="SHA-256 of the token; the token itself is not kept"),
    Column("issued_by", String(WHO_CHARACTERS_MAX), nullable=False),
    Column("issued_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("revoked_at", Moment),
)

TOKEN_DEEDS = Table(
    "token_deeds",
    METADATA,
    Column("id", String(128), primary_key=True, comment="table, row, deed and token"),
    Column("subject", String(64), nullable=False, comment="table of what something was done to"),
    Column("row", String(40), nullable=False, comment="which row of it"),
    Column("deed", String(10), nullable=False, comment="what was done, such as proposed"),
    Column("token", String(12), ForeignKey("tokens.id"), nullable=False, index=True, comment="that was shown for it"),
    Index(None, "subject", "row"),
    comment="by which token something was done that another person decides on",
)

TOKEN_USES = Table(
    "token_uses",
    METADATA,
    Column("token", String(12), ForeignKey("tokens.id"), primary_key=True),
    Column("used_at", Moment, nullable=False, comment="the last time, to the minute"),
    info={UNAUDITED: None},
)
