"""What the API has answered to requests that bear a key."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "api_answers",
        sa.Column("id", sa.String(64), nullable=False, comment="SHA-256 of the person and the key, in hex"),
        sa.Column("request", sa.LargeBinary(32), nullable=False, comment="SHA-256 of what was asked"),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("id", name="api_answers_key"),
    )
    op.create_index("api_answers_by_at", "api_answers", ["at"])
