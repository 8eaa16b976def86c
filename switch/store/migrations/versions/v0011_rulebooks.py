"""Risk rules and BIN tables in versions, and which of them is in force."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "rulebooks",
        sa.Column("id", sa.String(32), nullable=False, comment="kind and version: risk@3"),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False, comment="SHA-256 of its body, in hex"),
        sa.Column("bytes", sa.BigInteger(), nullable=False, comment="of its body"),
        sa.Column("put_by", sa.String(64), nullable=False),
        sa.Column("put_at", sa.String(27), nullable=False),
        sa.Column("why", sa.String(400), nullable=False),
        sa.PrimaryKeyConstraint("id", name="rulebooks_key"),
        sa.CheckConstraint("kind IN ('risk', 'routes')", name=op.f("rulebooks_has_a_kind")),
        comment="versions of risk rules and BIN tables; none is ever changed",
    )
    op.create_index("rulebooks_by_kind_version", "rulebooks", ["kind", "version"], unique=True)
    op.create_table(
        "rulebook_bodies",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("body", sa.Text(), nullable=False, comment="its text and tables, as JSON"),
        sa.PrimaryKeyConstraint("id", name="rulebook_bodies_key"),
        sa.ForeignKeyConstraint(["id"], ["rulebooks.id"], name=op.f("rulebook_bodies_id_is_rulebooks")),
        comment="what rulebooks say; the audit has their hashes",
    )
    op.create_table(
        "rulebooks_in_force",
        sa.Column("id", sa.String(16), nullable=False, comment="the kind"),
        sa.Column("rulebook", sa.String(32), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False, comment="how often one was put in force"),
        sa.Column("since", sa.String(27), nullable=False),
        sa.PrimaryKeyConstraint("id", name="rulebooks_in_force_key"),
        sa.ForeignKeyConstraint(["rulebook"], ["rulebooks.id"], name=op.f("rulebooks_in_force_rulebook_is_rulebooks")),
        comment="which version is in force of each kind",
    )
