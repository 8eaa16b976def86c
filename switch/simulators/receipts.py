"""What terminals keep of each transaction, and what a fleet counts."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hdrh.histogram import HdrHistogram

from switch.simulators.ledger import direction

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

APPROVED = "approved"
DECLINED = "declined"
UNKNOWN = "unknown"
"""No answer came."""
VOIDED = "voided"
REVERSED = "reversed"
COMPLETED = "completed"
TAKEN_BACK = "taken_back"
"""No answer came, or none that its terminal believed, and its reversal was accepted."""

LATENCY_MAX_US = 120_000_000
_PROBLEMS_KEPT_MAX = 20
_QUANTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9, "p99.99": 99.99}


@dataclass(slots=True)
class Receipt:
    """One transaction as its terminal knows it; the merchant's and the cardholder's proof."""

    kind: str
    terminal: str
    merchant: str
    batch: str
    stan: str
    at: str
    """When it was sent, YYMMDDhhmmss in UTC."""
    pan: str
    """Masked."""
    amount_minor: int
    currency: str
    rrn: str
    authorization_code: str
    response_code: str
    state: str
    """``approved``, ``declined``, ``unknown``, ``voided``, ``reversed``, ``completed`` or ``taken_back``."""
    part_of_minor: int = 0
    """What was asked for, where only a part of it was approved; 0: the same amount."""

    @property
    def asked_minor(self) -> int:
        """What the terminal asked for."""
        return self.part_of_minor or self.amount_minor

    def accept(self, told_minor: int) -> None:
        """Keep what was approved, where it is less than was asked."""
        if 0 < told_minor < self.amount_minor:
            self.part_of_minor, self.amount_minor = self.amount_minor, told_minor


def receipts_document(receipts: Iterable[Receipt]) -> dict[str, Any]:
    """Receipts for JSON, with the money of those that stand."""
    rows = [{name: getattr(receipt, name) for name in Receipt.__slots__} for receipt in receipts]
    standing = [row for row in rows if row["state"] == APPROVED]
    return {
        "totals": {
            "charged_minor": sum(row["amount_minor"] for row in standing if direction(row["kind"]) > 0),
            "refunded_minor": sum(row["amount_minor"] for row in standing if direction(row["kind"]) < 0),
            "by_state": dict(Counter(row["state"] for row in rows)),
        },
        "receipts": rows,
    }


def write_receipts(path: Path, receipts: Iterable[Receipt]) -> None:
    """Write receipts as JSON; the old file is replaced only when the new one is complete."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(receipts_document(receipts), indent=1) + "\n")
    partial.replace(path)


def _histogram() -> HdrHistogram:
    return HdrHistogram(1, LATENCY_MAX_US, 3)


@dataclass(slots=True)
class FleetCounters:
    """What a fleet sent, what came back, and what was wrong with it."""

    planned: int = 0
    dropped: int = 0
    """Planned requests for which no terminal was free and no place to wait."""
    sent: int = 0
    answered: int = 0
    """Right answers and wrong ones, one a request."""
    missing: int = 0
    """No answer within the time-out, or the connection ended first."""
    late: int = 0
    """Answers after the time-out."""
    duplicate: int = 0
    """Second answers."""
    mismatched: int = 0
    """Answers to requests that this terminal never made."""
    wrong_terminal: int = 0
    wrong_echo: int = 0
    """MTI, processing code, amount or merchant of another request."""
    wrong_mac: int = 0
    unsigned: int = 0
    """Approvals without the MAC that they must carry."""
    unexpected_outcome: int = 0
    contradicting: int = 0
    """Answers that say the opposite of an earlier one to the same request."""
    repeats: int = 0
    """Requests sent again, because no answer came."""
    given_up: int = 0
    """Requests that were not answered after all repeats, and then reversed."""
    unreadable: int = 0
    connection_failures: int = 0
    connections: int = 0
    sign_ins: int = 0
    refused_sign_ins: int = 0
    working_keys: int = 0
    """MAC keys that came with the answer to a sign-in."""
    by_code: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Answers by response code and its reason (different dialects may give one code different meanings)."""
    by_reason: Counter[str] = field(default_factory=Counter)
    by_kind: Counter[str] = field(default_factory=Counter)
    """Requests by kind."""
    problems: list[str] = field(default_factory=list)
    """The first of what was wrong, in words that are safe to log."""
    latency_us: HdrHistogram = field(default_factory=_histogram)
    """From the planned send time to the answer."""
    service_us: HdrHistogram = field(default_factory=_histogram)
    """From the real send time to the answer."""

    @property
    def wrong(self) -> int:
        """Answers that are wrong in themselves or at the wrong place."""
        return (
            self.duplicate
            + self.mismatched
            + self.wrong_terminal
            + self.wrong_echo
            + self.wrong_mac
            + self.unsigned
            + self.unexpected_outcome
            + self.contradicting
            + self.unreadable
        )

    @property
    def in_flight(self) -> int:
        """Requests without an answer so far."""
        return self.sent - self.answered - self.missing - self.given_up

    def note(self, problem: str) -> None:
        """Keep the words for a problem, unless there are many already."""
        if len(self.problems) < _PROBLEMS_KEPT_MAX:
            self.problems.append(problem)

    def document(self) -> dict[str, Any]:
        """All of it for JSON; latencies in microseconds."""
        plain = {
            name: getattr(self, name)
            for name in FleetCounters.__slots__
            if isinstance(getattr(self, name), (int, list))
        }
        return {
            **plain,
            "wrong": self.wrong,
            "by_code": [{"code": code, "reason": reason, "answers": n} for (code, reason), n in self.by_code.items()],
            "by_reason": dict(self.by_reason),
            "by_kind": dict(self.by_kind),
            "latency_us": quantiles_us(self.latency_us),
            "service_us": quantiles_us(self.service_us),
        }


def quantiles_us(histogram: HdrHistogram) -> dict[str, float]:
    """The usual quantiles of a histogram, in microseconds; nothing of an empty one.

    All in one pass, which takes half a millisecond: it is done while requests are under way.
    """
    if not histogram.get_total_count():
        return {}
    found = histogram.get_percentile_to_value_dict(list(_QUANTILES.values()))
    quantiles = {name: float(found[percentile]) for name, percentile in _QUANTILES.items()}
    return {**quantiles, "max": float(histogram.get_max_value())}


def duration(microseconds: float) -> str:
    """A time for people: below a millisecond in microseconds."""
    if microseconds < 999.5:
        return f"{microseconds:.0f} µs"
    return f"{microseconds / 1000:.2f} ms" if microseconds < 100_000 else f"{microseconds / 1_000_000:.2f} s"


def merge_counters(parts: Iterable[FleetCounters]) -> FleetCounters:
    """Counters of several fleets as one."""
    whole = FleetCounters()
    for part in parts:
        for name in FleetCounters.__slots__:
            value = getattr(part, name)
            if isinstance(value, HdrHistogram):
                getattr(whole, name).add(value)
            elif isinstance(value, list):
                for problem in value:
                    whole.note(problem)
            elif isinstance(value, Counter):
                getattr(whole, name).update(value)
            else:
                setattr(whole, name, getattr(whole, name) + value)
    return whole
