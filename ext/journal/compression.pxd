"""Compression of the journal's batches, in LZ4's block format: records of one batch are much alike."""

from libc.stdint cimport uint8_t, uint32_t

cdef enum:
    PACKING_BITS = 13
    PACKING_SLOTS = 1 << PACKING_BITS


cdef uint32_t pack(const uint8_t *data, uint32_t size, uint8_t *out, uint32_t room, uint32_t *slots) noexcept nogil
"""Write ``data`` shorter into ``out``; its size, or 0 when that does not fit into ``room``. ``slots`` is scratch space
of PACKING_SLOTS numbers."""

cdef int unpack(const uint8_t *packed, uint32_t size, uint8_t *out, uint32_t out_size) noexcept nogil
"""The other way round, into exactly ``out_size`` bytes; 0, or -1 when it is no such block."""
