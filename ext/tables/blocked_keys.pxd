"""What is blocked one by one, such as cards and merchants: a million hashes, each with the reason."""

from libc.stdint cimport uint32_t, uint64_t

cdef struct BlockedKey:
    uint64_t hash
    uint32_t reason           # 0: empty slot


cdef class BlockedKeys:
    """Hashes with reasons, at most half full."""
    cdef BlockedKey *_slots
    cdef uint64_t _mask

    cdef int reason_of(self, uint64_t hash) noexcept nogil
    """Why it is blocked; 0: it is not."""
