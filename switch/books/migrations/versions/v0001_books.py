"""The books, of which nobody can change what was posted."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

IN_STATES = "state IN ('stands', 'taken back', 'advice declined', 'advice given up')"
PAYMENT_TERMS = (
    "source, position, kind, amount_minor, currency, link, merchant, terminal, card, card_hash, rrn, stan, refers_to, "
    "is_advice, business_day, at_us"
)
"""Of a payment, all but its state."""

GUARDED = {"entries": "UPDATE", "postings": "UPDATE", "payments": f"UPDATE OF {PAYMENT_TERMS}"}
"""What of a table is never changed; none of its rows is ever deleted."""

REFUSE = """
CREATE FUNCTION refuse_change_of_books() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'what was posted is never changed, only reversed'; END $$
"""


def upgrade() -> None:
    """Make them."""
    _make_sources()
    _make_accounts()
    _make_payments()
    _make_entries()
    _make_totals()
    for statement in _sqlite() if op.get_bind().dialect.name == "sqlite" else _postgresql():
        op.execute(statement)


def _make_sources() -> None:
    op.create_table(
        "sources",
        sa.Column("number", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("journal", sa.LargeBinary(16), nullable=False),
        sa.Column("begins", sa.BigInteger, nullable=False),
        sa.Column("next_position", sa.BigInteger, nullable=False),
        sa.Column("entries", sa.BigInteger, nullable=False),
        sa.Column("chain", sa.LargeBinary(32), nullable=False),
        sa.Column("business_day", sa.String(10), nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("number", name="sources_key"),
        comment="partitions' journals: how far each was posted, the chain of its entries' hashes, and its business day",
    )


def _make_accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("number", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("owner", sa.String(40), nullable=False),
        sa.Column("currency", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("number", name="accounts_key"),
        sa.UniqueConstraint("kind", "owner", "currency", name="accounts_one_kind_owner_currency"),
        sa.UniqueConstraint("number", "currency", name="accounts_one_number_currency"),
        comment="one of each kind for each owner and currency (ISO 4217, numeric); the acquirer's own have owner ''",
    )
    op.create_index("accounts_by_owner", "accounts", ["owner"])


def _make_payments() -> None:
    op.create_table(
        "payments",
        sa.Column("source", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Integer, nullable=False),
        sa.Column("link", sa.String(40), nullable=False),
        sa.Column("merchant", sa.String(15), nullable=False),
        sa.Column("terminal", sa.String(8), nullable=False),
        sa.Column("card", sa.String(19), nullable=False),
        sa.Column("card_hash", sa.LargeBinary(16), nullable=False),
        sa.Column("rrn", sa.String(12), nullable=False),
        sa.Column("stan", sa.Integer, nullable=False),
        sa.Column("refers_to", sa.BigInteger, nullable=False),
        sa.Column("is_advice", sa.Boolean, nullable=False),
        sa.Column("business_day", sa.String(10), nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("source", "position", name="payments_key"),
        sa.ForeignKeyConstraint(["source"], ["sources.number"], name="payments_source_is_sources"),
        sa.CheckConstraint(sa.text(IN_STATES), name=op.f("payments_has_a_state")),
        sa.CheckConstraint(sa.text("amount_minor >= 0"), name=op.f("payments_has_an_amount")),
        comment="what was approved, by the position of its INTENT or ADVICE; only the state is ever changed",
    )
    op.create_index("payments_by_rrn", "payments", ["rrn"])
    op.create_index("payments_by_merchant_business_day", "payments", ["merchant", "business_day"])
    op.create_index("payments_by_card_hash", "payments", ["card_hash"])


def _make_entries() -> None:
    op.create_table(
        "entries",
        sa.Column("source", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("payment", sa.BigInteger, nullable=False),
        sa.Column("event", sa.String(16), nullable=False),
        sa.Column("why", sa.String(64), nullable=False),
        sa.Column("business_day", sa.String(10), nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("source", "position", name="entries_key"),
        sa.ForeignKeyConstraint(
            ["source", "payment"], ["payments.source", "payments.position"], name="entries_source_is_payments"
        ),
        comment="what happened, by the position of the record that says so",
    )
    op.create_index("entries_by_payment_source", "entries", ["payment", "source"])
    op.create_table(
        "postings",
        sa.Column("source", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("leg", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("debit", sa.BigInteger, nullable=False),
        sa.Column("credit", sa.BigInteger, nullable=False),
        sa.Column("currency", sa.Integer, nullable=False),
        sa.Column("amount_minor", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("source", "position", "leg", name="postings_key"),
        sa.CheckConstraint(sa.text("amount_minor > 0"), name=op.f("postings_moves_something")),
        sa.CheckConstraint(sa.text("debit <> credit"), name=op.f("postings_moves_elsewhere")),
        sa.ForeignKeyConstraint(
            ["source", "position"], ["entries.source", "entries.position"], name="postings_source_is_entries"
        ),
        sa.ForeignKeyConstraint(
            ["debit", "currency"], ["accounts.number", "accounts.currency"], name="postings_debit_is_accounts"
        ),
        sa.ForeignKeyConstraint(
            ["credit", "currency"], ["accounts.number", "accounts.currency"], name="postings_credit_is_accounts"
        ),
        comment="an amount from the account that is credited to the one that is debited: no entry can but sum to zero",
    )


def _make_totals() -> None:
    op.create_table(
        "balances",
        sa.Column("account", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("debits_minor", sa.BigInteger, nullable=False),
        sa.Column("credits_minor", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("account", name="balances_key"),
        sa.ForeignKeyConstraint(["account"], ["accounts.number"], name="balances_account_is_accounts"),
        comment="what the postings of an account sum up to",
    )
    op.create_table(
        "day_totals",
        sa.Column("account", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("business_day", sa.String(10), nullable=False),
        sa.Column("debits_minor", sa.BigInteger, nullable=False),
        sa.Column("credits_minor", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("account", "business_day", name="day_totals_key"),
        sa.ForeignKeyConstraint(["account"], ["accounts.number"], name="day_totals_account_is_accounts"),
        comment="the same by business day",
    )


def _sqlite() -> Iterator[str]:
    for table, change in GUARDED.items():
        for name, what in (("changed", change), ("deleted", "DELETE")):
            yield (
                f"CREATE TRIGGER {table}_are_not_{name} BEFORE {what} ON {table} "
                "BEGIN SELECT RAISE(ABORT, 'what was posted is never changed, only reversed'); END"
            )


def _postgresql() -> Iterator[str]:
    yield REFUSE
    for table, change in GUARDED.items():
        yield (
            f"CREATE TRIGGER {table}_stay BEFORE {change} OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_books()"
        )
