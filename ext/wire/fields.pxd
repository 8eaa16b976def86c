"""Data elements of ISO 8583 by number, what fits into them, and classes of messages."""

cdef enum:                        # their places in the bitmap
    FIELD_PAN = 2
    FIELD_PROCESSING_CODE = 3
    FIELD_AMOUNT = 4
    FIELD_MOMENT = 7              # transmission date and time
    FIELD_STAN = 11
    FIELD_LOCAL_MOMENT = 12       # local time; in 1993 with the date
    FIELD_DATE = 13               # local date
    FIELD_TRACK_2 = 35
    FIELD_RRN = 37
    FIELD_AUTHORIZATION_CODE = 38
    FIELD_RESPONSE_CODE = 39
    FIELD_TERMINAL = 41
    FIELD_MERCHANT = 42
    FIELD_CURRENCY = 49
    FIELD_PIN = 52
    FIELD_CHIP_DATA = 55
    FIELD_MAC_FIRST = 64
    FIELD_MAC_SECOND = 128

cdef enum:                        # characters
    PAN_MAX = 19
    PROCESSING_CODE_DIGITS = 6
    AMOUNT_DIGITS = 12
    DATE_DIGITS = 4               # MMDD
    RRN_SIZE = 12
    AUTHORIZATION_CODE_SIZE = 6

cdef enum MessageClass:           # the MTI's second digit
    CLASS_AUTHORIZATION = 1
    CLASS_FINANCIAL = 2
    CLASS_REVERSAL = 4
    CLASS_NETWORK = 8
