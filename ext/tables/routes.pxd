"""Routing: the narrowest BIN range that holds a PAN, by kind, currency and amount, to an ordered list of links."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int32_t, int64_t
from switch.tables.ranges cimport RangeMap

cdef enum:
    ROUTE_TARGETS_MAX = 8
    ROUTE_NONE = -1
    CURRENCY_WORDS = 16       # of 64 bits: one bit for each numeric code 0 to 999

cdef struct RouteTarget:
    uint16_t link             # index of the link, in order of the configuration
    uint16_t weight           # share among targets of equal priority
    uint16_t priority         # lower is asked first

cdef struct Route:
    uint16_t target_count
    RouteTarget target[ROUTE_TARGETS_MAX]     # by ascending priority

cdef struct CurrencySet:
    uint64_t bits[CURRENCY_WORDS]

cdef struct Rule:             # what narrows a range; shared by all ranges that say the same
    uint64_t kinds            # bit n: kind n
    int64_t amount_min        # -1: also without an amount
    int64_t amount_max
    int32_t currencies        # index of a CurrencySet, or -1 for any, also none
    int32_t route


cdef class RouteTable:
    """Immutable."""
    cdef RangeMap _ranges
    cdef Rule *_rules
    cdef CurrencySet *_currencies
    cdef Route *_routes
    cdef readonly int route_count
    cdef readonly int rule_count
    cdef int currency_set_count

    cdef int find(self, const uint8_t *pan, int digits, int kind, int currency, int64_t amount_minor) noexcept nogil
    """Index of the route for a PAN in ASCII digits, or ROUTE_NONE. ``currency`` is the numeric ISO 4217 code, 0 when
    the message has none; ``amount_minor`` is -1 when it has none."""

    cdef const Route *route(self, int index) noexcept nogil
