"""Changes that need two people."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "proposals",
        sa.Column("id", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(128), nullable=False, comment="the row that it is about"),
        sa.Column("wanted", sa.Text(), nullable=False, comment="what it is to be, as JSON; no secret in clear"),
        sa.Column("why", sa.String(400), nullable=False),
        sa.Column("proposed_by", sa.String(64), nullable=False),
        sa.Column("proposed_at", sa.String(27), nullable=False),
        sa.Column("expires_at", sa.String(27), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("decided_by", sa.String(64)),
        sa.Column("decided_at", sa.String(27)),
        sa.Column("reason", sa.String(400), comment="of the decision"),
        sa.PrimaryKeyConstraint("id", name="proposals_key"),
        sa.CheckConstraint(
            "state IN ('proposed', 'approved', 'refused', 'expired', 'withdrawn')", name=op.f("proposals_has_a_state")
        ),
    )
    op.create_index("proposals_by_kind_subject_state", "proposals", ["kind", "subject", "state"])
