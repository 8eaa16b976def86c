"""By which token something was done."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "token_deeds",
        sa.Column("id", sa.String(128), nullable=False, comment="table, row, deed and token"),
        sa.Column("subject", sa.String(64), nullable=False, comment="table of what something was done to"),
        sa.Column("row", sa.String(40), nullable=False, comment="which row of it"),
        sa.Column("deed", sa.String(10), nullable=False, comment="what was done, such as proposed"),
        sa.Column("token", sa.String(12), nullable=False, comment="that was shown for it"),
        sa.PrimaryKeyConstraint("id", name="token_deeds_key"),
        sa.ForeignKeyConstraint(["token"], ["tokens.id"], name=op.f("token_deeds_token_is_tokens")),
        comment="by which token something was done that another person decides on",
    )
    op.create_index("token_deeds_by_token", "token_deeds", ["token"])
    op.create_index("token_deeds_by_subject_row", "token_deeds", ["subject", "row"])
