"""Terminals' receipts against issuers' ledgers, to the last transaction."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from switch.simulators import ledger as books
from switch.simulators import receipts as slips

if TYPE_CHECKING:
    from collections.abc import Iterable

    from switch.simulators.ledger import Entry, Ledger
    from switch.simulators.receipts import Receipt

_DIFFERENCES_KEPT_MAX = 50

_Key = tuple[str, str, str, int]
"""Terminal, RRN, kind, amount asked for."""

AGREEING = {
    slips.APPROVED: {books.APPROVED},
    slips.VOIDED: {books.VOIDED},
    slips.REVERSED: {books.REVERSED},
    slips.COMPLETED: {books.COMPLETED},
    slips.DECLINED: {books.DECLINED, books.REVERSED},
    slips.UNKNOWN: {books.DECLINED, books.REVERSED},
    slips.TAKEN_BACK: {books.DECLINED, books.REVERSED},
}
"""In which state an issuer's entry must be, by that of the receipt.

A terminal that was told no, or nothing at all, must not have been charged: where the issuer had approved, it was
reversed.
"""

NO_ENTRY_NEEDED = {slips.DECLINED, slips.UNKNOWN, slips.TAKEN_BACK}
"""States of receipts whose request need not have reached an issuer."""


@dataclass(slots=True)
class Reconciliation:
    """The result."""

    receipts: int = 0
    entries: int = 0
    standing: int = 0
    """Receipts of payments that stand."""
    charged_minor: int = 0
    """What terminals have receipts for, refunds not deducted."""
    refunded_minor: int = 0
    ledgers_charged_minor: int = 0
    ledgers_refunded_minor: int = 0
    difference_count: int = 0
    differences: list[str] = field(default_factory=list)
    """The first of them, in words."""

    @property
    def agrees(self) -> bool:
        """Whether all is accounted for."""
        return (
            self.difference_count == 0
            and self.charged_minor == self.ledgers_charged_minor
            and self.refunded_minor == self.ledgers_refunded_minor
        )

    def add(self, receipt: Receipt) -> None:
        """Count a receipt, and its money where it stands."""
        self.receipts += 1
        if receipt.state == slips.APPROVED:
            way = books.direction(receipt.kind)
            self.standing += way > 0
            self.charged_minor += receipt.amount_minor if way > 0 else 0
            self.refunded_minor += receipt.amount_minor if way < 0 else 0

    def note(self, difference: str) -> None:
        """Count a difference, and keep its words unless there are many."""
        self.difference_count += 1
        if len(self.differences) < _DIFFERENCES_KEPT_MAX:
            self.differences.append(difference)


def reconcile(receipts: Iterable[Receipt], ledgers: Iterable[Ledger]) -> Reconciliation:
    """Compare every receipt with the entry of its terminal and RRN, and every entry with its receipt."""
    result = Reconciliation()
    entries: dict[_Key, list[Entry]] = {}
    for ledger in ledgers:
        for entry in ledger.entries:
            result.entries += 1
            entries.setdefault((entry.terminal, entry.rrn, entry.kind, entry.asked_minor), []).append(entry)
        totals = ledger.totals()
        result.ledgers_charged_minor += totals.charged_minor
        result.ledgers_refunded_minor += totals.refunded_minor
    unanswered: Counter[tuple[str, int, str]] = Counter()
    # First those that say which entry is theirs: a refusal that was written down nowhere may bear its number, too.
    for receipt in sorted(receipts, key=lambda receipt: not receipt.authorization_code):
        if receipt.kind == "reversal":
            # What it did shows in the state of its original.
            continue
        result.add(receipt)
        found = _take(entries, receipt)
        if found is not None:
            _compare(receipt, found, result)
        elif receipt.state not in NO_ENTRY_NEEDED:
            result.note(f"{_receipt_words(receipt)}: no issuer knows it")
        elif not receipt.rrn:
            unanswered[receipt.terminal, receipt.asked_minor, receipt.kind] += 1
    for left in entries.values():
        for entry in left:
            _account_for(entry, unanswered, result)
    return result


def _take(entries: dict[_Key, list[Entry]], receipt: Receipt) -> Entry | None:
    """Take the entry of a receipt out of those that are left.

    Twelve characters of an RRN come again, so kind and amount must agree as well, and the authorization code decides.
    """
    found = entries.get((receipt.terminal, receipt.rrn, receipt.kind, receipt.asked_minor))
    if not found:
        return None
    for place, entry in enumerate(found):
        if entry.authorization_code == receipt.authorization_code:
            return found.pop(place)
    return found.pop()


def _compare(receipt: Receipt, entry: Entry, result: Reconciliation) -> None:
    moved = receipt.state not in NO_ENTRY_NEEDED or books.weight(entry.kind)
    if entry.state not in AGREEING[receipt.state] and moved:
        result.note(f"{_receipt_words(receipt)}: its issuer has it as {entry.state}")
    if receipt.state not in NO_ENTRY_NEEDED and entry.amount_minor != receipt.amount_minor:
        result.note(f"{_receipt_words(receipt)}: its issuer booked {entry.amount_minor}")
    if entry.merchant != receipt.merchant:
        result.note(f"{_receipt_words(receipt)}: its issuer has it for merchant {entry.merchant}")


def _account_for(entry: Entry, unanswered: Counter[tuple[str, int, str]], result: Reconciliation) -> None:
    """An entry without a receipt is that of a request that was never answered, and must not have charged anybody."""
    left = (entry.terminal, entry.asked_minor, entry.kind)
    if not unanswered[left]:
        result.note(f"{_entry_words(entry)}: no terminal has a receipt")
        return
    unanswered[left] -= 1
    if entry.state not in AGREEING[slips.UNKNOWN] and books.weight(entry.kind):
        result.note(f"{_entry_words(entry)}: {entry.state}, but its terminal got no answer")


def _receipt_words(receipt: Receipt) -> str:
    return (
        f"receipt of terminal {receipt.terminal}, RRN {receipt.rrn or 'none'}, STAN {receipt.stan}: "
        f"{receipt.kind} of {receipt.amount_minor}, {receipt.state}"
    )


def _entry_words(entry: Entry) -> str:
    return f"entry for terminal {entry.terminal}, RRN {entry.rrn}: {entry.kind} of {entry.amount_minor}"
