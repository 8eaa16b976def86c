"""A table from journal positions to numbers or pointers, as a recovery needs it: open addressing, growing."""

from libc.stdint cimport int64_t, uint64_t

cdef struct PositionSlot:
    int64_t position          # 0: empty
    uint64_t value


cdef inline uint64_t home(int64_t position, uint64_t mask) noexcept nogil:
    """Where a position is looked for first."""
    return (<uint64_t>position * <uint64_t>0x9E3779B97F4A7C15 >> 20) & mask


cdef class PositionTable:
    cdef PositionSlot *_slots
    cdef uint64_t _mask
    cdef readonly uint64_t count

    cdef int put(self, int64_t position, uint64_t value) except -1
    """Add or replace; positions are above 0."""
    cdef uint64_t get(self, int64_t position) noexcept nogil
    """The value; 0 when the position is not there."""
    cdef uint64_t pop(self, int64_t position) noexcept nogil
    cdef list positions(self)
    cdef int _grow(self) except -1
