"""Plans, contracts and applications."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

STATES = (
    "'draft', 'submitted', 'checking', 'returned', 'in_review', 'reviewed', 'approved', 'contract_offered', "
    "'accepted', 'terminals_assigned', 'active', 'refused', 'withdrawn', 'expired'"
)


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "plans",
        sa.Column("id", sa.String(36), nullable=False, comment="name@version"),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("body", sa.Text, nullable=False, comment="as JSON; it never changes"),
        sa.Column("hash", sa.String(64), nullable=False, comment="SHA-256 of the body, in hex"),
        sa.Column("since", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("id", name="plans_key"),
        sa.CheckConstraint("state IN ('offered', 'withdrawn')", name=op.f("plans_has_a_state")),
    )
    op.create_table(
        "contract_texts",
        sa.Column("id", sa.String(64), nullable=False, comment="SHA-256 of the text, in hex"),
        sa.Column("title", sa.String(120), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("since", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("id", name="contract_texts_key"),
    )
    op.create_table(
        "applications",
        sa.Column("id", sa.String(10), nullable=False, comment="the applicant's reference"),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("state", sa.String(24), nullable=False),
        sa.Column("deadline", sa.String(27), comment="it expires, unless something happens before"),
        sa.Column("entered_by", sa.String(64), nullable=False),
        sa.Column("entered_at", sa.String(27), nullable=False),
        sa.Column("reviewed_by", sa.String(64)),
        sa.Column("approved_by", sa.String(64)),
        sa.Column("secret_hash", sa.LargeBinary(32), nullable=False, comment="SHA-256 of the applicant's secret"),
        sa.Column("secret_tries", sa.Integer, nullable=False, comment="wrong ones, one after the other"),
        sa.Column("trading_name", sa.String(120), nullable=False),
        sa.Column("legal_name", sa.String(120), nullable=False),
        sa.Column("identity_sealed", sa.LargeBinary, nullable=False),
        sa.Column("identity_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("identity_masked", sa.String(64), nullable=False),
        sa.Column("representative_name", sa.String(120), nullable=False),
        sa.Column("representative_sealed", sa.LargeBinary),
        sa.Column("representative_hash", sa.LargeBinary(32)),
        sa.Column("representative_masked", sa.String(64)),
        sa.Column("licence_until", sa.String(10), comment="its last day; none: without an end, or a person's"),
        sa.Column("account_sealed", sa.LargeBinary, nullable=False),
        sa.Column("account_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("account_masked", sa.String(64), nullable=False),
        sa.Column("account_holder", sa.String(120), nullable=False),
        sa.Column("contact_sealed", sa.LargeBinary, nullable=False),
        sa.Column("contact_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("contact_masked", sa.String(64), nullable=False),
        sa.Column("category", sa.String(4), nullable=False, comment="merchant category code, ISO 18245"),
        sa.Column("place", sa.String(200), nullable=False),
        sa.Column("latitude_e6", sa.Integer, comment="millionths of a degree"),
        sa.Column("longitude_e6", sa.Integer, comment="millionths of a degree"),
        sa.Column("month_minor", sa.BigInteger, nullable=False, comment="turnover that is expected in a month"),
        sa.Column("terminal_count", sa.Integer, nullable=False),
        sa.Column("plan", sa.String(36), nullable=False),
        sa.Column("risk", sa.String(8), comment="class that the review has found"),
        sa.Column("contract_text", sa.String(64), comment="that was offered"),
        sa.Column("merchant", sa.String(15), comment="that it has become"),
        sa.PrimaryKeyConstraint("id", name="applications_key"),
        sa.ForeignKeyConstraint(["plan"], ["plans.id"], name=op.f("applications_plan_is_plans")),
        sa.ForeignKeyConstraint(
            ["contract_text"], ["contract_texts.id"], name=op.f("applications_contract_text_is_contract_texts")
        ),
        sa.ForeignKeyConstraint(["merchant"], ["merchants.id"], name=op.f("applications_merchant_is_merchants")),
        sa.CheckConstraint("kind IN ('company', 'person')", name=op.f("applications_has_a_kind")),
        sa.CheckConstraint(
            f"state IN ({STATES})",
            name=op.f("applications_has_a_state"),
        ),
    )
    op.create_index("applications_by_account_hash", "applications", ["account_hash"])
    op.create_index("applications_by_contact_hash", "applications", ["contact_hash"])
    op.create_index("applications_by_identity_hash", "applications", ["identity_hash"])
    op.create_index("applications_by_latitude_e6", "applications", ["latitude_e6"])
    op.create_index("applications_by_representative_hash", "applications", ["representative_hash"])
    op.create_index("applications_by_state", "applications", ["state"])
    op.create_table(
        "check_results",
        sa.Column("id", sa.String(64), nullable=False, comment="reference, round and name"),
        sa.Column("application", sa.String(10), nullable=False),
        sa.Column("round", sa.Integer, nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(400), nullable=False),
        sa.Column("source", sa.String(200), nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("id", name="check_results_key"),
        sa.ForeignKeyConstraint(
            ["application"], ["applications.id"], name=op.f("check_results_application_is_applications")
        ),
        sa.CheckConstraint(
            "outcome IN ('passed', 'doubtful', 'failed', 'not_checked')", name=op.f("check_results_has_a_outcome")
        ),
    )
    op.create_index("check_results_by_application", "check_results", ["application"])
    op.create_table(
        "documents",
        sa.Column("id", sa.String(24), nullable=False, comment="reference and number"),
        sa.Column("application", sa.String(10), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("content_type", sa.String(40), nullable=False, comment="as its bytes say"),
        sa.Column("bytes", sa.Integer, nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False, comment="keyed"),
        sa.Column("at", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("id", name="documents_key"),
        sa.ForeignKeyConstraint(
            ["application"], ["applications.id"], name=op.f("documents_application_is_applications")
        ),
    )
    op.create_index("documents_by_application", "documents", ["application"])
    op.create_index("documents_by_hash", "documents", ["hash"])
    op.create_table(
        "document_contents",
        sa.Column("document", sa.String(24), nullable=False),
        sa.Column(
            "content_sealed", sa.LargeBinary, nullable=False, comment="bound to its place, and proved by documents.hash"
        ),
        sa.PrimaryKeyConstraint("document", name="document_contents_key"),
        sa.ForeignKeyConstraint(["document"], ["documents.id"], name=op.f("document_contents_document_is_documents")),
    )
    op.create_table(
        "contracts",
        sa.Column("id", sa.String(10), nullable=False),
        sa.Column("text", sa.String(64), nullable=False),
        sa.Column("plan", sa.String(36), nullable=False),
        sa.Column("plan_hash", sa.String(64), nullable=False),
        sa.Column("accepted_by", sa.String(120), nullable=False),
        sa.Column("accepted_at", sa.String(27), nullable=False),
        sa.Column("how", sa.String(200), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False, comment="SHA-256 of all of it, in hex"),
        sa.PrimaryKeyConstraint("id", name="contracts_key"),
        sa.ForeignKeyConstraint(["id"], ["applications.id"], name=op.f("contracts_id_is_applications")),
        sa.ForeignKeyConstraint(["text"], ["contract_texts.id"], name=op.f("contracts_text_is_contract_texts")),
        sa.ForeignKeyConstraint(["plan"], ["plans.id"], name=op.f("contracts_plan_is_plans")),
    )
