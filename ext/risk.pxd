"""Risk control: limits over time windows, and what is blocked."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t

cdef struct RiskRequest:
    int kind
    int currency              # numeric ISO 4217; 0 when absent
    int64_t amount_minor      # -1 when absent
    const uint8_t *pan        # ASCII digits
    int pan_digits
    int country               # numeric ISO 3166 of the issuer where known, else 0
    uint32_t terminal         # registry indices
    uint32_t merchant
    uint64_t now_ms           # monotonic


cdef class Risk:
    cdef int check(self, const RiskRequest *request) noexcept nogil
    """REASON_APPROVED and the request counted in its windows, or the reason of the refusal (and not counted)."""
