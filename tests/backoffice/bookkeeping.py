"""Events of a journal as the books are given them, made up; and what naive books make of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select

from switch.books.business_days import BusinessDays
from switch.books.chart import load_chart
from switch.books.payments import Bookkeeper
from switch.books.posting import Poster
from switch.books.tables import ACCOUNTS, DAY_TOTALS, PAYMENTS

CHART = load_chart()
DAYS = BusinessDays(time(23), ZoneInfo("Asia/Shanghai"))
JOURNAL = bytes(range(16))
BEGINS_US = 1_764_300_000_000_000
"""28 November 2025, 11:20 in Shanghai."""

HOUR_US = 3_600_000_000
DEBITS = ("purchase", "cash_advance", "completion", "advice", "refund_void")
CREDITS = ("refund", "void", "completion_void")
MERCHANTS = ("898000000000001", "898000000000002")
LINKS = ("bank-a", "bank-b")
CURRENCIES = (156, 392)


def approved(position: int, payment: int, at_us: int, **changes: Any) -> Any:
    """A payment that was approved."""
    said = {
        "kind": "purchase",
        "amount_minor": 12_300,
        "currency": 156,
        "link": "bank-a",
        "terminal": "10000001",
        "merchant": MERCHANTS[0],
        "card": "622848******1234",
        "card_hash": b"c" * 16,
        "rrn": f"{payment:012d}",
        "stan": payment,
        "refers_to": 0,
        "is_advice": False,
        **changes,
    }
    return (position, "approved", payment, at_us, *said.values())


def ended(position: int, event: str, payment: int, at_us: int, why: str = "terminal") -> Any:
    """Something became of a payment."""
    return (position, event, payment, at_us, why)


def poster(store: Any, partition: int = 0, journal: bytes = JOURNAL) -> Poster:
    """What posts a partition's events."""
    return Poster(store, Bookkeeper(CHART, DAYS, partition), partition, journal)


@dataclass
class Naive:
    """Books in a few lines: what each payment moved, by account; taken back is undone, and nothing else is known."""

    moved: dict[int, list[tuple[str, str, int, int]]] = field(default_factory=dict)
    states: dict[int, str] = field(default_factory=dict)
    days: dict[tuple[str, str, int, date], int] = field(default_factory=Counter)
    day: date = date.min

    def take(self, event: Any) -> None:
        """One more event."""
        self.day = max(self.day, DAYS.day_of(event[3]))
        payment = event[2]
        if event[1] == "approved":
            _, _, _, _, kind, amount, currency, link, _, merchant, *_ = event
            sign = 1 if kind in DEBITS else -1
            moves = [("receivable", link, currency, sign * amount), ("pending", merchant, currency, -sign * amount)]
            self.states[payment] = "stands"
        elif payment not in self.states or self.states[payment] == "taken back":
            return
        elif event[1] == "taken back":
            moves = [(*account, -amount) for *account, amount in self.moved[payment]]
            self.states[payment] = "taken back"
        elif self.states[payment] == "stands":
            bearer = {"advice declined": "declined_advices", "advice given up": "unnoted_advices"}[event[1]]
            _, link, currency, amount = self.moved[payment][0]
            moves = [(bearer, "", currency, amount), ("receivable", link, currency, -amount)]
            self.states[payment] = event[1]
        else:
            return
        self.moved.setdefault(payment, []).extend(moves)
        for *account, amount in moves:
            self.days[*account, self.day] += amount

    def totals(self) -> dict[tuple[Any, ...], int]:
        """What each account comes to on each business day, debits positive."""
        return {account: amount for account, amount in self.days.items() if amount}


def day_totals(connection: Any) -> dict[tuple[Any, ...], int]:
    """The same, as the books have it."""
    wanted = select(ACCOUNTS, DAY_TOTALS).join_from(ACCOUNTS, DAY_TOTALS)
    return {
        (row.kind, row.owner, row.currency, row.business_day): row.debits_minor - row.credits_minor
        for row in connection.execute(wanted)
        if row.debits_minor != row.credits_minor
    }


def states(connection: Any, partition: int = 0) -> dict[int, str]:
    """What became of each payment, as the books have it."""
    wanted = select(PAYMENTS.c.position, PAYMENTS.c.state).where(PAYMENTS.c.source == partition)
    return {row.position: row.state for row in connection.execute(wanted)}
