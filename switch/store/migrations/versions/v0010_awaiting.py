"""Terminals that await their first sign-in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

IN_STATES = "state IN ('active', 'suspended', 'closed', 'awaiting')"


def upgrade() -> None:
    """Allow one state more."""
    with op.batch_alter_table("terminals") as terminals:
        terminals.drop_constraint(op.f("terminals_has_a_state"), type_="check")
        terminals.create_check_constraint(op.f("terminals_has_a_state"), sa.text(IN_STATES))
