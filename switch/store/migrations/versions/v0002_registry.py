"""Merchants and terminals."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

IN_STATES = "state IN ('active', 'suspended', 'closed')"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "merchants",
        sa.Column("id", sa.String(15), nullable=False, comment="field 42"),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("category", sa.String(4), nullable=False, comment="merchant category code, ISO 18245"),
        sa.Column("kinds", sa.String(400), nullable=False, comment="allowed kinds divided by |, empty for all"),
        sa.Column("since", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("id", name="merchants_key"),
        sa.CheckConstraint(IN_STATES, name=op.f("merchants_has_a_state")),
    )
    op.create_table(
        "terminals",
        sa.Column("id", sa.String(8), nullable=False, comment="field 41"),
        sa.Column("merchant", sa.String(15), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("listeners", sa.String(1_100), nullable=False, comment="divided by |, empty for all"),
        sa.Column("kinds", sa.String(400), nullable=False, comment="allowed kinds divided by |, empty for all"),
        sa.Column("mac_algorithm", sa.String(16), nullable=False),
        sa.Column("pin_format", sa.String(16), nullable=False),
        sa.Column("certificate", sa.String(253), nullable=False, comment="its common name, where not the id"),
        sa.Column("serial_number", sa.String(50), comment="of the machine; the network knows it by that"),
        sa.Column("model", sa.String(60), nullable=False),
        sa.Column("place", sa.String(200), nullable=False, comment="where it is installed"),
        sa.PrimaryKeyConstraint("id", name="terminals_key"),
        sa.ForeignKeyConstraint(["merchant"], ["merchants.id"], name=op.f("terminals_merchant_is_merchants")),
        sa.UniqueConstraint("serial_number", name=op.f("terminals_one_serial_number")),
        sa.CheckConstraint(IN_STATES, name=op.f("terminals_has_a_state")),
    )
    op.create_index("terminals_by_merchant", "terminals", ["merchant"])
