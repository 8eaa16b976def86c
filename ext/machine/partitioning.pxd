"""Which partition a terminal belongs to: whatever is decided about its transactions is decided there."""

from libc.stdint cimport uint8_t, uint32_t

cdef uint32_t partition_of_id(const uint8_t *id, int size, uint32_t partitions) noexcept nogil
"""The partition of the terminal whose field 41 these bytes are, with or without the blanks behind it; ``partitions``,
at least 1, is how many there are."""
