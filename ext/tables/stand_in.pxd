"""Stand-in: which payments the switch may approve while their issuer cannot be asked, and how much of them.

One rule for each link that has one. It looks at a payment in a fixed order (kind, card, PIN, currency, amount, the
card's own window, what is outstanding) and names the first thing that forbids it.

Several workers share what is counted: the windows of cards, and what is outstanding, of which each has its own part.
The part of a worker that has died stands until its successor has replayed its journals and knows it better; so does
that of a worker of another node which has told it, until it tells another one.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int32_t, int64_t
from switch.base.shared_memory cimport SharedMemory
from switch.base.siphash cimport SipKey
from switch.base.stats cimport Stats
from switch.tables.count_log cimport CountLog, Counted
from switch.tables.ranges cimport RangeMap
from switch.tables.time_windows cimport WindowPlace, WindowTable

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
    cdef str _link
    cdef uint32_t _refused[STAND_IN_VERDICTS]
    cdef uint32_t _workers
    cdef uint32_t _far                        # workers of other nodes
    cdef CountLog _log                        # None: there is no other node
    cdef uint16_t _link_number                # for other nodes
    cdef SharedMemory _memory                 # None with one worker
    cdef int64_t *_outstanding                # by limit and worker, those of other nodes last
    cdef uint8_t *_was_replayed               # by worker: its cards' windows hold what its journals tell
    cdef bint _is_replaying
    cdef int64_t _replayed[STAND_IN_LIMITS_MAX]       # what is outstanding by the journals, as far as they were read

    cdef int claim(self, int kind, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits,
                   bint has_pin, int64_t now_ns) noexcept nogil
    """STAND_IN_ALLOWED, and from here on it is outstanding and in its card's window; or what forbids it. Whoever does
    not approve it afterwards takes it back: ``settle`` and ``uncount``."""

    cdef void approve(self, int currency, int64_t amount_minor) noexcept nogil
    """What was claimed is approved."""

    cdef void recount(self, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits,
                      int64_t counted_ns) noexcept nogil
    """It was approved before a restart, and the issuer does not know of it yet."""

    cdef void settle(self, int currency, int64_t amount_minor) noexcept nogil
    """The issuer knows of it, or never will: it is outstanding no more."""

    cdef void uncount(self, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits,
                      int64_t counted_ns) noexcept nogil
    """It was taken back: its card may spend that once more."""

    cdef void hear(self, const Counted *counted, uint64_t now_ms) noexcept nogil
    """Count in a card's window what another node has approved, or take it back."""

    cdef int own_outstanding(self, int limit, int32_t *currency, int64_t *amount_minor) noexcept nogil
    """What this worker's part of a limit is; -1 when there is no such limit."""

    cdef void hear_outstanding(self, uint32_t far, int currency, int64_t amount_minor) noexcept nogil
    """What is outstanding at a worker of another node, which is below the number of those."""

    cdef void _note(self, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits, int64_t moment_ns,
                    bint is_taken_back) noexcept nogil
    cdef void _take_back(self, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits,
                         uint64_t counted_ms) noexcept nogil
    cdef uint32_t _own(self) noexcept nogil
    cdef int _judge(self, int kind, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits,
                    bint has_pin, int64_t now_ns) noexcept nogil
    cdef int _share(self, size_t size) except -1
    cdef int _register(self, Stats stats, str link) except -1
    cdef int _limit_of(self, int currency) noexcept nogil
    cdef void _add(self, int limit, int64_t amount_minor) noexcept nogil
    cdef int64_t _outstanding_of(self, int limit) noexcept nogil
    cdef WindowPlace _window(self, int currency, const uint8_t *pan, int pan_digits) noexcept nogil
