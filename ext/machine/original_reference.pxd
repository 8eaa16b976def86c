"""What a message says of its original, and how much a transaction is like what it says.

A reversal, void, refund or completion names its original by original data elements (field 90, 56 or 61), by the
retrieval reference number that its terminal was told (37), by its own STAN and moment where it shares them, or by no
more than card and amount. Terminals get parts of that wrong: what is right in it decides.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t, int64_t
from switch.dialect.tables cimport DialectTables
from switch.machine.request_record cimport MERCHANT_BYTES, TERMINAL_BYTES, RequestPart
from switch.machine.transaction cimport NaturalKey
from switch.tables.registry cimport Registry
from switch.wire.fields cimport PAN_MAX
from switch.wire.scan cimport MessageIndex

cdef enum:
    NAMED_RRN_BYTES = 12

cdef enum Likeness:           # the higher the better; what stands between them tells likenesses of one sort apart
    LIKE_NOT = 0
    LIKE_ALIKE = 10           # nothing but terminal, card and amount
    LIKE_LOOSE = 20           # the STAN is right, and something else is, but not the moment
    LIKE_EXACT = 80           # nobody else can be meant

cdef struct Naming:
    uint8_t terminal[TERMINAL_BYTES]
    uint8_t merchant[MERCHANT_BYTES]
    uint32_t kinds            # bit n: the original may be of kind n
    uint32_t likely_kinds     # of these, those that are written with the processing code of a reversal
    uint32_t stan             # the original's; the message's own where it names none
    uint32_t message_class    # second digit of the original's MTI; 0: it does not say
    int64_t named_at          # the original's date and time, their digits as a number; 0: it does not say
    int64_t own_moment        # the message's own in that form; 0: it has none
    uint64_t occasion         # of its natural key, as the message itself or its original data elements say it
    uint32_t date             # MMDD, the original's; 0: it does not say
    int64_t wall_s            # when the message came
    int64_t elapsed_ns        # the same by the journal's own time
    int64_t amount_minor      # of the message; -1: none
    uint8_t says              # STAN and occasion are its original's: by data elements, or as its dialect has it
    uint8_t has_data          # it has original data elements that name a STAN
    uint8_t is_whole          # its amount is its original's (reversals); else it may be another one
    uint8_t pan_digits
    uint8_t pan[PAN_MAX + 1]
    uint8_t rrn[NAMED_RRN_BYTES]      # zeros: it has none

cdef struct Candidate:        # a transaction, as memory or journal knows it
    const uint8_t *terminal   # TERMINAL_BYTES
    const uint8_t *merchant   # MERCHANT_BYTES
    const uint8_t *rrn        # NAMED_RRN_BYTES; zeros, or NULL: not known
    const uint8_t *pan
    int pan_digits
    int kind
    uint32_t stan
    uint32_t message_class
    uint32_t date             # MMDD, local; 0: not known
    int64_t named_at
    uint64_t occasion
    int64_t age_s             # how long before the message it came, whatever was done to the wall clock
    int64_t amount_minor
    int64_t approved_minor    # the part of it that was approved; 0: all, or nothing


cdef void describe_request(const RequestPart *request, uint8_t *pan, Candidate *candidate) noexcept nogil
"""What a request as a record has it says of a candidate: all but its number, date, age and approved part. What
``candidate`` points to is borrowed; the card number in digits is kept at ``pan``, which has room for ``PAN_MAX`` of
them and one more."""

cdef int likeness(const Naming *naming, const Candidate *candidate) noexcept nogil
"""How much a transaction is like what is named; LIKE_NOT when it cannot be it."""

cdef void read_naming(Registry registry, DialectTables tables, const MessageIndex *message, const NaturalKey *key,
                      int kind, const uint8_t *pan, int pan_digits, Naming *naming) noexcept nogil
"""What ``message`` of a terminal says of its original. ``key`` is its own; a reversal's original may be of every kind
that can be reversed, another message's of those that its own kind refers to. When it came
is the caller's to set."""

cdef int64_t moment_of(DialectTables tables, const MessageIndex *message) noexcept nogil
"""Date and time by which a reversal of ``message`` would name it, their digits as a number; 0 when it has none or the
dialect does not name originals by them."""

cdef uint64_t occasion_of(DialectTables tables, const MessageIndex *message) noexcept nogil
"""What the natural key's fields of a message say, folded."""

cdef uint64_t fold(uint64_t folded, const uint8_t *text, int count) noexcept nogil
"""Take more characters into a hash (FNV-1a)."""
