"""What was answered to requests that bear a key, so that a repeat is told the same and does nothing."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, String, Table, Text

from switch.store.columns import METADATA, Moment
from switch.store.proving import UNAUDITED

ANSWERS = Table(
    "api_answers",
    METADATA,
    Column("id", String(64), primary_key=True, comment="SHA-256 of the person and the key, in hex"),
    Column("request", LargeBinary(32), nullable=False, comment="SHA-256 of what was asked"),
    Column("status", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Index(None, "at"),
    info={UNAUDITED: None},
)
