"""Hex digits, without a table that a wire byte could index out of."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from switch.wire.character_classes cimport EACH, outside_class
from switch.wire.cursor cimport load_be32, load_be64, store_be32, store_be64
from switch.wire.spec cimport CONTENT_HEX


cdef inline int hex_value(uint8_t digit) noexcept nogil:
    """0 to 15 for a hex digit of either case, -1 for anything else."""
    if 0x30 <= digit <= 0x39:
        return digit - 0x30
    digit |= 0x20
    if 0x61 <= digit <= 0x66:
        return digit - 0x61 + 10
    return -1


cdef inline uint8_t hex_digit(int value) noexcept nogil:
    """The upper-case digit of the lowest four bits."""
    value &= 15
    return <uint8_t>(0x30 + value if value < 10 else 0x41 + value - 10)


cdef inline uint32_t pack_hex(uint64_t digits) noexcept nogil:
    """What eight hex digits stand for, the first one being the word's highest byte. Anything else gives nonsense."""
    digits = (digits & (EACH * 0x0F)) + 9 * ((digits >> 6) & EACH)
    digits = (digits | digits >> 4) & 0x00FF00FF00FF00FFULL
    digits = (digits | digits >> 8) & 0x0000FFFF0000FFFFULL
    return <uint32_t>(digits | digits >> 16)


cdef inline uint64_t spread_hex(uint32_t value) noexcept nogil:
    """The eight upper-case digits of a value, the first one as the word's highest byte."""
    cdef uint64_t digits = value
    digits = (digits | digits << 16) & 0x0000FFFF0000FFFFULL
    digits = (digits | digits << 8) & 0x00FF00FF00FF00FFULL
    digits = (digits | digits << 4) & (EACH * 0x0F)
    return digits + EACH * 0x30 + (((digits + EACH * 6) >> 4) & EACH) * 7


cdef inline int read_hex(const uint8_t *digits, uint32_t size, uint8_t *out) noexcept nogil:
    """The ``size`` bytes that twice as many hex digits stand for; -1 when one is no hex digit."""
    cdef int high, low
    cdef uint32_t i = 0
    cdef uint64_t word
    while i + 4 <= size:
        word = load_be64(digits + 2 * i)
        if outside_class(word, CONTENT_HEX):
            return -1
        store_be32(out + i, pack_hex(word))
        i += 4
    while i < size:
        high = hex_value(digits[2 * i])
        low = hex_value(digits[2 * i + 1])
        if high < 0 or low < 0:
            return -1
        out[i] = <uint8_t>(high << 4 | low)
        i += 1
    return 0


cdef inline void write_hex(const uint8_t *data, uint32_t size, uint8_t *out) noexcept nogil:
    """Write ``size`` bytes as twice as many upper-case digits."""
    cdef uint32_t i = 0
    while i + 4 <= size:
        store_be64(out + 2 * i, spread_hex(load_be32(data + i)))
        i += 4
    while i < size:
        out[2 * i] = hex_digit(data[i] >> 4)
        out[2 * i + 1] = hex_digit(data[i])
        i += 1
