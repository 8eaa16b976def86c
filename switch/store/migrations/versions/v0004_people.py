"""People and their tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "people",
        sa.Column("id", sa.String(32), nullable=False, comment="as the audit names them"),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("system_user", sa.String(32), comment="of this machine, for the command line"),
        sa.Column("roles", sa.String(200), nullable=False, comment="divided by |"),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("since", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("id", name="people_key"),
        sa.UniqueConstraint("system_user", name=op.f("people_one_system_user")),
        sa.CheckConstraint("state IN ('active', 'left')", name=op.f("people_has_a_state")),
    )
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(12), nullable=False, comment="stands in the token, and is no secret"),
        sa.Column("person", sa.String(32), nullable=False),
        sa.Column("label", sa.String(60), nullable=False, comment="what it is for"),
        sa.Column(
            "hash", sa.LargeBinary(32), nullable=False, comment="SHA-256 of the token; the token itself is not kept"
        ),
        sa.Column("issued_by", sa.String(64), nullable=False),
        sa.Column("issued_at", sa.String(27), nullable=False),
        sa.Column("expires_at", sa.String(27), nullable=False),
        sa.Column("revoked_at", sa.String(27)),
        sa.PrimaryKeyConstraint("id", name="tokens_key"),
        sa.ForeignKeyConstraint(["person"], ["people.id"], name=op.f("tokens_person_is_people")),
    )
    op.create_index("tokens_by_person", "tokens", ["person"])
    op.create_table(
        "token_uses",
        sa.Column("token", sa.String(12), nullable=False),
        sa.Column("used_at", sa.String(27), nullable=False, comment="the last time, to the minute"),
        sa.PrimaryKeyConstraint("token", name="token_uses_key"),
        sa.ForeignKeyConstraint(["token"], ["tokens.id"], name=op.f("token_uses_token_is_tokens")),
    )
