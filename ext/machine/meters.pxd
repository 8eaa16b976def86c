"""What the hot path counts: the places of its series in the shared counters."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from switch.base.stats cimport Stats
from switch.dialect.kinds cimport KIND_COUNT
from switch.dialect.reasons cimport REASON_COUNT

cdef enum:
    METER_LISTENERS_MAX = 32
    METER_LINKS_MAX = 1024


cdef enum:                                # limits, in the order of refused_at_limit
    LIMIT_TRANSACTIONS
    LIMIT_DUPLICATES
    LIMIT_REVERSALS
    LIMIT_STANS
    LIMIT_LATE
    LIMIT_TERMINAL_DUPLICATES
    LIMIT_LINK_REVERSALS
    LIMIT_TERMINAL_REVERSALS
    LIMIT_UNKNOWN_REVERSALS
    LIMIT_NUMBERS
    LIMIT_ORIGINALS
    LIMIT_TERMINAL_IN_FLIGHT
    LIMIT_COUNT

cdef struct ListenerMeters:
    uint32_t requests
    uint32_t answers
    uint32_t format_errors
    uint32_t frame_errors
    uint32_t unexpected           # messages that are no request
    uint32_t mac_failures
    uint32_t under_former_key     # requests
    uint32_t joined               # repeats whose original was in flight
    uint32_t repeated             # repeats that got the stored answer
    uint32_t conflicting          # the natural key of another request
    uint32_t undelivered          # answers whose connection was gone
    uint32_t keep_alives

cdef struct LinkMeters:
    uint32_t requests
    uint32_t answers
    uint32_t answer_seconds       # histogram: sent to answered
    uint32_t timeouts
    uint32_t late
    uint32_t unmatched
    uint32_t mismatched           # matched by number, but for another terminal, amount or time
    uint32_t mismatched_requests  # that ended without another answer
    uint32_t unended              # whose end could not be written down
    uint32_t mac_failures
    uint32_t under_former_key
    uint32_t format_errors
    uint32_t frame_errors
    uint32_t unexpected
    uint32_t unknown_codes        # answers with a response code that the dialect does not list
    uint32_t network_failures     # sign-ons and echo tests refused or not answered
    uint32_t reversals
    uint32_t reversal_attempts
    uint32_t reversals_acknowledged
    uint32_t reversals_unfound
    uint32_t reversals_not_found
    uint32_t reversals_closed
    uint32_t promises_unfound         # reversals that a terminal was promised
    uint32_t promises_withheld        # the same
    uint32_t advices
    uint32_t advice_attempts
    uint32_t advices_acknowledged
    uint32_t advices_declined
    uint32_t advices_cancelled


cdef class Meters:
    cdef readonly Stats stats
    cdef readonly list listener_names
    cdef readonly list link_names
    cdef list _codes                      # by listener: response codes by reason
    cdef ListenerMeters listener[METER_LISTENERS_MAX]
    cdef LinkMeters *link
    cdef uint32_t refused_at_limit[LIMIT_COUNT]     # by limit
    cdef uint32_t originals[3]            # looked up: by what came of it
    cdef uint32_t *_transactions          # by listener, link (the last one: none), kind, reason: counter
    cdef uint32_t *_durations             # the same: histogram
    cdef uint32_t _link_count
    cdef readonly uint32_t uncounted      # series for which the shared counters had no room

    cdef void transaction(self, int listener, int link, int kind, int reason, uint64_t duration_ns) noexcept
    cdef size_t _place(self, int listener, int link, int kind, int reason) noexcept nogil
    cdef void _register_transaction(self, int listener, int link, int kind, int reason) noexcept

cdef enum:                                # what came of a look-up, in the order of originals
    ORIGINAL_FOUND
    ORIGINAL_NOT_FOUND
    ORIGINAL_UNCERTAIN
