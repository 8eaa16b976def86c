"""What is open and refers to an original: counted by the journal position of that."""

from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef struct Referring:
    int64_t original          # 0: empty
    uint32_t count


cdef class OpenReferences:
    cdef Referring *_slots
    cdef uint64_t _mask
    cdef uint64_t _used       # slots

    cdef void begin(self, int64_t original) noexcept nogil
    """One thing more that refers to it is open; 0 is none."""
    cdef void end(self, int64_t original) noexcept nogil
    """The end of one ``begin``."""
    cdef bint has(self, int64_t original) noexcept nogil
    """Whether anything that refers to it is open."""
    cdef uint64_t _find(self, int64_t original) noexcept nogil
