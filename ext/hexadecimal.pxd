"""Hex digits, without a table that a wire byte could index out of."""

from libc.stdint cimport uint8_t, uint32_t


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


cdef inline int read_hex(const uint8_t *digits, uint32_t size, uint8_t *out) noexcept nogil:
    """The ``size`` bytes that twice as many hex digits stand for; -1 when one is no hex digit. Without a branch for a
    digit, so that the compiler takes many at once."""
    cdef uint32_t i
    cdef uint8_t high, low
    cdef uint8_t wrong = 0
    for i in range(size):
        high = digits[2 * i]
        low = digits[2 * i + 1]
        wrong |= is_no_digit(high) | is_no_digit(low)
        out[i] = <uint8_t>(((high & 15) + 9 * (high >> 6)) << 4 | ((low & 15) + 9 * (low >> 6)))
    return -1 if wrong else 0


cdef inline uint8_t is_no_digit(uint8_t character) noexcept nogil:
    cdef uint8_t number = <uint8_t>(character - 0x30)
    cdef uint8_t letter = <uint8_t>((character | 0x20) - 0x61)
    return (number > 9) & (letter > 5)


cdef inline void write_hex(const uint8_t *data, uint32_t size, uint8_t *out) noexcept nogil:
    """Write ``size`` bytes as twice as many upper-case digits."""
    cdef uint32_t i
    cdef uint8_t high, low
    for i in range(size):
        high = data[i] >> 4
        low = data[i] & 15
        out[2 * i] = <uint8_t>(high + 0x30 + 7 * (high > 9))
        out[2 * i + 1] = <uint8_t>(low + 0x30 + 7 * (low > 9))
