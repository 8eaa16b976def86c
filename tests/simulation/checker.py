"""What must hold, looked at all along and once more when everything has come to rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from switch.kinds import Kind
from switch.reasons import REASONS

if TYPE_CHECKING:
    from .clock import Clock
    from .issuer import Booking
    from .terminal import Payment

ADVISED = {"advice": ("advice", "purchase"), "preauthorization_advice": ("preauthorization",)}
"""What an advice may tell of: what a terminal has approved by itself, and what stand-in has."""

ADVICES = frozenset({"advice"})
"""Kinds by which a terminal says what has happened."""

TAKEN = frozenset({REASONS.index("approved"), REASONS.index("duplicate")})
"""With which an issuer takes note of an advice."""

STAND_IN_CODE = "SI"
"""Authorization codes of the switch begin so; those of issuers are digits."""

APPROVED, DECLINED, REVERSED, UNKNOWN, ABANDONED = "approved", "declined", "reversed", "unknown", "abandoned"


class Key(NamedTuple):
    """One transaction, wherever it is seen: no terminal uses an amount twice for one kind."""

    terminal: str
    kind: str
    amount_minor: int


@dataclass(frozen=True)
class Violation:
    """Something that must never be.

    Attributes:
        invariant: Its short name: I1 to I6 as in the design, ``MAC``, ``format``, ``order``, ``advice``,
            ``convergence``, ``books`` or ``journal``.
        what: What was seen, in words.
        now_ns: When.
    """

    invariant: str
    what: str
    now_ns: int

    def __str__(self) -> str:
        return f"{self.invariant} at {self.now_ns / 1e9:.3f} s: {self.what}"


class Checker:
    """Watches terminals and issuers, and knows nothing of the switch."""

    def __init__(self, clock: Clock, *, stands_in: bool) -> None:
        self._clock = clock
        self._stands_in = stands_in
        self.violations: list[Violation] = []
        self.payments: dict[Key, Payment] = {}
        self.bookings: dict[Key, list[Booking]] = {}

    def report(self, invariant: str, what: str) -> None:
        """Something was seen that must never be."""
        self.violations.append(Violation(invariant, what, self._clock.now_ns))

    # --- terminals ------------------------------------------------------------------------------------------------

    def began(self, key: Key, payment: Payment) -> None:
        """A terminal sends a transaction for the first time."""
        self.payments[key] = payment

    def told(self, payment: Payment, approved: bool, code: str) -> None:
        """A terminal was given an answer that it may believe, with an authorization code where there is one."""
        key = payment.key
        if approved and code.startswith(STAND_IN_CODE):
            payment.stood_in = True
            if not self._stands_in or not payment.may_be_stood_in:
                self.report("I3", f"{key} was approved by stand-in, which does not cover it")
        if payment.told is not None and payment.told != approved and not payment.is_given_up:
            self.report("I1", f"{key} was told {_words(payment.told)}, then {_words(approved)}")
        payment.told = approved
        if not approved or payment.is_given_up or payment.stood_in or key.kind in ADVICES:
            return
        if not any(one.was_approved for one in self.bookings.get(key, ())):
            self.report("I3", f"{key} was told approved, but no issuer approved it")

    def switch_ended(self, settled_ns: int) -> None:
        """The switch is gone, after all that it knew at ``settled_ns`` was durable.

        An approval that it has heard of since may be on the disk, but not that its terminal has hung up: nobody can
        know then whether the terminal was told, unless it asks.
        """
        for key, payment in self.payments.items():
            decisions = [one.heard_ns for one in self.bookings.get(key, ())]
            if self._stands_in and payment.may_be_stood_in:
                decisions.append(payment.asked_ns)
            payment.may_have_been_sent |= any(one is not None and one >= settled_ns for one in decisions)
            for booking in self.bookings.get(key, ()):
                if booking.is_overtaken and booking.heard_ns is not None and booking.heard_ns >= settled_ns:
                    booking.heard_ns = None  # the next one does not know of it

    def given_up(self, terminal: str, amount_minor: int) -> None:
        """An operator has given up what was owed of a payment; from now on it is the operator's to settle."""
        for key, payment in self.payments.items():
            if key.terminal == terminal and key.amount_minor == amount_minor:
                payment.is_settled_by_hand = True

    def is_settled_by_hand(self, key: Key) -> bool:
        """Whether an operator has given up what was owed of a payment."""
        return key in self.payments and self.payments[key].is_settled_by_hand

    def misled(self, what: str) -> None:
        """A terminal got what belongs to somebody else."""
        self.report("I6", what)

    # --- issuers --------------------------------------------------------------------------------------------------

    def booked(self, booking: Booking) -> None:
        """An issuer was asked for a transaction that it did not know yet."""
        others = self.bookings.setdefault(booking.key, [])
        if booking.key not in self.payments:
            self.report("I6", f"{booking.issuer} was asked for {booking.key}, which no terminal has begun")
        if others:
            self.report("I4", f"{booking.issuer} was asked for {booking.key}, which {others[0].issuer} knows already")
        others.append(booking)

    def advised(self, issuer: str, terminal: str, kind: str, amount_minor: int) -> Key:
        """Of which payment an issuer is told afterwards."""
        for payment_kind in ADVISED[kind]:
            key = Key(terminal, payment_kind, amount_minor)
            payment = self.payments.get(key)
            if payment is not None:
                if payment_kind not in ADVICES and not self._stands_in:
                    self.report("I3", f"{issuer} got an advice of {key}, though nobody stands in")
                return key
        return Key(terminal, kind, amount_minor)

    # --- at rest --------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Every receipt and every ledger must say the same of every transaction."""
        for key, payment in self.payments.items():
            if (problem := self._problem(key, payment)) is not None:
                self.report(problem[0], f"{key}: {problem[1]}")
        for key in self.bookings:
            if key not in self.payments and self._standing(key):
                self.report("books", f"{key}: charged, but no terminal knows of it")

    def _problem(self, key: Key, payment: Payment) -> tuple[str, str] | None:
        """What is wrong with a payment, by receipt and ledgers: the invariant, and words."""
        standing = len(self._standing(key))
        if payment.state == UNKNOWN:
            return "convergence", "its terminal still does not know what became of it"
        if payment.is_settled_by_hand:
            return ("books", f"{standing} charges stand") if standing > 1 else None
        if payment.state == ABANDONED:
            was_told = payment.was_sent_approval or payment.may_have_been_sent
            # A terminal's advice tells what has happened, whether anybody waits for an answer or not.
            if standing and not was_told and key.kind not in ADVICES:
                return "books", "a charge stands, but its terminal was never told (I2)"
        elif payment.state != APPROVED:
            if standing:
                return "books", f"its terminal has it {payment.state}, but a charge stands (I2)"
        elif payment.stood_in or key.kind in ADVICES:
            bookings = self.bookings.get(key, ())
            if len(bookings) != 1 or bookings[0].state == REVERSED:
                return "advice", "its terminal was told approved, but its issuer was not told"
        elif standing != 1:
            return "books", f"its terminal was told approved, but {standing} charges stand"
        return None

    def _standing(self, key: Key) -> list[Booking]:
        """Charges that stand. Of one that came after its own reversal nobody can know who has not heard of it."""
        return [
            one
            for one in self.bookings.get(key, ())
            if one.state == APPROVED and (one.heard_ns is not None or not one.is_overtaken)
        ]

    def compare_journal(self, records: list[dict[str, Any]], *, was_ended: bool) -> None:
        """What stands in the journal must be what terminals and issuers know.

        Args:
            records: All of them.
            was_ended: Whether the switch has ended in between: who was told before that, it need not have written down.
        """
        intents = {one["position"]: one for one in records if one["type"] == "INTENT"}
        advices = {one["position"]: one for one in records if one["type"] == "ADVICE" and not one["original"]}
        outcomes = {one["intent"]: one for one in records if one["type"] == "OUTCOME" and one["intent"]}
        delivered = {position for one in records if one["type"] == "DELIVERED" for position in one["positions"]}
        all_advices = {one["position"] for one in records if one["type"] == "ADVICE"}
        ended = [one for one in records if one["type"] == "REVERSED"]
        taken_back = {one["original"] for one in ended if one["reversal"] not in all_advices}
        taken_note = {one["original"]: one["reason"] for one in ended if one["reversal"] in all_advices}
        cancelled = {one["original"] for one in records if one["type"] == "CANCELLED"}
        for position, asked in (intents | advices).items():
            key = Key(asked["terminal"], Kind(asked["kind"]).label, asked["amount_minor"])
            outcome = outcomes.get(position)
            if self.is_settled_by_hand(key):
                continue
            if outcome is None:
                if position not in cancelled:
                    self.report("journal", f"{key}: its {asked['type']} at {position} has no OUTCOME")
                continue
            if outcome["approved"]:
                self._compare_delivery(key, outcome["position"] in delivered, was_ended)
            stands = outcome["approved"] and position not in taken_back and position not in cancelled
            if position in advices and position not in cancelled:
                if position not in taken_note:
                    self.report("journal", f"{key}: its ADVICE at {position} was neither acknowledged nor cancelled")
                    continue
                stands = stands and taken_note[position] in TAKEN
            is_charged = bool(self._standing(key))
            if stands != is_charged:
                words = "approved" if stands else "not approved, or reversed"
                self.report("journal", f"{key}: by the journal it is {words}; by its issuer the opposite")
        intents |= advices
        known = {Key(one["terminal"], Kind(one["kind"]).label, one["amount_minor"]) for one in intents.values()}
        for key in self.bookings.keys() - known:
            self.report("journal", f"{key}: its issuer was asked, but there is no INTENT (I5)")

    def _compare_delivery(self, key: Key, is_delivered: bool, was_ended: bool) -> None:
        payment = self.payments.get(key)
        if payment is None:
            return
        if is_delivered and not payment.was_sent_approval:
            self.report("journal", f"{key}: by the journal its approval was delivered, but none has left the switch")
        elif not is_delivered and payment.was_sent_approval and not was_ended:
            self.report("journal", f"{key}: its approval has left the switch, but the journal does not know of it")


def _words(approved: bool) -> str:
    return "approved" if approved else "not approved"
