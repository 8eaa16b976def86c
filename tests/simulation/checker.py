"""What must hold, looked at all along and once more when everything has come to rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from switch.machine.partitioning import partition_of

from .clock import MS
from .limits import Limits
from .mesh import LATE_NS
from .world import TELLS_PARTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .clock import Clock
    from .issuer import Booking
    from .options import Options
    from .payment import Payment

ADVISED = {"advice": ("advice", "purchase"), "preauthorization_advice": ("preauthorization",)}
"""What an advice may tell of: what a terminal has approved by itself, and what stand-in has."""

ADVICES = frozenset({"advice"})
"""Kinds by which a terminal says what has happened."""

DELIVERED_NS_MAX = 500 * MS
"""So long after an approval has left the journal may not know of it though nothing waits to be written."""

STAND_IN_CODE = "SI"
"""Authorization codes of the switch begin so; those of issuers are digits."""

NEVER_BOOKED = "its issuer has nothing of it in its books"
"""Why an operator closes what an issuer does not find."""

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
        invariant: Its short name: I1 to I6 as in the design, ``MAC``, ``format``, ``order``, ``advice``, ``reference``,
            ``convergence``, ``books``, ``numbers``, ``limits`` or ``journal``.
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

    def __init__(self, clock: Clock, options: Options) -> None:
        self._clock = clock
        self._stands_in = options.stands_in
        self._partitions = options.partitions
        self._workers = options.workers
        self._owners = options.owners
        self._late_ns = LATE_NS if options.workers > 1 else 0
        self.finds_originals = True  # until somebody could not look for one
        self.violations: list[Violation] = []
        self.payments: dict[Key, Payment] = {}
        self.bookings: dict[Key, list[Booking]] = {}
        self._numbered: dict[str, Key] = {}
        self.limits = Limits(self, options)
        self._givers: dict[tuple[str, str], int] = {}

    def report(self, invariant: str, what: str) -> None:
        """Something was seen that must never be."""
        self.violations.append(Violation(invariant, what, self._clock.now_ns))

    # --- terminals ------------------------------------------------------------------------------------------------

    def began(self, key: Key, payment: Payment) -> None:
        """A terminal sends a transaction for the first time."""
        self.payments[key] = payment

    def told(self, payment: Payment, approved: bool, code: str, rrn: str, part: int = 0) -> None:
        """A terminal was given an answer that it may believe.

        Args:
            payment: To what.
            approved: What it says.
            code: The authorization code; empty where there is none.
            rrn: The retrieval reference number.
            part: The amount that is approved, where it is a part only.
        """
        key = payment.key
        if not approved and code:
            self.report("fields", f"{key} was told not approved, with authorization code {code}")
        self._number(rrn, key, approved)
        if approved and code.startswith(STAND_IN_CODE):
            payment.stood_in = True
            if not self._stands_in or not payment.may_be_stood_in:
                self.report("I3", f"{key} was approved by stand-in, which does not cover it")
        if payment.told is not None and payment.told != approved and not payment.is_given_up:
            self.report("I1", f"{key} was told {_words(payment.told)}, then {_words(approved)}")
        payment.told = approved
        if not approved or payment.is_given_up or payment.stood_in or key.kind in ADVICES:
            return
        self._compare_answer(key, code, rrn, part)

    def _compare_answer(self, key: Key, code: str, rrn: str, part: int) -> None:
        """An approval must say what its issuer has said."""
        bookings = [one for one in self.bookings.get(key, ()) if one.was_approved]
        if not bookings:
            self.report("I3", f"{key} was told approved, but no issuer approved it")
        elif part not in {one.part for one in bookings if not one.hides_part}:
            self.report("fields", f"{key} was told that {part or 'all'} is approved; its issuer said something else")
        elif part and not any(one.issuer in TELLS_PARTS for one in bookings):
            self.report("I3", f"{key} was told of a part, which its link is not to tell of")
        elif code not in {one.code for one in bookings}:
            self.report("fields", f"{key} was told authorization code {code}; its issuer gave another one")
        elif not {rrn, ""} & {one.rrn for one in bookings}:
            self.report("fields", f"{key} was told reference number {rrn}; its issuer knows another one")

    def _number(self, rrn: str, key: Key, approved: bool) -> None:
        """No reference number that stands for money may ever stand for something else."""
        if approved and self._numbered.setdefault(rrn, key) != key:
            self.report("fields", f"{key} was told reference number {rrn}, which {self._numbered[rrn]} has")

    def partition_of(self, terminal: str) -> int:
        """In which partition everything about a terminal is decided."""
        return partition_of(terminal, self._partitions)

    def owner_of(self, terminal: str) -> int:
        """By which worker."""
        return self._owners[self.partition_of(terminal)]

    def given_by(self, number: str, value: str, partition: int) -> None:
        """A partition has given a STAN or a reference number: no other one may ever give the same."""
        if self._givers.setdefault((number, value), partition) != partition:
            self.report(
                "numbers", f"partitions {self._givers[number, value]} and {partition} both gave {number} {value}"
            )

    def switch_ended(self, settled: Mapping[int, int]) -> None:
        """A process is gone, after all that each of its partitions knew at its moment of ``settled`` was durable.

        An approval that it has heard of since may be on the disk, but not that its terminal has hung up: nobody can
        know then whether the terminal was told, unless it asks.
        """
        self.mesh_parted(settled)
        for key, bookings in self.bookings.items():
            settled_ns = settled.get(self.partition_of(key.terminal))
            for booking in bookings if settled_ns is not None else ():
                if booking.is_overtaken and booking.heard_ns is not None and booking.heard_ns >= settled_ns:
                    booking.heard_ns = None  # the next one does not know of it

    def mesh_parted(self, settled: Mapping[int, int]) -> None:
        """A worker has lost another one, after all that each of its partitions knew was durable, and told or not.

        What it had given that one to be told since then may have been told, or may be even now: nobody can know, as
        when it has ended itself.
        """
        for key, payment in self.payments.items():
            settled_ns = settled.get(self.partition_of(key.terminal))
            if settled_ns is None:
                continue
            payment.is_in_doubt |= payment.sent_ns is not None and payment.sent_ns + DELIVERED_NS_MAX >= settled_ns
            decisions = [moment for one in self.bookings.get(key, ()) for moment in (one.heard_ns, one.relayed_ns)]
            if self._stands_in and payment.may_be_stood_in:
                decisions.append(payment.asked_ns)
            if any(one is not None and one + self._late_ns >= settled_ns for one in decisions):
                payment.may_have_been_sent = True
                payment.is_in_doubt |= self._workers > 1  # another one may still send it
            # What was asked last may come to its owner behind this.
            if (
                self._late_ns
                and payment.asked_ns is not None
                and payment.asked_ns + self._late_ns >= self._clock.now_ns
            ):
                payment.is_doubted |= payment.is_in_doubt

    def given_up(self, terminal: str, amount_minor: int, rrn: str) -> None:
        """An operator has given up what was owed of a payment, or of the part that was approved; from now on it is the
        operator's to settle."""
        for key, payment in self.payments.items():
            bookings = self.bookings.get(key, ())
            amounts = {key.amount_minor, payment.part, *(one.part for one in bookings)}
            is_named = amount_minor in amounts or any(one.rrn == rrn for one in bookings)
            if key.terminal == terminal and is_named:
                payment.is_settled_by_hand = True

    def is_settled_by_hand(self, key: Key) -> bool:
        """Whether an operator has given up what was owed of a payment, or the switch may have forgotten it."""
        payment = self.payments.get(key)
        if payment is None:
            return False
        is_lost = payment.is_recalled and not self.finds_originals
        return payment.is_settled_by_hand or payment.is_out_of_window or is_lost

    def must_know_originals(self, original: Key) -> bool:
        """Whether the switch must find a payment that another one refers to."""
        # Where a terminal has given one STAN to two payments, nothing may tell them from one another.
        stans = [one.receipt.stan for key, one in self.payments.items() if key.terminal == original.terminal]
        is_told_apart = original in self.payments and stans.count(self.payments[original].receipt.stan) == 1
        return self.finds_originals and is_told_apart and not self.is_settled_by_hand(original)

    def misled(self, what: str) -> None:
        """A terminal got what belongs to somebody else."""
        self.report("I6", what)

    # --- issuers --------------------------------------------------------------------------------------------------

    def booked(self, booking: Booking) -> None:
        """An issuer was asked for a transaction that it did not know yet."""
        others = self.bookings.setdefault(booking.key, [])
        if booking.key not in self.payments:
            self.report("I6", f"{booking.issuer} was asked for {booking.key}, which no terminal has begun")
        payment = self.payments.get(booking.key)
        if self._is_passed_on(booking, payment):
            booking.rrn = ""  # not its own
        if booking.rrn:
            self._number(booking.rrn, booking.key, approved=True)
        if payment is not None and payment.is_reuse and not payment.is_out_of_window:
            self.report("I4", f"{booking.issuer} was asked for {booking.key}, whose number another payment has")
        if others and not self.is_settled_by_hand(booking.key):
            self.report("I4", f"{booking.issuer} was asked for {booking.key}, which {others[0].issuer} knows already")
        others.append(booking)

    def _is_passed_on(self, booking: Booking, payment: Payment | None) -> bool:
        """Whether a number is what the terminal itself said of an original that its issuer need not know by name."""
        if payment is None or payment.original is None:
            return False
        original = payment.original.key
        return self._numbered.get(booking.rrn) == original and not self.must_name(original, booking.issuer)

    def must_name(self, original: Key, issuer: str) -> bool:
        """Whether an issuer that is asked for a void, refund or completion must be told its original's own names: it
        has booked the original, and the switch must find it."""
        is_known = any(one.issuer == issuer for one in self.bookings.get(original, ()))
        return is_known and self.must_know_originals(original)

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
            if (original := payment.original) is not None and self._is_given_back_twice(key, original):
                self.report("books", f"{key} stands, though {original.key} was taken back, to which it refers")
        for original in {id(one.original): one.original for one in self.payments.values() if one.original}.values():
            self._check_refunds(original)
        for key in self.bookings:
            if key not in self.payments and self.standing(key):
                self.report("books", f"{key}: charged, but no terminal knows of it")

    def _is_given_back_twice(self, key: Key, original: Payment) -> bool:
        """Whether a void, refund or completion stands, and its original was taken back by its terminal."""
        if original.is_doubted or self.is_settled_by_hand(key) or not self.must_know_originals(original.key):
            return False
        is_taken_back = any(one.state == REVERSED for one in self.bookings.get(original.key, ()))
        return is_taken_back and bool(self.standing(key))

    def _check_refunds(self, original: Payment) -> None:
        """All that stands refunded or voided of a sale, at whichever terminals, must not be more than the sale."""
        references = {key: one for key, one in self.payments.items() if one.original is original}
        if (
            original.key.kind != "purchase"
            or not self.must_know_originals(original.key)
            or any(self.is_settled_by_hand(key) for key in references)
        ):
            return
        given_back = sum(key.amount_minor * len(self.standing(key)) for key in references)
        if given_back > (original.part or original.key.amount_minor):
            self.report("refunds", f"{given_back} were given back of {original.key}: {', '.join(map(str, references))}")

    def _problem(self, key: Key, payment: Payment) -> tuple[str, str] | None:
        """What is wrong with a payment, by receipt and ledgers: the invariant, and words."""
        standing = len(self.standing(key))
        if payment.state == UNKNOWN:
            return "convergence", "its terminal still does not know what became of it"
        if self.is_settled_by_hand(key) or (payment.state == APPROVED and payment.is_doubted and not standing):
            is_double = standing > 1 and not payment.is_out_of_window
            return ("books", f"{standing} charges stand") if is_double else None
        if payment.state == ABANDONED:
            # A terminal's advice tells what has happened, whether anybody waits for an answer or not.
            if standing and not payment.may_have_been_told and key.kind not in ADVICES:
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

    def standing(self, key: Key) -> list[Booking]:
        """Charges that stand. Of one that came after its own reversal nobody can know who has not heard of it."""
        return [
            one
            for one in self.bookings.get(key, ())
            if one.state == APPROVED and (one.heard_ns is not None or not one.is_overtaken)
        ]


def _words(approved: bool) -> str:
    return "approved" if approved else "not approved"
