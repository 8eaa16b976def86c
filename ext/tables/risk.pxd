"""Risk control: limits over time windows, and what is blocked."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int32_t, int64_t
from switch.base.siphash cimport SipKey
from switch.tables.count_log cimport CountLog, Counted
from switch.tables.ranges cimport RangeMap
from switch.tables.registry cimport Registry
from switch.tables.time_windows cimport WindowTable

cdef enum:
    LIMITS_MAX = 64
    COUNTRY_WORDS = 16        # of 64 bits: one bit for each numeric code 0 to 999

cdef enum RiskScope:
    SCOPE_CARD
    SCOPE_TERMINAL
    SCOPE_MERCHANT
    SCOPE_COUNT

cdef struct RiskRequest:
    int kind
    int currency              # numeric ISO 4217; 0 when absent
    int64_t amount_minor      # -1 when absent
    const uint8_t *pan        # ASCII digits
    int pan_digits            # 0 when there is no PAN
    int country               # numeric ISO 3166 of the issuer where known, else 0
    uint32_t terminal         # registry indices, TERMINAL_NONE when unknown
    uint32_t merchant
    uint64_t now_ms           # monotonic


cdef inline RiskRequest risk_request(int kind, int currency, int64_t amount_minor, const uint8_t *pan, int pan_digits,
                                     uint32_t terminal, uint32_t merchant, int64_t now_ns) noexcept nogil:
    """What a terminal asks for; no message says in which country its card was issued."""
    cdef RiskRequest request
    request.kind = kind
    request.currency = currency
    request.amount_minor = amount_minor
    request.pan = pan
    request.pan_digits = pan_digits
    request.country = 0
    request.terminal = terminal
    request.merchant = merchant
    request.now_ms = <uint64_t>(now_ns // 1_000_000)
    return request

cdef struct Limit:
    uint64_t kinds            # bit n: kind n is counted and limited
    uint64_t salt             # sets the windows of this limit apart from those of others
    int64_t amount_max        # within the window; -1: no such limit
    int64_t single_max        # of one request; -1: no such limit
    int64_t count_max         # within the window; -1: no such limit
    uint32_t slice_ms         # 0: no window
    int32_t currency          # the limit holds in this currency only; 0: in any
    uint8_t scope
    uint8_t slices

cdef struct BlockedCard:
    uint64_t hash
    uint32_t reason           # 0: empty slot

cdef struct BinRule:
    uint64_t kinds            # allowed
    uint32_t reason           # of a block, or REASON_APPROVED


cdef class Risk:
    cdef SipKey _secret
    cdef CountLog _log                        # None: there is no other node
    cdef readonly WindowTable windows
    cdef Registry _registry
    cdef Limit _limits[LIMITS_MAX]
    cdef readonly int limit_count
    cdef uint32_t _window_scopes              # bit n: some limit has a window of scope n
    cdef RangeMap _bins
    cdef BinRule *_bin_rules
    cdef RangeMap _countries
    cdef uint64_t _countries_blocked[COUNTRY_WORDS]
    cdef bint _any_country_blocked
    cdef BlockedCard *_cards
    cdef uint64_t _card_mask

    cdef int check(self, const RiskRequest *request) noexcept nogil
    """REASON_APPROVED and the request counted in its windows, or the reason of the refusal (and not counted)."""

    cdef void count(self, const RiskRequest *request) noexcept nogil
    """Count a request in its windows, whatever their limits: it has happened."""

    cdef void hear(self, const Counted *counted, uint64_t now_ms) noexcept nogil
    """Count what another node has counted, when it was, or take it back."""

    cdef void _note(self, const RiskRequest *request, bint is_taken_back) noexcept nogil
    cdef void uncount(self, const RiskRequest *request) noexcept nogil
    """Take a counted request back, because it was refused later or reversed. The request must be as it was checked,
    with the time of that check."""
