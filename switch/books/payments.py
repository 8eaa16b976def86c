"""What a batch of events makes of the books: payments, entries and postings, before any of it is written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Any, NamedTuple

from switch.books.business_days import BusinessDays
from switch.books.chart import Chart, Transfer
from switch.books.events import Approved, Ended, Event
from switch.books.tables import OWNER_CHARACTERS
from switch.journal.payment_events import APPROVED, TAKEN_BACK

NO_CHAIN = bytes(32)
"""What stands before the first entry of a source."""


class AccountKey(NamedTuple):
    """Which account: of a kind, of an owner, in a currency."""

    kind: str
    owner: str
    currency: int


class Posting(NamedTuple):
    """An amount that goes from one account to another."""

    debit: AccountKey
    credit: AccountKey
    amount_minor: int

    def reversed(self) -> Posting:
        """The same, back."""
        return Posting(self.credit, self.debit, self.amount_minor)


@dataclass(slots=True)
class Known:
    """A payment, with all that was posted for it so far."""

    row: dict[str, Any]
    state: str
    postings: list[Posting]


@dataclass(slots=True)
class Progress:
    """How far a source was posted.

    Attributes:
        business_day: Of its last entry.
        ends_us: When that day ends, in microseconds since 1970.
        chain: SHA-256 over all entries so far.
        entries: How many there are.
        at_us: When the newest event happened that was looked at.
    """

    business_day: date
    ends_us: int
    chain: bytes = NO_CHAIN
    entries: int = 0
    at_us: int = 0


@dataclass(slots=True)
class Batch:
    """What is to be written for some events of one source.

    Attributes:
        payments: New ones.
        states: What became of older ones, by their positions.
        entries: New ones.
        postings: Those of the entries, each with the position of its entry and the number of its leg.
    """

    payments: list[dict[str, Any]] = field(default_factory=list)
    states: dict[int, str] = field(default_factory=dict)
    entries: list[dict[str, Any]] = field(default_factory=list)
    postings: list[tuple[int, int, date, Posting]] = field(default_factory=list)


class Bookkeeper:
    """Turns events into entries, by a chart and a calendar. It reads and writes nothing.

    Args:
        chart: Accounts and posting rules.
        days: Business days.
        source: Whose events these are.
    """

    def __init__(self, chart: Chart, days: BusinessDays, source: int) -> None:
        self._chart = chart
        self._days = days
        self._source = source
        self._rules: dict[tuple[str, str], tuple[Transfer, ...]] = {
            (rule.event, kind): rule.postings for rule in chart.rules for kind in rule.kinds
        }

    def progress(self, at_us: int) -> Progress:
        """Of a source of which nothing was posted, and whose first event happens then."""
        day = self._days.day_of(at_us)
        return Progress(day, self._days.ends_us(day))

    def resumed(self, row: Mapping[str, Any]) -> Progress:
        """As the row of the source has it."""
        day = row["business_day"]
        return Progress(day, self._days.ends_us(day), row["chain"], row["entries"], row["at_us"])

    def enter(self, events: Sequence[Event], progress: Progress, known: Mapping[int, Known]) -> Batch:
        """Make the entries of some events, which follow each other; ``progress`` goes on with them.

        Args:
            events: In the order of the journal.
            progress: How far the source was posted before.
            known: Payments of before of which the events say more, by their positions.
        """
        batch = Batch()
        fresh: dict[int, Known] = {}
        for event in events:
            self._move_on(progress, event[3])
            if event[1] == APPROVED:
                approved = self._approved(event, progress.business_day)
                fresh[event[2]] = approved
                batch.payments.append(approved.row)
                self._add(batch, progress, event, approved.postings)
                continue
            position = event[2]
            payment = fresh.get(position) or known.get(position)
            if payment is None:
                continue
            postings = self._ended(event, payment)
            if postings is None:
                continue
            payment.state = event[1]
            if position in fresh:
                payment.row["state"] = event[1]
            else:
                batch.states[position] = event[1]
            self._add(batch, progress, event, postings)
        return batch

    def _move_on(self, progress: Progress, at_us: int) -> None:
        """A business day that has ended does not come back, whatever the clock says."""
        progress.at_us = at_us
        if at_us >= progress.ends_us:
            progress.business_day = self._days.day_of(at_us)
            progress.ends_us = self._days.ends_us(progress.business_day)

    def _approved(self, event: Approved, day: date) -> Known:
        (
            _,
            _,
            position,
            at_us,
            kind,
            amount_minor,
            currency,
            link,
            terminal,
            merchant,
            card,
            card_hash,
            rrn,
            stan,
            to,
            advice,
        ) = event
        row = {
            "source": self._source,
            "position": position,
            "kind": kind,
            "state": "stands",
            "amount_minor": amount_minor,
            "currency": currency,
            "link": link[:OWNER_CHARACTERS],
            "merchant": merchant,
            "terminal": terminal,
            "card": card,
            "card_hash": card_hash,
            "rrn": rrn,
            "stan": stan,
            "refers_to": to,
            "is_advice": advice,
            "business_day": day,
            "at_us": at_us,
        }
        return Known(row, "stands", self._by_rule(event[1], row))

    def _by_rule(self, event: str, row: Mapping[str, Any]) -> list[Posting]:
        """What the chart says is posted for an event of a payment."""
        owners = {"merchant": row["merchant"], "link": row["link"], "acquirer": ""}
        amounts = {"amount": row["amount_minor"]}

        def account(kind: str) -> AccountKey:
            return AccountKey(kind, owners[self._chart.accounts[kind].owner], row["currency"])

        return [
            Posting(account(one.debit), account(one.credit), amounts[one.amount])
            for one in self._rules[event, row["kind"]]
            if amounts[one.amount]
        ]

    def _ended(self, event: Ended, payment: Known) -> list[Posting] | None:
        """What is posted for what became of a payment; None where nothing became of it by this."""
        if event[1] == TAKEN_BACK and payment.state != TAKEN_BACK:
            postings = [posting.reversed() for posting in reversed(payment.postings)]
        elif payment.state == "stands":
            postings = self._by_rule(event[1], payment.row)
        else:
            return None
        payment.postings = [*payment.postings, *postings]
        return postings

    def _add(self, batch: Batch, progress: Progress, event: Event, postings: Sequence[Posting]) -> None:
        day = progress.business_day
        entry = {
            "source": self._source,
            "position": event[0],
            "payment": event[2],
            "event": event[1],
            "why": "" if event[1] == APPROVED else event[4],
            "business_day": day,
            "at_us": event[3],
        }
        batch.entries.append(entry)
        batch.postings.extend((event[0], leg, day, posting) for leg, posting in enumerate(postings))
        progress.chain = chained(progress.chain, entry, postings)
        progress.entries += 1


_text = json.JSONEncoder(separators=(",", ":")).encode


def chained(chain: bytes, entry: Mapping[str, Any], postings: Iterable[Posting]) -> bytes:
    """The hash of a source's entries with one more: SHA-256 of the one before and a line of JSON.

    The line is the list of position, payment, event, why, business day, moment in microseconds, and the postings, each
    a list of debited and credited account (kind, owner, currency) and the amount in minor units.
    """
    said = [entry[name] for name in ("position", "payment", "event", "why")]
    line = _text([*said, entry["business_day"].isoformat(), entry["at_us"], [list(one) for one in postings]])
    return sha256(chain + line.encode()).digest()
