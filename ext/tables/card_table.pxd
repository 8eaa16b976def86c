"""What a table of BINs says of a card, such as its issuer's country: the narrowest range that holds it decides."""

from libc.stdint cimport uint8_t
from switch.tables.ranges cimport RangeMap


cdef class CardTable:
    cdef RangeMap _ranges
    cdef int _unlisted

    cdef int value_of(self, const uint8_t *pan, int digits) noexcept nogil
    """What the table says of a card, by its digits in ASCII, or what holds for those of which it says nothing."""
