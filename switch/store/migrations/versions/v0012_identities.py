"""Of which class merchants are, and which of them have one identity."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "merchant_identities",
        sa.Column("id", sa.String(15), nullable=False, comment="of the merchant"),
        sa.Column("class", sa.String(16), nullable=False, comment="company, or small: a person without a licence"),
        sa.Column(
            "same_identity",
            sa.String(64),
            nullable=False,
            comment="keyed hash of its credit or identity number: the same for all merchants of one",
        ),
        sa.PrimaryKeyConstraint("id", name="merchant_identities_key"),
        sa.ForeignKeyConstraint(["id"], ["merchants.id"], name=op.f("merchant_identities_id_is_merchants")),
        sa.CheckConstraint("class IN ('company', 'small')", name=op.f("merchant_identities_has_a_class")),
    )
    op.create_index("merchant_identities_by_same_identity", "merchant_identities", ["same_identity"])
