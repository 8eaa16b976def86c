"""Proves that rows of terminals are as they were bound: as ``switch.tables.binding``, for very many."""

from switch.crypto.keyed_hash cimport KeyedHash


cdef class BindingProof:
    cdef KeyedHash _hash

    cdef bint is_bound(self, bytes bound_to, bytes id, bytes serial_number, bytes place, bytes position,
                       bytes binding) except -1
    """Whether this binding, 64 hex digits, is that of a row: its other cells, in UTF-8."""
