"""Words of a bitmap: 64 bits, of which the first field's is the highest."""

from libc.stdint cimport uint64_t

cdef extern from *:
    """
    #define FIRST_BIT 0x8000000000000000ULL
    #define first_set_bit(word) __builtin_clzll(word)
    """
    const uint64_t FIRST_BIT
    int first_set_bit(uint64_t word) noexcept nogil    # 0 to 63; the word must not be 0
    uint64_t swapped_bytes "__builtin_bswap64"(uint64_t word) noexcept nogil


cdef inline uint64_t reversed_bits(uint64_t word) noexcept nogil:
    """The word with its lowest bit as the highest: from how an index numbers fields to how a bitmap does, and back."""
    word = ((word >> 1) & 0x5555555555555555ULL) | ((word & 0x5555555555555555ULL) << 1)
    word = ((word >> 2) & 0x3333333333333333ULL) | ((word & 0x3333333333333333ULL) << 2)
    word = ((word >> 4) & 0x0F0F0F0F0F0F0F0FULL) | ((word & 0x0F0F0F0F0F0F0F0FULL) << 4)
    return swapped_bytes(word)
