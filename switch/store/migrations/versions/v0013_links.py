"""Links held out of service, and released; and endpoints in versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


KINDS = "kind IN ('risk', 'routes', 'endpoints')"


def upgrade() -> None:
    """Make the table, and allow one kind of rulebooks more."""
    with op.batch_alter_table("rulebooks") as rulebooks:
        rulebooks.drop_constraint(op.f("rulebooks_has_a_kind"), type_="check")
        rulebooks.create_check_constraint(op.f("rulebooks_has_a_kind"), sa.text(KINDS))
        rulebooks.create_table_comment(
            "versions of risk rules, BIN tables and endpoints; none is ever changed",
            existing_comment="versions of risk rules and BIN tables; none is ever changed",
        )
    op.create_table(
        "link_holds",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("link", sa.String(32), nullable=False),
        sa.Column("held", sa.String(16), nullable=False, comment="what is kept from its issuer from then on"),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("why", sa.String(400), nullable=False),
        sa.PrimaryKeyConstraint("id", name="link_holds_key"),
        sa.CheckConstraint("held IN ('nothing', 'requests', 'all')", name=op.f("link_holds_has_a_held")),
        comment="links held out of service, and released: of each link the last row holds",
    )
    op.create_index("link_holds_by_link_id", "link_holds", ["link", "id"])
