"""STANs that something open bears or names, on whichever link: none of them is given to anything else.

Two links may lead to one issuer, which knows a request, its answer and its reversal by their STANs. So a STAN that is
at any issuer, awaited late, or owed is held for all links.
"""

cimport cython
from libc.stdlib cimport calloc, free

cdef enum:
    HOLDS_MAX = 0xFFFF        # what so much holds is held for good


@cython.final
cdef class StanHolds:
    """How much holds each STAN.

    Args:
        first, count: Those that are given out here, which are counted.
    """

    def __cinit__(self, uint32_t first, uint32_t count):
        if first < 1 or count < 1 or first + count > STANS_END:
            raise ValueError(f"STANs {first} to {first + count - 1}: needed 1 to {STANS_END - 1}")
        self.first = first
        self.end = first + count
        self.free_count = count
        self._holds = <uint16_t *>calloc(STANS_END, sizeof(uint16_t))
        self._held = <uint64_t *>calloc(STANS_END // STANS_A_WORD + 1, sizeof(uint64_t))
        if self._holds == NULL or self._held == NULL:
            raise MemoryError

    def __dealloc__(self):
        free(self._holds)
        free(self._held)

    cpdef void hold(self, uint32_t stan) noexcept nogil:
        """One thing more has it; 0 is none."""
        if stan == 0 or stan >= STANS_END or self._holds[stan] == HOLDS_MAX:
            return
        if self._holds[stan] == 0:
            self._held[stan // STANS_A_WORD] |= <uint64_t>1 << stan % STANS_A_WORD
            if self.first <= stan < self.end:
                self.free_count -= 1
        self._holds[stan] += 1

    cpdef void release(self, uint32_t stan) noexcept nogil:
        """The end of one ``hold``."""
        if stan == 0 or stan >= STANS_END or not 0 < self._holds[stan] < HOLDS_MAX:
            return
        self._holds[stan] -= 1
        if self._holds[stan] == 0:
            self._held[stan // STANS_A_WORD] &= ~(<uint64_t>1 << stan % STANS_A_WORD)
            if self.first <= stan < self.end:
                self.free_count += 1
