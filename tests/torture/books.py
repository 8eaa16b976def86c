"""The end of it all: terminals' receipts, issuers' ledgers and the journal, compared to the last transaction."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from switch.demo.reconcile import reconcile
from switch.machine.partitioning import partition_of
from switch.simulators import ledger as books
from switch.simulators import receipts as slips
from switch.simulators.ledger import Entry, Ledger
from switch.simulators.receipts import Receipt

STANDING_RECEIPTS = {slips.APPROVED, slips.VOIDED, slips.COMPLETED}
"""States in which the terminal's approval was never taken back."""

STANDING_ENTRIES = {books.APPROVED, books.VOIDED, books.COMPLETED}
TOLD_APPROVED = STANDING_RECEIPTS | {slips.REVERSED}
WITHOUT_MONEY = {"balance_inquiry"}
"""Kinds that are not taken back, whatever became of them."""


APPROVED_VERDICTS = {"approved_and_delivered", "approved_perhaps_delivered"}
OTHER_VERDICTS = {"declined", "refused", "not_answered", "reversed"}
VERDICTS = {
    slips.APPROVED: APPROVED_VERDICTS,
    slips.VOIDED: {"voided"},
    slips.COMPLETED: {"completed"},
    slips.DECLINED: OTHER_VERDICTS,
    slips.TAKEN_BACK: OTHER_VERDICTS,
    slips.REVERSED: {"reversed"},
}
"""What ``authswitch trace`` may say of a payment, by the state of its receipt."""


class Key(NamedTuple):
    """Tells transactions apart: no terminal asks for an amount twice for one kind."""

    terminal: str
    kind: str
    amount_minor: int

    def __str__(self) -> str:
        """In words."""
        return f"{self.kind} of {self.amount_minor} at terminal {self.terminal}"


class Place(NamedTuple):
    """Of a record: positions count within a partition's journal."""

    partition: int
    position: int

    def __str__(self) -> str:
        """As the tools show it."""
        return f"{self.partition}:{self.position}"


