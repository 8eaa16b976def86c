"""Ranges of card numbers that may nest and overlap, flattened once into intervals found in a few cache lines.

Numbers of any length are compared as numbers of 19 digits: a low end is padded with 0 and a high end with 9, so a range
written with n digits holds every number that begins with n digits between its ends. ISO/IEC 7812-1 has card numbers of
at most 19 digits; they fit into 64 bits.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    PAN_DIGITS_MAX = 19
    OVERLAP_MAX = 64          # ranges that may hold one number; bounds the steps of a search
    LEVELS_MAX = 16
    NODE_KEYS = 8             # one cache line

cdef enum:
    CHAIN_END = 0xFFFFFFFF

cdef enum:
    ZERO_DIGITS = 0x3030303030303030      # eight of them, as ASCII

cdef struct DigitRange:
    uint64_t low              # padded to 19 digits
    uint64_t high
    uint32_t value            # the owner's: what the range stands for
    uint32_t order            # line of the file; ranges of equal width are tried in this order

cdef struct ChainNode:
    uint32_t value
    uint32_t next             # node of the next wider range that holds the interval, or CHAIN_END


cdef inline uint64_t digit_word(const uint8_t *digits) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, digits, 8)
    return word


cdef inline uint64_t last_digits(const uint8_t *end, int count) noexcept nogil:
    """The 1 to 7 digits before ``end``, of at least 8 that stand there, with zeros behind them."""
    return (digit_word(end - 8) >> (64 - 8 * count)) | (ZERO_DIGITS << (8 * count))


cdef inline uint64_t strange_bits(uint64_t word) noexcept nogil:
    """0 when all 8 bytes are digits: a digit has 3 in its upper half, and still has after 6 is added."""
    return ((word ^ ZERO_DIGITS) | ((word + <uint64_t>0x0606060606060606) ^ ZERO_DIGITS)) & (
        <uint64_t>0xF0F0F0F0F0F0F0F0)


cdef inline uint64_t word_value(uint64_t word) noexcept nogil:
    """The number that 8 digits write; neighbours are joined in pairs, then fours, then all."""
    word &= <uint64_t>0x0F0F0F0F0F0F0F0F
    word = (word * 10 + (word >> 8)) & <uint64_t>0x00FF00FF00FF00FF
    word = (word * 100 + (word >> 16)) & <uint64_t>0x0000FFFF0000FFFF
    return (word * 10_000 + (word >> 32)) & <uint64_t>0xFFFFFFFF


cdef inline int pan_key(const uint8_t *pan, int digits, uint64_t *key) noexcept nogil:
    """The number as 19 digits, padded with 0; -1 unless it is 1 to 19 ASCII digits."""
    cdef uint64_t first = ZERO_DIGITS, second = ZERO_DIGITS, third = ZERO_DIGITS
    if digits >= 16:
        if digits > PAN_DIGITS_MAX:
            return -1
        first = digit_word(pan)
        second = digit_word(pan + 8)
        if digits > 16:
            third = last_digits(pan + digits, digits - 16)
    elif digits >= 8:
        first = digit_word(pan)
        if digits > 8:
            second = last_digits(pan + digits, digits - 8)
    elif digits > 0:
        memcpy(&first, pan, digits)
    else:
        return -1
    if strange_bits(first) | strange_bits(second) | strange_bits(third):
        return -1
    key[0] = (word_value(first) * 100_000_000 + word_value(second)) * 1_000 + word_value(third) // 100_000
    return 0


cdef struct Block:            # one cache line: some intervals, each a beginning and the head of its chain
    # Beginnings, but for the first, as distances from it in units of a power of ten; then the heads of all. How wide
    # the two are is the format of the block.
    uint8_t data[61]
    uint8_t format
    uint8_t count             # of intervals
    uint8_t exponent          # of the unit


cdef class RangeMap:
    """Immutable: from a card number to the ranges that hold it, narrowest first."""
    cdef readonly uint32_t range_count
    cdef readonly size_t interval_count
    cdef readonly size_t size_bytes           # of all tables
    cdef Block *_blocks
    cdef size_t _block_count
    cdef int _levels
    cdef uint64_t *_level[LEVELS_MAX]         # separators: level 0 lies above the blocks, the last one is one node
    cdef size_t _level_nodes[LEVELS_MAX]
    cdef ChainNode *_nodes

    cdef int load(self, DigitRange *ranges, uint32_t count, uint32_t *crowded) except -1
    """Build from ranges in any order (they are sorted in place). ``crowded`` gets the order of the first range with
    which more than OVERLAP_MAX would hold one number, else 0; nothing is built then."""

    cdef const ChainNode *find(self, uint64_t key) noexcept nogil
    """First node for a number, or NULL when no range holds it."""

    cdef const ChainNode *following(self, const ChainNode *node) noexcept nogil
    """The next wider range, or NULL."""


# Read the two ends of a range, as in a table's columns "low" and "high"; an empty high end means that the low one is a
# prefix. Gives None, or (offset, reason) of what is wrong.
cdef object read_range(const uint8_t *data, Py_ssize_t low_begin, Py_ssize_t low_end, Py_ssize_t high_begin,
                       Py_ssize_t high_end, DigitRange *out)
