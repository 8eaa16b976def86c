"""Stand-in: which payments the switch may approve while their issuer cannot be asked, and how much of them.

One rule for each link that has one. It looks at a payment in a fixed order (kind, card, PIN, currency, amount, the
card's own window, what is outstanding) and names the first thing that forbids it.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t, int32_t, int64_t
from switch.base.siphash cimport SipKey
from switch.base.stats cimport Stats
from switch.tables.ranges cimport RangeMap
from switch.tables.time_windows cimport WindowTable

cdef enum:
    STAND_IN_LIMITS_MAX = 16

cdef enum StandInVerdict:     # what forbids it
    STAND_IN_ALLOWED
    STAND_IN_KIND
    STAND_IN_BIN
    STAND_IN_PIN
    STAND_IN_CURRENCY
    STAND_IN_AMOUNT
    STAND_IN_CARD_AMOUNT
    STAND_IN_CARD_COUNT
    STAND_IN_OUTSTANDING
    STAND_IN_VERDICTS

cdef struct StandInLimit:     # of one currency, in its minor units; -1: no such limit
    int32_t currency          # numeric ISO 4217
    int64_t amount_max        # of one payment
    int64_t card_amount_max   # of one card within the window
    int64_t card_count_max
    int64_t outstanding_max   # of all that the issuer has not been told yet
    int64_t outstanding
    uint32_t approvals_counter
    uint32_t amount_counter
    uint32_t outstanding_gauge


cdef class StandIn:
    cdef readonly uint64_t kinds              # bit n: kind n
    cdef readonly bint allows_pin
    cdef readonly WindowTable windows
    cdef uint32_t _slice_ms
    cdef RangeMap _bins                       # None: every card
    cdef SipKey _secret
    cdef StandInLimit _limits[STAND_IN_LIMITS_MAX]
    cdef int _limit_count
    cdef Stats _stats
    cdef uint32_t _refused[STAND_IN_VERDICTS]

    cdef int check(self, int kind, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits,
                   bint has_pin, int64_t now_ns) noexcept nogil
    """STAND_IN_ALLOWED, or what forbids it, which is counted. Nothing else is counted by it."""

    cdef void count(self, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits, bint is_new,
                    int64_t now_ns) noexcept nogil
    """It was approved: from here on it is outstanding. ``is_new`` is false for one of before a restart."""

    cdef void settle(self, int currency, int64_t amount_minor) noexcept nogil
    """The issuer knows of it, or never will: it is outstanding no more."""

    cdef void uncount(self, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits,
                      int64_t counted_ns) noexcept nogil
    """It was taken back: its card may spend that once more."""

    cdef int _judge(self, int kind, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits,
                    bint has_pin, int64_t now_ns) noexcept nogil
    cdef StandInLimit *_limit_of(self, int currency) noexcept nogil
    cdef uint64_t _key(self, int currency, const uint8_t *pan, int pan_digits) noexcept nogil