class Comparison:
    """Three books side by side.

    Args:
        receipts: The terminals'.
        ledgers: The issuers'.
        records: The journals'.
        partitions: How many journals there are.

    Attributes:
        differences: In words; empty when all agree.
        purchases: Receipts that stand of kinds that charge.
        charged_minor: Their money.
    """

    def __init__(
        self,
        receipts: Sequence[Receipt],
        ledgers: Sequence[Ledger],
        records: Iterable[Mapping[str, Any]],
        partitions: int = 1,
    ) -> None:
        self.differences: list[str] = []
        result = reconcile(receipts, ledgers)
        self.differences += result.differences
        if not result.agrees and not result.differences:
            self.differences.append("the sums of receipts and ledgers differ")
        self.purchases = result.standing
        self.charged_minor = result.charged_minor
        self.refunded_minor = result.refunded_minor
        self.receipts = result.receipts
        self.entries = result.entries
        self.records: Counter[str] = Counter()
        self._partitions = partitions
        self._intents: dict[Place, Mapping[str, Any]] = {}
        self._outcomes: dict[Place, list[Mapping[str, Any]]] = defaultdict(list)
        self._reversals: set[Place] = set()
        self._taken_back: set[Place] = set()
        self._givers: dict[str, int] = {}
        for record in records:
            self._take(record)
        self._compare_records()
        self._compare_ledgers(ledgers)
        self._compare_receipts(receipts)

    def _take(self, record: Mapping[str, Any]) -> None:
        sort, partition = record["type"], record["partition"]
        place = Place(partition, record["position"])
        self.records[sort] += 1
        if "terminal" in record and partition_of(record["terminal"], self._partitions) != partition:
            self.differences.append(f"journal: {sort} {place} is of another partition's terminal {record['terminal']}")
        if sort == "INTENT":
            self._intents[place] = record
            if self._givers.setdefault(record["rrn"], partition) != partition:
                self.differences.append(f"journal: two partitions have given RRN {record['rrn']}, the last at {place}")
        elif sort == "OUTCOME" and record["intent"]:
            self._outcomes[Place(partition, record["intent"])].append(record)
        elif sort == "REVERSAL":
            self._reversals.discard(Place(partition, record["replaces"]))
            self._reversals.add(place)
        elif sort == "REVERSED":
            self._reversals.discard(Place(partition, record["reversal"]))
            if record["original"]:
                self._taken_back.add(Place(partition, record["original"]))

    def _stands(self, position: Place) -> bool:
        """Whether a request is approved and not taken back, by the journal."""
        return any(one["approved"] for one in self._outcomes[position]) and position not in self._taken_back

    def _compare_records(self) -> None:
        """What was begun has come to one end (I1), and what was owed was acknowledged (I2)."""
        for position, intent in self._intents.items():
            count = len(self._outcomes.get(position, ()))
            if count != 1:
                self.differences.append(f"journal: {_key(intent)}, INTENT {position}, has {count} outcomes")
        for position in self._reversals:
            self.differences.append(f"journal: REVERSAL {position} was never acknowledged")

    def _compare_ledgers(self, ledgers: Sequence[Ledger]) -> None:
        """Each request that an issuer knows has its INTENT (I5), and stands there if and only if it stands here."""
        entries: dict[tuple[Key, str], list[Entry]] = defaultdict(list)
        for ledger in ledgers:
            for entry in ledger.entries:
                entries[Key(entry.terminal, entry.kind, entry.asked_minor), entry.rrn].append(entry)
        for position, intent in self._intents.items():
            key = _key(intent)
            found = entries.pop((key, intent["rrn"]), [])
            if len(found) > 1:
                self.differences.append(f"ledgers: {key}, RRN {intent['rrn']}, was booked {len(found)} times")
            if key.kind in WITHOUT_MONEY:
                continue
            is_booked = any(entry.state in STANDING_ENTRIES for entry in found)
            if is_booked != self._stands(position):
                state = found[0].state if found else "unknown"
                words = "stands" if self._stands(position) else "does not stand"
                self.differences.append(
                    f"journal: {key}, INTENT {position}, RRN {intent['rrn']}, {words}; its issuer has it as {state}"
                )
        for (key, rrn), found in entries.items():
            self.differences.append(f"ledgers: {key}, RRN {rrn}, is {found[0].state}, and has no INTENT")

    def _compare_receipts(self, receipts: Sequence[Receipt]) -> None:
        """Each INTENT has its receipt, and one INTENT only (I4); what a terminal was told is what is written down."""
        asked: dict[Key, list[Place]] = defaultdict(list)
        for position, intent in self._intents.items():
            asked[_key(intent)].append(position)
        for receipt in receipts:
            key = Key(receipt.terminal, receipt.kind, receipt.asked_minor)
            if key.kind in WITHOUT_MONEY:
                asked.pop(key, None)
                continue
            positions = asked.pop(key, [])
            if len(positions) > 1:
                self.differences.append(f"journal: {key} was forwarded {len(positions)} times, at {_list(positions)}")
            if receipt.state == slips.UNKNOWN:
                self.differences.append(f"receipts: {key} has come to no end")
            stands = any(self._stands(position) for position in positions)
            if stands != (receipt.state in STANDING_RECEIPTS):
                words = "stands" if stands else "does not stand"
                self.differences.append(f"journal: {key} {words}; its terminal has it as {receipt.state}")
            if receipt.state in TOLD_APPROVED and positions:
                self._compare_told(key, receipt, positions[0])
        for key, positions in asked.items():
            if key.kind not in WITHOUT_MONEY:
                self.differences.append(f"journal: {key}, INTENT {positions[0]}, has no receipt")

    def _compare_told(self, key: Key, receipt: Receipt, position: Place) -> None:
        for outcome in self._outcomes[position]:
            written = outcome["rrn"], outcome["authorization_code"]
            if written != (receipt.rrn, receipt.authorization_code.rstrip()):
                told = receipt.rrn, receipt.authorization_code
                self.differences.append(f"journal: {key} has RRN and code {written}; its receipt {told}")


def _list(places: Iterable[Place]) -> str:
    return ", ".join(map(str, places))


def _key(intent: Mapping[str, Any]) -> Key:
    return Key(intent["terminal"], intent["kind"], max(intent["amount_minor"], 0))


def compare_trace(receipt: Receipt, transactions: Sequence[Mapping[str, Any]]) -> list[str]:
    """Differences between a receipt and what ``authswitch trace`` finds by the number on it."""
    key = Key(receipt.terminal, receipt.kind, receipt.asked_minor)
    found = [
        one["verdict"]
        for one in transactions
        if (one["terminal"], one["kind"], one["amount_minor"]) == (key.terminal, key.kind, key.amount_minor)
    ]
    if not found and receipt.state == slips.DECLINED:
        # What is refused while the journal cannot be written stands nowhere.
        return []
    if len(found) != 1:
        return [f"trace: {key}, RRN {receipt.rrn}, is found {len(found)} times"]
    if found[0]["code"] not in VERDICTS[receipt.state]:
        return [f"trace: {key}, RRN {receipt.rrn}, is {found[0]['words']}; its terminal has it as {receipt.state}"]
    return []
