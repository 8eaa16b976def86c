"""STANs that something open bears or names, on whichever link: none of them is given to anything else."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    STANS_END = 1_000_000         # six digits; 000000 is never used
    STANS_A_WORD = 64

cdef class StanHolds:
    cdef readonly uint32_t first          # of those that are counted as free: the part of this instance
    cdef readonly uint32_t end
    cdef readonly uint32_t free_count     # of them, how many nothing holds
    cdef uint16_t *_holds                 # by STAN: how much holds it
    cdef uint64_t *_held                  # the same, a bit each

    cpdef void hold(self, uint32_t stan) noexcept nogil
    cpdef void release(self, uint32_t stan) noexcept nogil

    cdef inline bint is_held(self, uint32_t stan) noexcept nogil:
        """Whether anything has it."""
        return self._holds[stan] != 0

    cdef inline bint are_all_held(self, uint32_t stan) noexcept nogil:
        """The same of STANS_A_WORD of them, from a multiple of that number on."""
        return self._held[stan // STANS_A_WORD] == ~<uint64_t>0
