"""What the rules of risk control say of single BINs: the narrowest range that holds a card decides."""

from libc.stdint cimport uint32_t, uint64_t, uint8_t
from switch.tables.ranges cimport RangeMap

cdef struct BinRule:
    uint64_t kinds            # allowed
    uint32_t reason           # of a block, or REASON_APPROVED


cdef class BinRules:
    cdef RangeMap _ranges
    cdef BinRule *_rules      # ranges have places here

    cdef int refusal_of(self, const uint8_t *pan, int digits, uint64_t kind) noexcept nogil
    """Why a card, by its digits in ASCII, may not do a kind, of which it has the bit; REASON_APPROVED: it may."""
