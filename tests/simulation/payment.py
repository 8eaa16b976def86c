"""A transaction as its terminal has it, and a message of it that waits for its answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import references
from .checker import UNKNOWN
from .world import STAND_IN_PREFIXES

if TYPE_CHECKING:
    from switch.simulators.receipts import Receipt

    from .cards import Presented
    from .checker import Key

STAND_IN_KINDS = frozenset({"purchase", "preauthorization"})

SETTLED_REASONS = frozenset({"approved", "original_not_found", "no_such_issuer"})
"""With which a terminal takes its reversal for done; the last of them where a configuration has lost a link, and the
switch knows nothing of the original."""

FORBIDDEN_REASON = "invalid_transaction"
"""With which it is told that a void of the payment stands."""


@dataclass(slots=True)
class Payment:
    """One transaction of a terminal.

    Attributes:
        receipt: What its printer would print.
        card: With what was paid, as it was read.
        state: ``unknown`` until it is ``approved``, ``declined`` or ``reversed``.
        told: What the last answer said; None before the first.
        is_given_up: Whether the terminal has begun to reverse it: from then on answers are nothing to it.
        is_voided: Whether a void of it was begun.
        is_mistaken: Whether it is taken back though its void was approved.
        was_sent_approval: Whether an approval has left the switch.
        sent_ns: When one has first.
        is_in_doubt: Whether the switch has died since, before it was durable that one has left.
        is_doubted: Whether it was asked for once more after that: one that could not be told then is taken back.
        may_have_been_sent: Whether the switch died when that may have been on the disk, but not what became of it.
        asked_ns, first_asked_ns: When the switch has read it last, and first.
        life: In which of the switch's lives that was.
        counted_in: On which node, and in which of the lives of what its workers count together.
        counts_known_ns: What other nodes had counted by then was known there when it was asked first.
        times_said: How often it was sent.
        is_out_of_window: Whether the switch may have forgotten it when it was asked or taken back again.
        is_recalled: Whether it is taken back after that: the switch must find it in its journal.
        stood_in: Whether the switch has approved it in its issuer's stead.
        is_settled_by_hand: Whether an operator has given up what was owed of it: the issuer may know of it or not.
        was_refused_unwritten: Whether it was refused by a switch that could perhaps not write that down.
        is_reuse: Whether another payment has its number and moment: it is repeated until it is answered, as nothing
            could take it back.
        takes_part: Whether it may be told that a part of the amount is approved.
        part: Which part its terminal was told that it is; 0: all of it.
        original: The payment that it refers to.
        way: How its terminal names its original, or it when it is taken back.
    """

    key: Key
    receipt: Receipt
    card: Presented
    state: str = UNKNOWN
    told: bool | None = None
    is_given_up: bool = False
    is_voided: bool = False
    is_mistaken: bool = False
    was_sent_approval: bool = False
    sent_ns: int | None = None
    is_in_doubt: bool = False
    is_doubted: bool = False
    may_have_been_sent: bool = False
    asked_ns: int | None = None
    first_asked_ns: int | None = None
    life: int = 0
    counted_in: tuple[int, int] = (0, 0)
    counts_known_ns: int = -1
    times_said: int = 0
    is_out_of_window: bool = False
    is_recalled: bool = False
    stood_in: bool = False
    is_settled_by_hand: bool = False
    was_refused_unwritten: bool = False
    is_reuse: bool = False
    takes_part: bool = False
    part: int = 0
    original: Payment | None = None
    way: str = references.ALL

    @property
    def may_have_been_told(self) -> bool:
        """Whether its terminal may have been told of an approval, for all that the switch can know."""
        return self.was_sent_approval or self.may_have_been_sent

    @property
    def may_be_stood_in(self) -> bool:
        """Whether the switch may approve it in its issuer's stead, where it may do that at all."""
        return self.key.kind in STAND_IN_KINDS and self.card.pan.startswith(STAND_IN_PREFIXES) and not self.card.pin


@dataclass(slots=True)
class Exchange:
    """A message that waits for its answer.

    Attributes:
        payment: Whose.
        mti_class: Second digit of its MTI.
        stan: Its field 11.
        message: What is sent, and sent again.
        tries: How often it was sent.
        is_reversal: Whether it takes the payment back.
        is_advice: Whether it tells what has happened; like a reversal it is said until somebody takes it.
        is_to_be_abandoned: Whether the terminal will hang up on it for good.
        amount_minor: Its field 4.
    """

    payment: Payment
    mti_class: str
    stan: str
    message: bytes
    is_reversal: bool
    amount_minor: int
    is_advice: bool = False
    is_to_be_abandoned: bool = False
    tries: int = 0
