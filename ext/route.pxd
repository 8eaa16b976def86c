"""Routing: the longest BIN range that holds a PAN, narrowed by kind, currency and amount, to an ordered list of links."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t

cdef enum:
    ROUTE_TARGETS_MAX = 8
    ROUTE_NONE = -1

cdef struct RouteTarget:
    uint16_t link             # index of the link, in order of the configuration
    uint16_t weight           # share among targets of equal priority
    uint16_t priority         # lower is asked first

cdef struct Route:
    uint16_t target_count
    RouteTarget target[ROUTE_TARGETS_MAX]     # by ascending priority


cdef class RouteTable:
    """Immutable; a reload builds a new one."""

    cdef int find(self, const uint8_t *pan, int digits, int kind, int currency, int64_t amount_minor) noexcept nogil
    """Index of the route for a PAN in ASCII digits, or ROUTE_NONE. ``currency`` is the numeric ISO 4217 code, 0 when
    the message has none; ``amount_minor`` is -1 when it has none."""

    cdef const Route *route(self, int index) noexcept nogil
