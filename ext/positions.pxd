"""A table from journal positions to numbers or pointers, as a recovery needs it: open addressing, growing."""

from libc.stdint cimport int64_t, uint64_t

cdef struct PositionSlot:
    int64_t position          # 0: empty
    uint64_t value


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
