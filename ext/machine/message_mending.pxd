"""Copies of messages in a journal, as they are kept in memory today."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from switch.dialect.tables cimport DialectTables
from switch.machine.state cimport State


cdef class Mender:
    cdef State state
    cdef dict _lenient                        # by specification: its lenient form

    cdef const uint8_t *mended(self, DialectTables tables, const uint8_t *message, uint32_t *size,
                               uint8_t *out, bint is_answer) except *
    cdef const uint8_t *with_part(self, DialectTables tables, const uint8_t *sent, uint32_t size,
                                  int64_t approved_minor)
