"""Why a transaction ended as it did, in the switch's own words.

Each dialect writes its own response codes for them. The order is that of ``ext/dialect/reasons.pxd``.
"""

from __future__ import annotations

from switch.base.named_numbers import DescribedEnum


class Reason(DescribedEnum):
    """One outcome; the value is its number in the hot path."""

    APPROVED = 0, "approved by the issuer"
    REFER_TO_ISSUER = 1, "the merchant shall call the issuer"
    UNKNOWN_MERCHANT = 2, "merchant not registered, or closed"
    DO_NOT_HONOUR = 3, "declined without a stated cause"
    INVALID_TRANSACTION = 4, "a transaction that the other side does not know"
    INVALID_AMOUNT = 5, "amount missing, zero or not allowed"
    INVALID_CARD = 6, "no such card number"
    NO_SUCH_ISSUER = 7, "no BIN range holds this card number"
    FORMAT_ERROR = 8, "the message could not be read"
    CAPTURE_CARD = 9, "declined, and the card is to be kept"
    LOST_CARD = 10, "card reported lost"
    STOLEN_CARD = 11, "card reported stolen"
    INSUFFICIENT_FUNDS = 12, "not enough money in the account"
    EXPIRED_CARD = 13, "card expired"
    WRONG_PIN = 14, "PIN incorrect"
    KIND_NOT_PERMITTED_TO_CARD = 15, "this card may not do this kind of transaction"
    KIND_NOT_PERMITTED_TO_TERMINAL = 16, "this terminal may not do this kind of transaction"
    SUSPECTED_FRAUD = 17, "suspected fraud"
    AMOUNT_LIMIT = 18, "amount limit exceeded"
    RESTRICTED_CARD = 19, "card restricted or blocked"
    SECURITY_VIOLATION = 20, "security violation"
    COUNT_LIMIT = 21, "too many transactions in the window"
    PIN_TRIES_EXCEEDED = 22, "too many wrong PINs"
    ORIGINAL_NOT_FOUND = 23, "the transaction that is referred to is not known"
    CUT_OVER = 24, "cut-over of the business day in progress"
    ISSUER_UNAVAILABLE = 25, "issuer or switch not reachable"
    DUPLICATE = 26, "the same transaction was sent before"
    SYSTEM_MALFUNCTION = 27, "failure inside a system on the way"
    UNKNOWN_TERMINAL = 28, "terminal not registered, or not allowed here"
    TIMEOUT = 29, "the issuer did not answer in time"
    MAC_FAILED = 30, "message authentication code missing or wrong"
    PARTIALLY_APPROVED = 31, "approved for less than was asked"
    OTHER_DECLINE = 32, "declined with a code that the dialect does not list"
    PARTIAL_NOT_ACCEPTED = 33, "approved for less than was asked, which the terminal cannot take, and taken back"
    ANSWER_MISMATCHED = 34, "the issuer's answer was to another request, by a field that must agree"


FALLBACKS = {"partial_not_accepted": "do_not_honour", "answer_mismatched": "timeout"}
"""Reasons for which a dialect may write no code of their own: that of the other is written."""

REASONS: tuple[str, ...] = tuple(reason.label for reason in Reason)
"""Names by number."""
