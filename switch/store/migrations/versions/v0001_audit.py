"""The audit, which nobody can change."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

SQLITE = [
    f"CREATE TRIGGER audit_stays_{what} BEFORE {what} ON audit "
    "BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END"
    for what in ("update", "delete")
]
REFUSE = """
CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$
"""
GUARD = """
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit()
"""
POSTGRESQL = [REFUSE, GUARD]


def upgrade() -> None:
    """Make it."""
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("at", sa.String(27), nullable=False),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("why", sa.String(400), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("row", sa.String(128), nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("number", name="audit_key"),
        comment="who changed which row when, why, and what stood there before; append-only, hash-chained",
    )
    op.create_index("audit_by_subject_row_number", "audit", ["subject", "row", "number"])
    for statement in SQLITE if op.get_bind().dialect.name == "sqlite" else POSTGRESQL:
        op.execute(statement)
