"""Card data that no table keeps, and the one thing that is read of it."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from switch.dialect.tables cimport DialectTables
from switch.wire.scan cimport MessageIndex
from switch.wire.spec cimport Spec


cdef int read_pan(Spec spec, const MessageIndex *message, uint8_t *pan) noexcept nogil
"""The PAN's digits, from field 2 or else from track 2 (35); how many, 0 when there is none. Room: PAN_MAX bytes."""

cdef void unkept_of_answer(DialectTables tables, const MessageIndex *answer, const uint64_t *unkept,
                           uint64_t *gone) noexcept nogil
"""Which fields of a set a kept copy of a terminal's answer is without: all but field 55 where that holds nothing but
what the issuer says to the chip, which a repeat must say again."""

cdef bint is_chip_answer(const uint8_t *data, uint32_t size) noexcept nogil
"""Whether BER-TLV data have nothing in them but what an issuer says to a chip."""
