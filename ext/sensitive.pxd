"""Card data that no table keeps: blanked in every stored copy of a message; and the one thing that is read of it."""

from libc.stdint cimport uint8_t
from switch.dialect cimport DialectTables
from switch.scan cimport MessageIndex
from switch.spec cimport Spec


cdef void blank_sensitive(DialectTables tables, const MessageIndex *message, uint8_t *copy) noexcept nogil
"""Overwrite the sensitive fields of ``copy``, the bytes that ``message`` indexes, with zeros of their own encoding:
the lengths stay, so that the copy can still be scanned."""

cdef int read_pan(Spec spec, const MessageIndex *message, uint8_t *pan) noexcept nogil
"""The PAN's digits, from field 2 or else from track 2 (35); how many, 0 when there is none. Room: PAN_MAX bytes."""
