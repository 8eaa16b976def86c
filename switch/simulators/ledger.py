"""A simulated issuer's books: what it charged and what it took back, by the natural identifiers of each message."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

APPROVED = "approved"
DECLINED = "declined"
REVERSED = "reversed"
VOIDED = "voided"
COMPLETED = "completed"
"""A pre-authorization whose completion was booked."""

DEBITS = frozenset({"purchase", "cash_advance", "completion", "advice"})
CREDITS = frozenset({"refund"})
HOLDS = frozenset({"preauthorization", "preauthorization_advice"})
VOIDS = frozenset({"void", "refund_void", "preauthorization_void", "completion_void"})


def direction(kind: str) -> int:
    """1 where a kind takes money from the card, -1 where it gives money, 0 where it does neither."""
    return 1 if kind in DEBITS else -1 if kind in CREDITS else 0


def weight(kind: str) -> int:
    """1 where a kind lowers what the card may spend, a hold included; -1 where it raises it."""
    return 1 if kind in HOLDS else direction(kind)


class Identity(NamedTuple):
    """What makes a request one and the same, when it comes again."""

    category: str
    """Second digit of the MTI: 1 authorization, 2 financial."""
    stan: str
    occasion: str
    """Date and time, or batch number, as far as the dialect has them."""
    rrn: str
    terminal: str


class Original(NamedTuple):
    """What a reversal or void says of its original; empty where it says nothing."""

    stan: str
    occasion: str
    rrn: str
    terminal: str
    authorization_code: str


@dataclass(slots=True)
class Entry:
    """One request that the issuer booked."""

    kind: str
    stan: str
    occasion: str
    rrn: str
    terminal: str
    merchant: str
    pan: str
    """Masked."""
    amount_minor: int
    """What was booked."""
    currency: str
    reason: str
    response_code: str
    authorization_code: str
    state: str
    """``approved``, ``declined``, ``reversed``, ``voided`` or ``completed``."""
    received: int = 1
    """How many times the request came."""
    reversals: int = 0
    """How many times its reversal came."""
    original: Entry | None = None
    """What a void or reversal undid."""
    part_of_minor: int = 0
    """What was asked for, where only a part of it was approved; 0: the same amount."""

    @property
    def asked_minor(self) -> int:
        """What the request asked for."""
        return self.part_of_minor or self.amount_minor

    def row(self) -> dict[str, Any]:
        """The entry for JSON; the original as its RRN and STAN."""
        original = self.original
        row: dict[str, Any] = {name: getattr(self, name) for name in _COLUMNS}
        if original is not None:
            row["original"] = {"rrn": original.rrn, "stan": original.stan}
        return row


_COLUMNS = tuple(name for name in Entry.__slots__ if name != "original")


class Totals(NamedTuple):
    """Sums over a ledger, in minor units of all currencies together."""

    charged_count: int
    charged_minor: int
    refunded_count: int
    refunded_minor: int
    reversed_count: int
    reversed_minor: int
    voided_count: int
    voided_minor: int
    declined_count: int


class Ledger:
    """All entries of one issuer, found by whatever a message says of them."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.entries: list[Entry] = []
        self.orphan_reversals: dict[Original, int] = {}
        """Reversals whose original is not here (yet), and how often each came."""
        self._by_identity: dict[Identity, Entry] = {}
        self._by_occasion: dict[tuple[str, str, str], Entry] = {}
        self._by_rrn: dict[tuple[str, str], Entry] = {}
        self._by_stan: dict[tuple[str, str], Entry] = {}
        self._by_code: dict[tuple[str, str], Entry] = {}
        self._orphans: set[tuple[str, str, str]] = set()

    def find_repeat(self, identity: Identity) -> Entry | None:
        """The entry of a request that came before."""
        return self._by_identity.get(identity)

    def add(self, identity: Identity, entry: Entry) -> None:
        """Book one request."""
        self.entries.append(entry)
        self._by_identity[identity] = entry
        terminal = entry.terminal
        self._by_occasion[entry.stan, entry.occasion, terminal] = entry
        self._by_stan[entry.stan, terminal] = entry
        if entry.rrn and entry.kind not in VOIDS:
            # A void may carry the RRN of the purchase that it undoes.
            self._by_rrn[entry.rrn, terminal] = entry
        if entry.authorization_code:
            self._by_code[entry.authorization_code, terminal] = entry

    def find_original(self, original: Original) -> Entry | None:
        """The entry that a reversal or void means.

        What identifies best is tried first: STAN with occasion, then RRN, then authorization code, then the latest of
        that STAN.
        """
        terminal = original.terminal
        entry = None
        if original.stan and original.occasion:
            entry = self._by_occasion.get((original.stan, original.occasion, terminal))
        if entry is None and original.rrn:
            entry = self._by_rrn.get((original.rrn, terminal))
        if entry is None and original.authorization_code:
            entry = self._by_code.get((original.authorization_code, terminal))
        if entry is None and original.stan:
            entry = self._by_stan.get((original.stan, terminal))
        return entry

    def add_orphan(self, original: Original) -> None:
        """Remember a reversal whose original is unknown, so that the original is refused if it comes after all."""
        self.orphan_reversals[original] = self.orphan_reversals.get(original, 0) + 1
        self._orphans.add((original.stan, original.occasion, original.terminal))

    def is_orphaned(self, identity: Identity) -> bool:
        """Whether a request was reversed before it came."""
        return bool(self._orphans) and (identity.stan, identity.occasion, identity.terminal) in self._orphans

    def totals(self) -> Totals:
        """Sums by state."""
        count = dict.fromkeys(("charged", "refunded", REVERSED, VOIDED, DECLINED), 0)
        amount = dict.fromkeys(count, 0)
        for entry in self.entries:
            way = direction(entry.kind)
            if entry.state == APPROVED:
                name = "charged" if way > 0 else "refunded" if way < 0 else ""
            else:
                name = entry.state if way or entry.state == DECLINED else ""
            if name:
                count[name] += 1
                amount[name] += entry.amount_minor
        return Totals(
            count["charged"],
            amount["charged"],
            count["refunded"],
            amount["refunded"],
            count[REVERSED],
            amount[REVERSED],
            count[VOIDED],
            amount[VOIDED],
            count[DECLINED],
        )

    def document(self) -> dict[str, Any]:
        """The whole ledger for JSON."""
        return {
            "issuer": self.issuer,
            "totals": self.totals()._asdict(),
            "entries": [entry.row() for entry in self.entries],
            "orphan_reversals": [
                {**original._asdict(), "received": count} for original, count in self.orphan_reversals.items()
            ],
        }

    def write(self, path: Path) -> None:
        """Write the ledger as JSON; the old file is replaced only when the new one is complete."""
        partial = path.with_name(path.name + ".partial")
        partial.write_text(json.dumps(self.document(), indent=1) + "\n")
        partial.replace(path)
