"""Which partition a terminal belongs to: CRC-32C of its id, padded with blanks to 16 characters, modulo partitions.

The journals on the disk are laid out by it: it must never change.
"""

from switch.base.checksum cimport crc32c

cdef enum:
    ID_BYTES = 16             # room for longer ids than any dialect has yet

PARTITIONS_MAX = 64               # of one switch

cdef const uint8_t *BLANKS = b" " * 16


cdef uint32_t partition_of_id(const uint8_t *id, int size, uint32_t partitions) noexcept nogil:
    cdef uint32_t crc
    if partitions <= 1:
        return 0
    crc = crc32c(0, id, <size_t>size)
    if size < ID_BYTES:
        crc = crc32c(crc, BLANKS, <size_t>(ID_BYTES - size))
    return crc % partitions


def partition_of(str terminal_id not None, uint32_t partitions):
    """The partition of a terminal by its id.

    Raises:
        ValueError: The id is not ASCII or longer than 16 characters, or there are no partitions.
    """
    cdef bytes id = terminal_id.encode("ascii")
    if len(id) > ID_BYTES or partitions == 0:
        raise ValueError(f"terminal {terminal_id!r} of {partitions} partitions: needed at most {ID_BYTES} characters, "
                         "and one partition at least")
    return partition_of_id(id, <int>len(id), partitions)
