"""Merchants that were taken on, codes of activation, and what the authority was told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "merchant_profiles",
        sa.Column("id", sa.String(15), nullable=False, comment="of the merchant"),
        sa.Column("application", sa.String(10), nullable=False),
        sa.Column("risk", sa.String(8), nullable=False),
        sa.Column("licence_until", sa.String(10), comment="its last day; none: without an end, or a person's"),
        sa.Column("review_due", sa.String(10), nullable=False, comment="when it is looked at again, at the latest"),
        sa.Column("account_holder", sa.String(120), nullable=False),
        sa.Column("account_sealed", sa.LargeBinary, nullable=False),
        sa.Column("account_hash", sa.LargeBinary(32), nullable=False),
        sa.Column("account_masked", sa.String(64), nullable=False),
        sa.Column("credit_day_minor", sa.BigInteger, comment="a small merchant's limit; none: it has none"),
        sa.Column("credit_month_minor", sa.BigInteger, comment="a small merchant's limit; none: it has none"),
        sa.Column("limits_since", sa.String(10)),
        sa.PrimaryKeyConstraint("id", name="merchant_profiles_key"),
        sa.ForeignKeyConstraint(["id"], ["merchants.id"], name=op.f("merchant_profiles_id_is_merchants")),
        sa.ForeignKeyConstraint(
            ["application"], ["applications.id"], name=op.f("merchant_profiles_application_is_applications")
        ),
    )
    op.create_index("merchant_profiles_by_account_hash", "merchant_profiles", ["account_hash"])
    op.create_index("merchant_profiles_by_licence_until", "merchant_profiles", ["licence_until"])
    op.create_index("merchant_profiles_by_review_due", "merchant_profiles", ["review_due"])
    op.create_table(
        "activations",
        sa.Column("id", sa.String(8), nullable=False, comment="of the terminal"),
        sa.Column("code_hash", sa.LargeBinary(32), nullable=False, comment="keyed"),
        sa.Column("tries_left", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.String(27), nullable=False),
        sa.Column("used_at", sa.String(27)),
        sa.PrimaryKeyConstraint("id", name="activations_key"),
        sa.ForeignKeyConstraint(["id"], ["terminals.id"], name=op.f("activations_id_is_terminals")),
    )
    op.create_table(
        "report_marks",
        sa.Column("id", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("reported_by", sa.String(64), nullable=False),
        sa.Column("reported_at", sa.String(27), nullable=False),
        sa.Column("reference", sa.String(80), nullable=False, comment="the authority's"),
        sa.PrimaryKeyConstraint("id", name="report_marks_key"),
        sa.ForeignKeyConstraint(["id"], ["audit.number"], name=op.f("report_marks_id_is_audit")),
    )
    op.add_column("documents", sa.Column("opened_by", sa.String(64), comment="who has looked at it last"))
    op.add_column("documents", sa.Column("opened_at", sa.String(27)))
