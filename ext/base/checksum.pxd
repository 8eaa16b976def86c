"""CRC32C (Castagnoli), the checksum of journal batches: by the processor's own instruction where it has one."""

from libc.stdint cimport uint8_t, uint32_t


cdef uint32_t crc32c(uint32_t crc, const uint8_t *data, size_t size) noexcept nogil
"""Go on from ``crc`` (0 to begin with) over ``size`` bytes."""
