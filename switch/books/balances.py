"""Balances and statements, read from what was posted: as they are now, or as they were at the end of a business day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.engine import Connection

from switch.books.chart import Chart
from switch.books.tables import ACCOUNTS, BALANCES, DAY_TOTALS, ENTRIES, PAYMENTS, POSTINGS


@dataclass(frozen=True, slots=True)
class Balance:
    """What an account sums up to.

    Attributes:
        kind: Of the account.
        owner: Whose it is; empty: the acquirer's.
        currency: ISO 4217, numeric.
        debits_minor: All that was debited, in minor units.
        credits_minor: All that was credited.
    """

    kind: str
    owner: str
    currency: int
    debits_minor: int
    credits_minor: int

    def amount_minor(self, chart: Chart) -> int:
        """What it amounts to on its normal side; below 0 where the other one has more."""
        account = chart.accounts.get(self.kind)
        credit = self.credits_minor - self.debits_minor
        return credit if account is None or account.normal == "credit" else -credit


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an account's statement.

    Attributes:
        source: Of the entry: the partition.
        position: Of the entry.
        event: What happened.
        why: More of that.
        at_us: When, in microseconds since 1970.
        business_day: Of the entry.
        kind: Of the payment.
        rrn: Of the payment.
        terminal: Of the payment.
        card: Of the payment, masked.
        change_minor: By how much the balance changed on its normal side.
        balance_minor: Behind it.
    """

    source: int
    position: int
    event: str
    why: str
    at_us: int
    business_day: date
    kind: str
    rrn: str
    terminal: str
    card: str
    change_minor: int
    balance_minor: int


def balances(
    connection: Connection, *, owner: str | None = None, kind: str | None = None, through: date | None = None
) -> Iterator[Balance]:
    """Balances by owner, kind and currency.

    Args:
        connection: A transaction that reads.
        owner: Of this owner alone.
        kind: Of this kind alone.
        through: As they were when this business day ended; None: now.
    """
    wanted = _now() if through is None else _through(through)
    if owner is not None:
        wanted = wanted.where(ACCOUNTS.c.owner == owner)
    if kind is not None:
        wanted = wanted.where(ACCOUNTS.c.kind == kind)
    for row in connection.execute(wanted.order_by(ACCOUNTS.c.owner, ACCOUNTS.c.kind, ACCOUNTS.c.currency)):
        yield Balance(row.kind, row.owner, row.currency, int(row.debits_minor), int(row.credits_minor))


def _now() -> Select[Any]:
    return select(ACCOUNTS.c.kind, ACCOUNTS.c.owner, ACCOUNTS.c.currency, *BALANCES.c[1:]).join_from(ACCOUNTS, BALANCES)


def _through(day: date) -> Select[Any]:
    account = (ACCOUNTS.c.kind, ACCOUNTS.c.owner, ACCOUNTS.c.currency)
    sums = (func.sum(column).label(column.name) for column in DAY_TOTALS.c[2:])
    wanted = select(*account, *sums).join_from(ACCOUNTS, DAY_TOTALS).where(DAY_TOTALS.c.business_day <= day)
    return wanted.group_by(*account)


def statement(connection: Connection, chart: Chart, account: Balance, first: date, last: date) -> Iterator[Line]:
    """What was posted to an account in some business days, in the order of time.

    Args:
        connection: A transaction that reads.
        chart: Says on which side the account grows.
        account: It, as it was before ``first``.
        first: The first business day.
        last: The last one.
    """
    number = connection.execute(
        select(ACCOUNTS.c.number).where(
            ACCOUNTS.c.kind == account.kind, ACCOUNTS.c.owner == account.owner, ACCOUNTS.c.currency == account.currency
        )
    ).scalar_one_or_none()
    balance_minor = account.amount_minor(chart)
    for row in connection.execute(_lines(number, first, last)):
        posted = Balance(
            account.kind,
            account.owner,
            account.currency,
            row.amount_minor if row.debit == number else 0,
            row.amount_minor if row.credit == number else 0,
        )
        change_minor = posted.amount_minor(chart)
        balance_minor += change_minor
        yield Line(
            row.source,
            row.position,
            row.event,
            row.why,
            row.at_us,
            row.business_day,
            row.kind,
            row.rrn,
            row.terminal,
            row.card,
            change_minor,
            balance_minor,
        )


def _lines(number: int | None, first: date, last: date) -> Select[Any]:
    entry = (POSTINGS.c.source == ENTRIES.c.source) & (POSTINGS.c.position == ENTRIES.c.position)
    payment = (PAYMENTS.c.source == ENTRIES.c.source) & (PAYMENTS.c.position == ENTRIES.c.payment)
    return (
        select(
            *ENTRIES.c["source", "position", "event", "why", "at_us", "business_day"],
            *PAYMENTS.c["kind", "rrn", "terminal", "card"],
            *POSTINGS.c["debit", "credit", "amount_minor"],
        )
        .join_from(ENTRIES, POSTINGS, entry)
        .join(PAYMENTS, payment)
        .where((POSTINGS.c.debit == number) | (POSTINGS.c.credit == number))
        .where(ENTRIES.c.business_day.between(first, last))
        .order_by(ENTRIES.c.at_us, ENTRIES.c.source, ENTRIES.c.position, POSTINGS.c.leg)
    )
