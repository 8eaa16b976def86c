"""Kinds of transaction: what a message asks for, whatever MTI and processing code its dialect writes for it.

The order is that of ``ext/dialect/kinds.pxd``. What is true of a kind in every dialect stands in ``TRAITS``; the hot
path has the same table through ``ext/dialect/tables``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from switch.base.named_numbers import DescribedEnum


class Money(IntEnum):
    """Which way the cardholder's account moves when the kind is approved; ordered as in ``ext/dialect/tables.pxd``."""

    NONE = 0
    DEBIT = 1
    CREDIT = 2


class Kind(DescribedEnum):
    """One kind; the value is its number in the hot path."""

    UNKNOWN = 0, "no kind that the dialect lists"
    PURCHASE = 1, "goods or services"
    CASH_ADVANCE = 2, "cash from the terminal"
    REFUND = 3, "goods returned"
    VOID = 4, "a purchase taken back before settlement"
    REFUND_VOID = 5, "a refund taken back before settlement"
    BALANCE_INQUIRY = 6, "what is in the account"
    PREAUTHORIZATION = 7, "an amount held for a later completion"
    PREAUTHORIZATION_VOID = 8, "a hold released"
    COMPLETION = 9, "the purchase that a pre-authorization was for"
    COMPLETION_VOID = 10, "a completion taken back before settlement"
    REVERSAL = 11, "an earlier request undone, because its outcome is unknown or unwanted"
    ADVICE = 12, "notice of a payment that was approved without the issuer"
    BATCH_UPLOAD = 13, "one transaction of a terminal's batch, for comparison"
    SETTLEMENT = 14, "totals of a terminal's batch"
    SIGN_ON = 15, "start of work, often with new keys"
    SIGN_OFF = 16, "end of work"
    ECHO_TEST = 17, "is the other side there"
    KEY_EXCHANGE = 18, "new working keys"
    CUT_OVER = 19, "a new business day"
    PREAUTHORIZATION_ADVICE = 20, "notice of a hold that was approved without the issuer"
    DOWNLOAD = 21, "parameters, keys of card schemes or chips' applications, which a terminal loads from the switch"
    SCRIPT_NOTICE = 22, "what became of the script with which an issuer has answered a chip"


class KindTraits(NamedTuple):
    """What is true of a kind in every dialect."""

    money: Money
    forwarded: bool
    """Asked of an issuer; else the switch answers at once and owns what follows."""
    reversible: bool
    """An approval that its terminal did not get is reversed."""
    is_advice: bool = False
    """It tells what has happened: taken when it is durable, answered at once, then the switch's to deliver."""
    told_as: Kind = Kind.UNKNOWN
    """The advice that tells an issuer of one that was approved in its stead; UNKNOWN where none can be."""
    refers_to: tuple[Kind, ...] = ()
    """Of which kinds its original may be; none where it has no original."""


_ANSWERED = KindTraits(Money.NONE, forwarded=False, reversible=False)
_DEBIT = KindTraits(Money.DEBIT, forwarded=True, reversible=True)
_CREDIT = KindTraits(Money.CREDIT, forwarded=True, reversible=True)
_HOLD = KindTraits(Money.NONE, forwarded=True, reversible=True)
_SALES = (Kind.PURCHASE, Kind.CASH_ADVANCE, Kind.COMPLETION, Kind.ADVICE)
_HOLDS = (Kind.PREAUTHORIZATION, Kind.PREAUTHORIZATION_ADVICE)

TRAITS: dict[Kind, KindTraits] = {
    Kind.UNKNOWN: _ANSWERED,
    Kind.PURCHASE: _DEBIT._replace(told_as=Kind.ADVICE),
    Kind.CASH_ADVANCE: _DEBIT,
    Kind.REFUND: _CREDIT._replace(refers_to=_SALES),
    Kind.VOID: _CREDIT._replace(refers_to=_SALES),
    Kind.REFUND_VOID: _DEBIT._replace(refers_to=(Kind.REFUND,)),
    Kind.BALANCE_INQUIRY: KindTraits(Money.NONE, forwarded=True, reversible=False),
    Kind.PREAUTHORIZATION: _HOLD._replace(told_as=Kind.PREAUTHORIZATION_ADVICE),
    Kind.PREAUTHORIZATION_VOID: _HOLD._replace(refers_to=_HOLDS),
    Kind.COMPLETION: _DEBIT._replace(refers_to=_HOLDS),
    Kind.COMPLETION_VOID: _CREDIT._replace(refers_to=(Kind.PURCHASE, Kind.COMPLETION)),
    Kind.REVERSAL: _ANSWERED,
    Kind.ADVICE: KindTraits(Money.DEBIT, forwarded=False, reversible=False, is_advice=True),
    Kind.BATCH_UPLOAD: _ANSWERED,
    Kind.SETTLEMENT: _ANSWERED,
    Kind.SIGN_ON: _ANSWERED,
    Kind.SIGN_OFF: _ANSWERED,
    Kind.ECHO_TEST: _ANSWERED,
    Kind.KEY_EXCHANGE: _ANSWERED,
    Kind.CUT_OVER: _ANSWERED,
    Kind.PREAUTHORIZATION_ADVICE: KindTraits(Money.NONE, forwarded=False, reversible=False, is_advice=True),
    Kind.DOWNLOAD: _ANSWERED,
    Kind.SCRIPT_NOTICE: KindTraits(Money.NONE, forwarded=True, reversible=False),
}

KINDS: tuple[str, ...] = tuple(kind.label for kind in Kind)
"""Names by number."""


def kind_traits(kind: Kind | int | str) -> KindTraits:
    """Look up what is true of a kind.

    Args:
        kind: The member, its number, or its name in lower case.

    Raises:
        KeyError: There is no kind of that name.
        ValueError: There is no kind of that number.
    """
    return TRAITS[Kind[kind.upper()] if isinstance(kind, str) else Kind(kind)]
