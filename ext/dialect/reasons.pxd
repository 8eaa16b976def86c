"""Why a transaction ended as it did: the switch's own vocabulary, of which each dialect writes its own codes.

The order is that of ``switch.dialect.reasons.REASONS``; a test compares the two.
"""

cdef enum Reason:
    REASON_APPROVED
    REASON_REFER_TO_ISSUER
    REASON_UNKNOWN_MERCHANT
    REASON_DO_NOT_HONOUR
    REASON_INVALID_TRANSACTION
    REASON_INVALID_AMOUNT
    REASON_INVALID_CARD
    REASON_NO_SUCH_ISSUER
    REASON_FORMAT_ERROR
    REASON_CAPTURE_CARD
    REASON_LOST_CARD
    REASON_STOLEN_CARD
    REASON_INSUFFICIENT_FUNDS
    REASON_EXPIRED_CARD
    REASON_WRONG_PIN
    REASON_KIND_NOT_PERMITTED_TO_CARD
    REASON_KIND_NOT_PERMITTED_TO_TERMINAL
    REASON_SUSPECTED_FRAUD
    REASON_AMOUNT_LIMIT
    REASON_RESTRICTED_CARD
    REASON_SECURITY_VIOLATION
    REASON_COUNT_LIMIT
    REASON_PIN_TRIES_EXCEEDED
    REASON_ORIGINAL_NOT_FOUND
    REASON_CUT_OVER
    REASON_ISSUER_UNAVAILABLE
    REASON_DUPLICATE
    REASON_SYSTEM_MALFUNCTION
    REASON_UNKNOWN_TERMINAL
    REASON_TIMEOUT
    REASON_MAC_FAILED
    REASON_PARTIALLY_APPROVED     # for less than was asked: an approval, where its terminal can take it
    REASON_OTHER_DECLINE          # an issuer's code that its dialect does not list
    REASON_PARTIAL_NOT_ACCEPTED   # the issuer approved a part, which cannot be carried through: reversed
    REASON_ANSWER_MISMATCHED      # the issuer's answers were not to this request: reversed, as after a time-out
    REASON_COUNT


cdef inline bint takes_note(int reason) noexcept nogil:
    """Whether an issuer that answers an advice or a reversal so has it in its books, by this attempt or one before."""
    return reason == REASON_APPROVED or reason == REASON_DUPLICATE


cdef inline bint is_decline(int reason) noexcept nogil:
    """Whether an issuer's answer that ends a request so says something of its card, and not of a message, a merchant
    or a machine on the way. What is in no list of a dialect says nothing that could be known."""
    return reason in (REASON_REFER_TO_ISSUER, REASON_DO_NOT_HONOUR, REASON_INVALID_CARD, REASON_CAPTURE_CARD,
                      REASON_LOST_CARD, REASON_STOLEN_CARD, REASON_INSUFFICIENT_FUNDS, REASON_EXPIRED_CARD,
                      REASON_WRONG_PIN, REASON_KIND_NOT_PERMITTED_TO_CARD, REASON_SUSPECTED_FRAUD, REASON_AMOUNT_LIMIT,
                      REASON_RESTRICTED_CARD, REASON_COUNT_LIMIT, REASON_PIN_TRIES_EXCEEDED)
