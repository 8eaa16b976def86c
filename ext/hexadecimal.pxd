"""Hex digits, one at a time, without a table that a wire byte could index out of."""

from libc.stdint cimport uint8_t


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
