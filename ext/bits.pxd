"""Words of a bitmap: 64 bits, of which the first field's is the highest."""

from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #define FIRST_BIT 0x8000000000000000ULL
    #define first_set_bit(word) __builtin_clzll(word)
    """
    const uint64_t FIRST_BIT
    int first_set_bit(uint64_t word) noexcept nogil    # 0 to 63; the word must not be 0
