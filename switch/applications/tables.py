"""The tables of plans, contracts and applications."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    and_,
    exists,
    select,
)
from sqlalchemy.engine import Connection

from switch.merchants.tables import MERCHANTS
from switch.store.audit import AUDIT, WHO_CHARACTERS_MAX
from switch.store.columns import METADATA, Day, Moment, one_of
from switch.store.proving import UNAUDITED, Flaw
from switch.store.sealing import sealed_columns

PLAN_CHARACTERS = 36
REFERENCE_CHARACTERS = 10
HASH_CHARACTERS = 64
APPLICANT = "applicant "
"""What the name of an applicant begins with in the audit."""

GIVEN_UP = ("withdrawn", "expired")
"""The states in which papers are forgotten that an applicant had handed in himself."""

REASON_CHARACTERS_MAX = 400
SOURCE_CHARACTERS_MAX = 200
APPLICATION_STATES = (
    "draft",
    "submitted",
    "checking",
    "returned",
    "in_review",
    "reviewed",
    "approved",
    "contract_offered",
    "accepted",
    "terminals_assigned",
    "active",
    "refused",
    "withdrawn",
    "expired",
)


PLANS = Table(
    "plans",
    METADATA,
    Column("id", String(PLAN_CHARACTERS), primary_key=True, comment="name@version"),
    Column("state", String(16), nullable=False, default="offered"),
    Column("body", Text, nullable=False, comment="as JSON; it never changes"),
    Column("hash", String(HASH_CHARACTERS), nullable=False, comment="SHA-256 of the body, in hex"),
    Column("since", Moment, nullable=False),
    one_of("state", ("offered", "withdrawn")),
)

CONTRACT_TEXTS = Table(
    "contract_texts",
    METADATA,
    Column("id", String(HASH_CHARACTERS), primary_key=True, comment="SHA-256 of the text, in hex"),
    Column("title", String(120), nullable=False),
    Column("text", Text, nullable=False),
    Column("since", Moment, nullable=False),
)

APPLICATIONS = Table(
    "applications",
    METADATA,
    Column("id", String(REFERENCE_CHARACTERS), primary_key=True, comment="the applicant's reference"),
    Column("kind", String(16), nullable=False),
    Column("state", String(24), nullable=False, default="draft", index=True),
    Column("deadline", Moment, comment="it expires, unless something happens before"),
    Column("entered_by", String(WHO_CHARACTERS_MAX), nullable=False),
    Column("entered_at", Moment, nullable=False),
    Column("reviewed_by", String(WHO_CHARACTERS_MAX)),
    Column("approved_by", String(WHO_CHARACTERS_MAX)),
    Column("secret_hash", LargeBinary(32), nullable=False, comment="SHA-256 of the applicant's secret"),
    Column("secret_tries", Integer, nullable=False, default=0, comment="wrong ones, one after the other"),
    Column("trading_name", String(120), nullable=False),
    Column("legal_name", String(120), nullable=False),
    *sealed_columns("identity"),
    Column("representative_name", String(120), nullable=False, default=""),
    *sealed_columns("representative", is_required=False),
    Column("licence_until", Day, comment="its last day; none: without an end, or a person's"),
    *sealed_columns("account"),
    Column("account_holder", String(120), nullable=False),
    *sealed_columns("contact"),
    Column("category", String(4), nullable=False, comment="merchant category code, ISO 18245"),
    Column("place", String(200), nullable=False),
    Column("latitude_e6", Integer, comment="millionths of a degree"),
    Column("longitude_e6", Integer, comment="millionths of a degree"),
    Column("month_minor", BigInteger, nullable=False, comment="turnover that is expected in a month"),
    Column("terminal_count", Integer, nullable=False),
    Column("plan", String(PLAN_CHARACTERS), ForeignKey("plans.id"), nullable=False),
    Column("risk", String(8), comment="class that the review has found"),
    Column("contract_text", String(HASH_CHARACTERS), ForeignKey("contract_texts.id"), comment="that was offered"),
    Column("merchant", String(15), ForeignKey(MERCHANTS.c.id), comment="that it has become"),
    one_of("kind", ("company", "person")),
    one_of("state", APPLICATION_STATES),
    Index(None, "latitude_e6"),
)

CHECK_RESULTS = Table(
    "check_results",
    METADATA,
    Column("id", String(64), primary_key=True, comment="reference, round and name"),
    Column("application", String(REFERENCE_CHARACTERS), ForeignKey("applications.id"), nullable=False, index=True),
    Column("round", Integer, nullable=False),
    Column("name", String(40), nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("reason", String(REASON_CHARACTERS_MAX), nullable=False),
    Column("source", String(SOURCE_CHARACTERS_MAX), nullable=False),
    Column("at", Moment, nullable=False),
    one_of("outcome", ("passed", "doubtful", "failed", "not_checked")),
)

DOCUMENTS = Table(
    "documents",
    METADATA,
    Column("id", String(24), primary_key=True, comment="reference and number"),
    Column("application", String(REFERENCE_CHARACTERS), ForeignKey("applications.id"), nullable=False, index=True),
    Column("kind", String(40), nullable=False),
    Column("content_type", String(40), nullable=False, comment="as its bytes say"),
    Column("bytes", Integer, nullable=False),
    Column("hash", LargeBinary(32), nullable=False, index=True, comment="keyed"),
    Column("at", Moment, nullable=False),
    Column("opened_by", String(WHO_CHARACTERS_MAX), comment="who has looked at it last"),
    Column("opened_at", Moment),
)


def _flaws_of_contents(connection: Connection) -> Iterator[Flaw]:
    """Papers that are gone, though nobody gave up an application of his own; who opens one proves it by a key."""
    is_there = exists().where(DOCUMENT_CONTENTS.c.document == DOCUMENTS.c.id)
    column = APPLICATIONS.c
    is_forgotten = and_(column.state.in_(GIVEN_UP), column.entered_by.startswith(APPLICANT))
    joined = select(DOCUMENTS.c.id).join_from(DOCUMENTS, APPLICATIONS).where(~is_there, ~is_forgotten)
    for key in connection.execute(joined.order_by(DOCUMENTS.c.id)).scalars():
        yield Flaw(f"{DOCUMENTS.name} {key}", "what was handed in is not there")


DOCUMENT_CONTENTS = Table(
    "document_contents",
    METADATA,
    Column("document", String(24), ForeignKey("documents.id"), primary_key=True),
    Column("content_sealed", LargeBinary, nullable=False, comment="bound to its place, and proved by documents.hash"),
    info={UNAUDITED: _flaws_of_contents},
)

CONTRACTS = Table(
    "contracts",
    METADATA,
    Column("id", String(REFERENCE_CHARACTERS), ForeignKey("applications.id"), primary_key=True),
    Column("text", String(HASH_CHARACTERS), ForeignKey("contract_texts.id"), nullable=False),
    Column("plan", String(PLAN_CHARACTERS), ForeignKey("plans.id"), nullable=False),
    Column("plan_hash", String(HASH_CHARACTERS), nullable=False),
    Column("accepted_by", String(120), nullable=False),
    Column("accepted_at", Moment, nullable=False),
    Column("how", String(200), nullable=False),
    Column("hash", String(HASH_CHARACTERS), nullable=False, comment="SHA-256 of all of it, in hex"),
)

MERCHANT_PROFILES = Table(
    "merchant_profiles",
    METADATA,
    Column("id", String(15), ForeignKey(MERCHANTS.c.id), primary_key=True, comment="of the merchant"),
    Column("application", String(REFERENCE_CHARACTERS), ForeignKey("applications.id"), nullable=False),
    Column("risk", String(8), nullable=False),
    Column("licence_until", Day, index=True, comment="its last day; none: without an end, or a person's"),
    Column("review_due", Day, nullable=False, index=True, comment="when it is looked at again, at the latest"),
    Column("account_holder", String(120), nullable=False),
    *sealed_columns("account"),
    Column("credit_day_minor", BigInteger, comment="a small merchant's limit; none: it has none"),
    Column("credit_month_minor", BigInteger, comment="a small merchant's limit; none: it has none"),
    Column("limits_since", Day),
)

REPORT_MARKS = Table(
    "report_marks",
    METADATA,
    Column("id", BigInteger, ForeignKey(AUDIT.c.number), primary_key=True, autoincrement=False),
    Column("reported_by", String(WHO_CHARACTERS_MAX), nullable=False),
    Column("reported_at", Moment, nullable=False),
    Column("reference", String(80), nullable=False, comment="the authority's"),
)
