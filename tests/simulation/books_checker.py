"""The books that a journal makes, compared with issuers, payment by payment, field by field."""

from __future__ import annotations

from collections import Counter
from datetime import time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from switch.base.masking import mask_pan
from switch.books.business_days import BusinessDays
from switch.books.chart import load_chart
from switch.books.payments import AccountKey, Bookkeeper, Known, Posting
from switch.dialect.kinds import TRAITS, Kind, Money

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from switch.books.events import Event

    from .checker import Checker, Key

CHART = load_chart()
DAYS = BusinessDays(time(23), ZoneInfo("Asia/Shanghai"))
EVENTS_AT_ONCE = 7
"""Batches are cut anywhere: what comes later knows of the payment only what was written."""


def books_of(events: Sequence[Event], at_once: int = EVENTS_AT_ONCE) -> tuple[dict[int, Known], bytes]:
    """Every payment that was posted, by the position of what was asked; and the chain of all entries."""
    keeper = Bookkeeper(CHART, DAYS, 0)
    known: dict[int, Known] = {}
    progress = keeper.progress(events[0][3]) if events else keeper.progress(0)
    for at in range(0, len(events), at_once):
        batch = keeper.enter(events[at : at + at_once], progress, known)
        payment_of = {entry["position"]: entry["payment"] for entry in batch.entries}
        fresh = {row["position"]: Known(row, row["state"], []) for row in batch.payments}
        for position, _, _, posting in batch.postings:
            if payment_of[position] in fresh:
                fresh[payment_of[position]].postings.append(posting)
        known |= fresh
    return known, progress.chain


class BooksChecker:
    """Compares the books of one partition.

    Args:
        checker: Knows what terminals and issuers know, and is told what differs.
        events: What moves money in its journal.
    """

    def __init__(self, checker: Checker, events: Sequence[Event]) -> None:
        self._checker = checker
        self._payments, chain = books_of(events)
        if books_of(events, len(events) or 1)[1] != chain:
            checker.report("books", "entries depend on where batches are cut")

    def compare(self, key: Key, asked: Mapping[str, Any], outcome: Mapping[str, Any] | None) -> None:
        """Report what the books have otherwise of one payment."""
        if TRAITS[Kind[key.kind.upper()]].money == Money.NONE:
            return
        payment = self._payments.get(asked["position"])
        stands = payment is not None and payment.state == "stands"
        if stands != bool(self._checker.standing(key)):
            words = "it was not posted" if payment is None else f"it {payment.state}"
            self._checker.report("books", f"{key}: by the books {words}; by its issuer the opposite")
        if payment is None or outcome is None:
            return
        if outcome["reversed"]:
            self._checker.report("books", f"{key}: was posted, though its reversal was stored with its outcome")
        amount_minor = outcome.get("approved_minor") or asked["amount_minor"]
        row = payment.row
        wanted = {
            "amount_minor": amount_minor,
            "card": mask_pan(asked["pan"]),
            **{name: asked[name] for name in ("merchant", "terminal", "currency", "link", "rrn", "stan")},
        }
        for name, value in wanted.items():
            if row[name] != value:
                self._checker.report("books", f"{key}: the books have another {name}, {row[name]}")
        if net(payment.postings) != _net_of(row, payment.state, amount_minor):
            self._checker.report("books", f"{key}: {row['kind']} of {amount_minor} {payment.state}: {payment.postings}")


def _net_of(row: Mapping[str, Any], state: str, amount_minor: int) -> dict[AccountKey, int]:
    """What a payment must have moved, debits positive: said here once more, and not by the chart."""
    if state == "taken back":
        return {}
    sign = 1 if TRAITS[Kind[row["kind"].upper()]].money == Money.DEBIT else -1
    bearers = {"advice declined": "declined_advices", "advice given up": "unnoted_advices"}
    bearer = ("receivable", row["link"]) if state == "stands" else (bearers[state], "")
    return {
        AccountKey(*bearer, row["currency"]): sign * amount_minor,
        AccountKey("pending", row["merchant"], row["currency"]): -sign * amount_minor,
    }


def net(postings: Sequence[Posting]) -> dict[AccountKey, int]:
    """What postings come to, debits positive."""
    sums: Counter[AccountKey] = Counter()
    for posting in postings:
        sums[posting.debit] += posting.amount_minor
        sums[posting.credit] -= posting.amount_minor
    return {account: amount for account, amount in sums.items() if amount}
