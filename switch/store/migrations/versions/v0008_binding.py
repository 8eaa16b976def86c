"""What terminals are bound to, and cases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def _verification() -> list[sa.Column[str]]:
    return [
        sa.Column("verified", sa.String(16), nullable=False, comment="how: on site or live video"),
        sa.Column("verified_by", sa.String(64), nullable=False),
        sa.Column("verified_on", sa.String(10)),
        sa.Column("reference", sa.String(120), nullable=False, comment="of the record of it"),
    ]


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "merchant_elements",
        sa.Column("id", sa.String(15), nullable=False),
        sa.Column("identity", sa.String(64), nullable=False, comment="keyed hash of its credit or identity number"),
        sa.Column("account", sa.String(64), nullable=False, comment="keyed hash of its settlement account"),
        *_verification(),
        sa.PrimaryKeyConstraint("id", name="merchant_elements_key"),
        sa.ForeignKeyConstraint(["id"], ["merchants.id"], name=op.f("merchant_elements_id_is_merchants")),
    )
    op.create_table(
        "terminal_bindings",
        sa.Column("id", sa.String(8), nullable=False),
        sa.Column("position", sa.String(32), nullable=False, comment="of its place, ISO 6709; empty: not measured"),
        sa.Column("bound_to", sa.String(64), nullable=False, comment="elements of its merchant at that time"),
        sa.Column("binding", sa.String(64), nullable=False, comment="keyed hash over the row and what it is bound to"),
        *_verification(),
        sa.PrimaryKeyConstraint("id", name="terminal_bindings_key"),
        sa.ForeignKeyConstraint(["id"], ["terminals.id"], name=op.f("terminal_bindings_id_is_terminals")),
    )
    op.create_table(
        "cases",
        sa.Column("id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False, comment="table of what it is about"),
        sa.Column("row", sa.String(128), nullable=False, comment="which row of it"),
        sa.Column("opened_at", sa.String(27), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False, comment="JSON, without secrets"),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("decided_by", sa.String(64)),
        sa.Column("decided_at", sa.String(27)),
        sa.Column("reason", sa.String(400), comment="of the decision"),
        sa.PrimaryKeyConstraint("id", name="cases_key"),
        sa.CheckConstraint("state IN ('open', 'closed')", name=op.f("cases_has_a_state")),
    )
    op.create_index("cases_by_subject_row_state", "cases", ["subject", "row", "state"])
