"""What must hold, looked at all along and once more when everything has come to rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from switch.kinds import Kind

if TYPE_CHECKING:
    from .clock import Clock
    from .issuer import Booking
    from .terminal import Payment

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
        invariant: Its short name: I1 to I6 as in the design, ``MAC``, ``format``, ``convergence`` or ``books``.
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

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
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

    def told(self, payment: Payment, approved: bool) -> None:
        """A terminal was given an answer that it may believe."""
        key = payment.key
        if payment.told is not None and payment.told != approved and not payment.is_given_up:
            self.report("I1", f"{key} was told {_words(payment.told)}, then {_words(approved)}")
        payment.told = approved
        if approved and not payment.is_given_up and not any(one.was_approved for one in self.bookings.get(key, ())):
            self.report("I3", f"{key} was told approved, but no issuer approved it")

    def switch_ended(self, settled_ns: int) -> None:
        """The switch is gone, after all that it knew at ``settled_ns`` was durable.

        An approval that it has heard of since may be on the disk, but not that its terminal has hung up: nobody can
        know then whether the terminal was told, unless it asks.
        """
        for key, payment in self.payments.items():
            for booking in self.bookings.get(key, ()):
                payment.may_have_been_sent |= booking.heard_ns is not None and booking.heard_ns >= settled_ns
            for booking in self.bookings.get(key, ()):
                if booking.is_overtaken and booking.heard_ns is not None and booking.heard_ns >= settled_ns:
                    booking.heard_ns = None  # the next one does not know of it

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

    # --- at rest --------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Every receipt and every ledger must say the same of every transaction."""
        for key, payment in self.payments.items():
            standing = self._standing(key)
            if payment.state == UNKNOWN:
                self.report("convergence", f"{key}: its terminal still does not know what became of it")
            elif payment.state == ABANDONED:
                if standing and not (payment.was_sent_approval or payment.may_have_been_sent):
                    self.report("books", f"{key}: a charge stands, but its terminal was never told (I2)")
            elif payment.state == APPROVED and len(standing) != 1:
                self.report("books", f"{key}: its terminal was told approved, but {len(standing)} charges stand")
            elif payment.state != APPROVED and standing:
                self.report("books", f"{key}: its terminal has it {payment.state}, but a charge stands (I2)")
        for key in self.bookings:
            if key not in self.payments and self._standing(key):
                self.report("books", f"{key}: charged, but no terminal knows of it")

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
        outcomes = {one["intent"]: one for one in records if one["type"] == "OUTCOME" and one["intent"]}
        delivered = {position for one in records if one["type"] == "DELIVERED" for position in one["positions"]}
        reversed_originals = {one["original"] for one in records if one["type"] == "REVERSED"}
        for position, intent in intents.items():
            key = Key(intent["terminal"], Kind(intent["kind"]).label, intent["amount_minor"])
            outcome = outcomes.get(position)
            if outcome is None:
                self.report("journal", f"{key}: its INTENT at {position} has no OUTCOME")
                continue
            if outcome["approved"]:
                self._compare_delivery(key, outcome["position"] in delivered, was_ended)
            stands = outcome["approved"] and position not in reversed_originals
            is_charged = bool(self._standing(key))
            if stands != is_charged:
                words = "approved" if stands else "not approved, or reversed"
                self.report("journal", f"{key}: by the journal it is {words}; by its issuer the opposite")
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
