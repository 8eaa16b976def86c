"""Limits that all partitions have in common: of risk control over a card, and of stand-in; and whether they hold."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from switch.tables.risk import Risk
from switch.tables.risk_rules import kinds_mask
from switch.tables.rule_terms import RuleTerms
from switch.tables.time_windows import WindowTable

from .world import STAND_IN_CARD_COUNT, STAND_IN_OUTSTANDING

if TYPE_CHECKING:
    from .checker import Checker
    from .options import Options
    from .payment import Payment

CARDS_COUNTED = 64
LIMITED_KINDS = ("purchase", "cash_advance", "preauthorization")
"""Advices tell of what has happened: no limit refuses them."""

SECRET = bytes(16)
DAY_MS = 24 * 3600 * 1000


def card_limit(count_max: int) -> RuleTerms:
    """So many payments with one card a day."""
    return RuleTerms(name="card", kinds=kinds_mask(LIMITED_KINDS), window_ms=DAY_MS, count_max=count_max)


def counted_windows(options: Options, node: int) -> WindowTable:
    """What is counted of cards in one life of a node, by all its workers."""
    return WindowTable(CARDS_COUNTED, is_shared=options.crews[node] > 1)


def risk_control(options: Options, windows: WindowTable, node: int) -> Risk | None:
    """That of one process of a node; None where there is none."""
    if not options.card_limit:
        return None
    return Risk.build(bytes([node, *SECRET[1:]]), windows, rules=[card_limit(options.card_limit)])


class Limits:
    """Looks whether approvals are within the limits, wherever they were decided."""

    def __init__(self, checker: Checker, options: Options) -> None:
        self._checker = checker
        self._card_limit = options.card_limit
        self._has_stand_in_limits = options.is_tight and options.stands_in
        self._decided: dict[str, dict[str, Payment]] = defaultdict(dict)

    def approved(self, payment: Payment, lives: list[int]) -> None:
        """A terminal was told so, in these lives of the nodes' counts."""
        if payment.stood_in and self._has_stand_in_limits:
            self._look_at_stand_in(payment, lives)
        # Counting begins anew with each life: what was decided in this one is known of what was asked in no other.
        if self._card_limit and payment.key.kind in LIMITED_KINDS and _is_counted(payment, lives):
            counted = self._decided[payment.card.pan]
            counted[str(payment.key)] = payment
            count = sum(
                self._is_charged(one)
                for one in counted.values()
                if one.counted_in == payment.counted_in or _was_told_before(one, payment, lives)
            )
            if count > self._card_limit:
                self._checker.report("limits", f"{count} payments with the card of {payment.key} are approved")

    def _is_charged(self, payment: Payment) -> bool:
        return self._is_kept(payment) and (payment.stood_in or bool(self._checker.standing(payment.key)))

    def _is_kept(self, payment: Payment) -> bool:
        is_doubtful = payment.is_doubted or self._checker.is_settled_by_hand(payment.key)
        return bool(payment.told) and not (payment.is_given_up or is_doubtful)

    def _look_at_stand_in(self, payment: Payment, lives: list[int]) -> None:
        """Of what its issuer does not know yet the sum is limited, and the number for each card."""
        waiting = [
            one
            for key, one in self._checker.payments.items()
            if one.stood_in and self._is_kept(one) and not self._checker.bookings.get(key)
            if one.card.pan[0] == payment.card.pan[0]  # of the same link
            if one.counted_in[0] == payment.counted_in[0] or _was_told_before(one, payment, lives)
        ]
        amount_minor = sum(one.key.amount_minor for one in waiting)
        if amount_minor > STAND_IN_OUTSTANDING:
            self._checker.report("limits", f"{amount_minor} are outstanding by stand-in with {payment.key}")
        count = sum(one.card.pan == payment.card.pan for one in waiting)
        if count > STAND_IN_CARD_COUNT:
            self._checker.report("limits", f"{count} approvals by stand-in with the card of {payment.key}")


def _is_counted(payment: Payment, lives: list[int]) -> bool:
    """Whether its node has not lost its counts since it was asked first."""
    node, life = payment.counted_in
    return lives[node] == life


def _was_told_before(other: Payment, payment: Payment, lives: list[int]) -> bool:
    """Whether a payment of another node had to be counted where this one was decided: both nodes have kept their
    counts, they spoke with each other, and it was approved long enough before this one was asked."""
    if other.counted_in[0] == payment.counted_in[0] or other.sent_ns is None:
        return False
    return _is_counted(other, lives) and _is_counted(payment, lives) and other.sent_ns <= payment.counts_known_ns
