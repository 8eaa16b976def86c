"""What stands in the journal, and what the books make of it, compared with terminals and issuers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from switch.dialect.kinds import Kind
from switch.dialect.reasons import REASONS

from .books_checker import BooksChecker
from .checker import NEVER_BOOKED, Key

if TYPE_CHECKING:
    from switch.books.events import Event

    from .checker import Checker

TAKEN = frozenset({REASONS.index("approved"), REASONS.index("duplicate")})
"""With which an issuer takes note of an advice."""


class Written(NamedTuple):
    """What stands in the journal of one partition.

    Attributes:
        records: All of it.
        events: What moves money in it.
        could_be_read: At any time; else what was looked up may not have been found.
    """

    records: list[dict[str, Any]]
    events: list[Event]
    could_be_read: bool


def compare_journals(checker: Checker, journals: list[Written], *, was_ended: bool) -> None:
    """Report what is otherwise than terminals and issuers know it.

    Args:
        checker: Knows what terminals and issuers know, and is told what differs.
        journals: That of each partition.
        was_ended: Whether the switch has ended in between: who was told before that, it need not have written down.
    """
    asked: set[Key] = set()
    for partition, written in enumerate(journals):
        journal = JournalChecker(checker, written, was_ended=was_ended)
        journal.compare()
        asked |= journal.asked
        for one in written.records:
            if one["type"] != "CLAIM" and "terminal" in one and checker.partition_of(one["terminal"]) != partition:
                what = f"its {one['type']} at {one['position']} stands in partition {partition}"
                checker.report("journal", f"{_key(one)}: {what}, which is not its terminal's")
            if one["type"] == "INTENT":
                checker.given_by("reference number", one["rrn"], partition)
    for key in checker.bookings.keys() - asked:
        checker.report("journal", f"{key}: its issuer was asked, but there is no INTENT (I5)")


class JournalChecker:
    """Compares the journal of one partition, within which alone its positions mean something."""

    def __init__(self, checker: Checker, written: Written, *, was_ended: bool) -> None:
        records, events, self._could_be_read = written
        self.checker = checker
        self._books = BooksChecker(checker, events)
        self._was_ended = was_ended
        self._asked = {
            one["position"]: one
            for one in records
            if one["type"] == "INTENT" or (one["type"] == "ADVICE" and not one["original"])
        }
        self._outcomes = {one["intent"]: one for one in records if one["type"] == "OUTCOME" and one["intent"]}
        self._reversals = [one for one in records if one["type"] == "REVERSAL" and one["original"] in self._asked]
        self._late_codes: dict[int, set[str]] = {}
        for one in records:
            if one["type"] == "LATE":
                self._late_codes.setdefault(one["intent"], set()).add(one["authorization_code"])
        self._delivered = {position for one in records if one["type"] == "DELIVERED" for position in one["positions"]}
        advices = {one["position"] for one in records if one["type"] == "ADVICE"}
        ended = [one for one in records if one["type"] == "REVERSED"]
        self._taken_back = {one["original"] for one in ended if one["reversal"] not in advices}
        self._taken_note = {one["original"]: one["reason"] for one in ended if one["reversal"] in advices}
        self._taken_back |= {one["original"] for one in records if _is_never_booked(one)}
        self._cancelled = {one["original"] for one in records if one["type"] == "CANCELLED"}

    def compare(self) -> None:
        """Report what is otherwise than terminals and issuers know it."""
        for position, asked in self._asked.items():
            key = _key(asked)
            outcome = self._outcomes.get(position)
            if not self.checker.is_settled_by_hand(key):
                self._compare_fields(key, asked, outcome)
                self._compare_end(key, asked, outcome)
                self._books.compare(key, asked, outcome)
        for reversal in self._reversals:
            position = reversal["original"]
            self._compare_reversal(reversal, self._asked[position], self._outcomes.get(position))

    @property
    def asked(self) -> set[Key]:
        """All that stands in it of what was asked."""
        return {_key(one) for one in self._asked.values()}

    def _compare_end(self, key: Key, asked: dict[str, Any], outcome: dict[str, Any] | None) -> None:
        """What became of a payment."""
        position = asked["position"]
        if outcome is None:
            if position not in self._cancelled:
                self.checker.report("journal", f"{key}: its {asked['type']} at {position} has no OUTCOME")
            return
        if outcome["approved"]:
            self._compare_delivery(key, outcome["position"] in self._delivered)
        stands = outcome["approved"] and position not in self._taken_back and position not in self._cancelled
        if asked["type"] == "ADVICE" and position not in self._cancelled:
            if position not in self._taken_note:
                what = "was neither acknowledged nor cancelled"
                self.checker.report("journal", f"{key}: its ADVICE at {position} {what}")
                return
            stands = stands and self._taken_note[position] in TAKEN
        if stands != bool(self.checker.standing(key)):
            words = "approved" if stands else "not approved, or reversed"
            self.checker.report("journal", f"{key}: by the journal it is {words}; by its issuer the opposite")

    def _compare_fields(self, key: Key, asked: dict[str, Any], outcome: dict[str, Any] | None) -> None:
        """What stands in the journal of a payment: its terminal's card and number, its issuer's numbers."""
        payment = self.checker.payments.get(key)
        if payment is None:
            return
        found = {"card number": (asked["pan"], payment.card.pan), "STAN": (asked["stan"], int(payment.receipt.stan))}
        booking = next(iter(self.checker.bookings.get(key, ())), None)
        if booking is not None:
            found["reference number"] = (asked["rrn"], booking.rrn or asked["rrn"])
        if outcome is not None:
            found["reference number of its OUTCOME"] = (outcome.get("rrn", ""), asked["rrn"])
            if outcome["approved"] and booking is not None:
                found["approved part"] = (outcome.get("approved_minor", 0), booking.part)
                found["authorization code"] = (outcome["authorization_code"].strip(), booking.code.strip())
        for name, (is_there, wanted) in found.items():
            if is_there != wanted:
                self.checker.report("journal", f"{key}: at {asked['position']} stands another {name}, {is_there}")

    def _compare_reversal(
        self, reversal: dict[str, Any], asked: dict[str, Any], outcome: dict[str, Any] | None
    ) -> None:
        """What is to be taken back must be named as it was asked for."""
        wanted = {"pan": asked["pan"], "rrn": asked["rrn"], "link": asked["link"]}
        codes = self._late_codes.get(asked["position"], set()) | {
            "" if outcome is None else outcome["authorization_code"]
        }
        if not self._could_be_read:
            codes.add("")  # its issuer's answer was not found when it was looked up
        if reversal["authorization_code"] not in codes:
            what = "has another authorization code than its original"
            self.checker.report("journal", f"the REVERSAL at {reversal['position']} {what}")
        for name, value in wanted.items():
            if reversal[name] != value:
                self.checker.report(
                    "journal", f"the REVERSAL at {reversal['position']} has another {name} than its original"
                )

    def _compare_delivery(self, key: Key, is_delivered: bool) -> None:
        payment = self.checker.payments.get(key)
        if payment is None:
            return
        if is_delivered and not payment.was_sent_approval:
            self.checker.report(
                "journal", f"{key}: by the journal its approval was delivered, but none has left the switch"
            )
        elif not is_delivered and payment.was_sent_approval and not self._was_ended:
            self.checker.report(
                "journal", f"{key}: its approval has left the switch, but the journal does not know of it"
            )


def _is_never_booked(record: dict[str, Any]) -> bool:
    """Whether somebody has closed a reversal as its issuer has nothing of the payment: then it must stand nowhere."""
    return record["type"] == "CLOSED" and record["why"] == NEVER_BOOKED


def _key(asked: dict[str, Any]) -> Key:
    return Key(asked["terminal"], Kind(asked["kind"]).label, asked["amount_minor"])
