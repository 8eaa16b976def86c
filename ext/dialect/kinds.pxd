"""Kinds of transaction: what a message asks for, whatever MTI and processing code its dialect writes for it.

The order is that of ``switch.dialect.kinds.KINDS``; a test compares the two.
"""

cdef enum Kind:
    KIND_UNKNOWN
    KIND_PURCHASE
    KIND_CASH_ADVANCE
    KIND_REFUND
    KIND_VOID
    KIND_REFUND_VOID
    KIND_BALANCE_INQUIRY
    KIND_PREAUTHORIZATION
    KIND_PREAUTHORIZATION_VOID
    KIND_COMPLETION
    KIND_COMPLETION_VOID
    KIND_REVERSAL
    KIND_ADVICE
    KIND_BATCH_UPLOAD
    KIND_SETTLEMENT
    KIND_SIGN_ON
    KIND_SIGN_OFF
    KIND_ECHO_TEST
    KIND_KEY_EXCHANGE
    KIND_CUT_OVER
    KIND_PREAUTHORIZATION_ADVICE
    KIND_DOWNLOAD
    KIND_SCRIPT_NOTICE
    KIND_COUNT
