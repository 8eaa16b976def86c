"""The table of what was held out, and released: each row what somebody said of one link."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, String, Table

from switch.links.holds import HELD
from switch.store.audit import WHO_CHARACTERS_MAX, WHY_CHARACTERS_MAX
from switch.store.columns import METADATA, Moment, one_of

LINK_HOLDS = Table(
    "link_holds",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("link", String(32), nullable=False),
    Column("held", String(16), nullable=False, comment="what is kept from its issuer from then on"),
    Column("who", String(WHO_CHARACTERS_MAX), nullable=False),
    Column("at", Moment, nullable=False),
    Column("why", String(WHY_CHARACTERS_MAX), nullable=False),
    one_of("held", HELD),
    Index(None, "link", "id"),
    comment="links held out of service, and released: of each link the last row holds",
)
