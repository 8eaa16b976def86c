"""Whole messages to Python dictionaries: for tools, tests and all that runs seldom."""

from libc.stdint cimport uint8_t, uint32_t
from switch.wire.spec cimport Spec

cdef dict EMPTY_ENTRY         # of doc_enc; to be copied
cdef str NO_SPEC              # message for a field that is not in the specification


cpdef tuple decode(object s, object spec)

cdef str hex_text(const uint8_t *data, uint32_t first, uint32_t characters)
"""``characters`` nibbles as hex digits, from nibble ``first`` on."""

cdef dict new_entry(Spec spec, int number, const uint8_t *length)
"""A field's entry of doc_enc with its length as on the wire (not read where the field has none), and no data yet."""
