"""The switch's own numbers: STANs towards issuers, and the retrieval reference numbers made of them.

One sequence serves all links and the switch's own answers, so that within an hour no two transactions get one RRN.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int32_t, int64_t
from switch.calendar cimport Calendar

cdef enum:
    NUMBER_COUNT = 1_000_000      # six digits; 000000 is never used
    RRN_SIZE = 12


cdef struct NumberBlock:      # what is written down before any number of it is given
    uint64_t end              # the first number that does not belong to it
    int32_t day_max           # days since 1970: no reference number bears a later date, of this block or before
    int32_t day_floor         # nor an earlier one, from this block on
    uint16_t instance


cdef class Numbering:
    cdef readonly uint32_t next       # the number that is taken next
    cdef readonly uint32_t turns      # how often the numbers began anew within the hour
    cdef uint8_t _hour[6]             # YDDDhh that ``turns`` belongs to

    cdef uint32_t take(self) noexcept nogil
    cdef bint last_rrn(self, uint8_t *rrn) noexcept nogil
    cdef void _write(self, uint32_t number, uint8_t *rrn) noexcept nogil
    cdef void go_on_after(self, const uint8_t *rrn) noexcept nogil
    cdef void skip(self, uint32_t number) noexcept nogil
    cdef void write_rrn(self, Calendar calendar, uint32_t number, uint8_t *rrn) noexcept nogil


cdef int64_t number_of_rrn(const uint8_t *rrn) noexcept nogil
"""The number that a retrieval reference number of ours was made of; -1 when it is none of ours."""
