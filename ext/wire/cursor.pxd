"""The bounded cursor, by which a message is taken apart and composed.

A reader knows how many bytes are left and refuses to move past them; a writer knows how much room is left. Both
return 0 when well and -1 at the limit, and never move in that case, so a caller can report where it stood. What they
gave is then read where it lies, within its size; and fields of a scanned message by the offsets that the scan noted.
Frames (``switch.wire.framing``) and values (``switch.wire.transcode``) look after their own bounds.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy


cdef struct Reader:
    const uint8_t *start    # of the whole buffer: positions in errors count from here
    const uint8_t *at
    size_t left


cdef struct Writer:
    uint8_t *start
    uint8_t *at
    size_t left


cdef inline void reader_over(Reader *reader, const uint8_t *data, size_t size) noexcept nogil:
    reader.start = data
    reader.at = data
    reader.left = size


cdef inline size_t reader_position(const Reader *reader) noexcept nogil:
    return <size_t>(reader.at - reader.start)


cdef inline int reader_take(Reader *reader, size_t count, const uint8_t **taken) noexcept nogil:
    """Step over ``count`` bytes and give where they begin; -1 when fewer are left."""
    if count > reader.left:
        return -1
    taken[0] = reader.at
    reader.at += count
    reader.left -= count
    return 0


cdef inline void writer_over(Writer *writer, uint8_t *data, size_t room) noexcept nogil:
    writer.start = data
    writer.at = data
    writer.left = room


cdef inline size_t writer_size(const Writer *writer) noexcept nogil:
    return <size_t>(writer.at - writer.start)


cdef inline int writer_reserve(Writer *writer, size_t count, uint8_t **reserved) noexcept nogil:
    """Set ``count`` bytes aside for the caller to fill; -1 when there is less room."""
    if count > writer.left:
        return -1
    reserved[0] = writer.at
    writer.at += count
    writer.left -= count
    return 0


cdef extern from *:
    """
    #if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    #define BIG_ENDIAN_16(value) __builtin_bswap16(value)
    #define BIG_ENDIAN_32(value) __builtin_bswap32(value)
    #define BIG_ENDIAN_64(value) __builtin_bswap64(value)
    #else
    #define BIG_ENDIAN_16(value) (value)
    #define BIG_ENDIAN_32(value) (value)
    #define BIG_ENDIAN_64(value) (value)
    #endif
    """
    uint16_t BIG_ENDIAN_16(uint16_t value) noexcept nogil
    uint32_t BIG_ENDIAN_32(uint32_t value) noexcept nogil
    uint64_t BIG_ENDIAN_64(uint64_t value) noexcept nogil


cdef inline uint32_t load_be16(const uint8_t *at) noexcept nogil:
    cdef uint16_t value
    memcpy(&value, at, 2)
    return BIG_ENDIAN_16(value)


cdef inline uint32_t load_be32(const uint8_t *at) noexcept nogil:
    cdef uint32_t value
    memcpy(&value, at, 4)
    return BIG_ENDIAN_32(value)


cdef inline uint64_t load_be64(const uint8_t *at) noexcept nogil:
    cdef uint64_t value
    memcpy(&value, at, 8)
    return BIG_ENDIAN_64(value)


cdef inline void store_be32(uint8_t *at, uint32_t value) noexcept nogil:
    value = BIG_ENDIAN_32(value)
    memcpy(at, &value, 4)


cdef inline void store_be64(uint8_t *at, uint64_t value) noexcept nogil:
    value = BIG_ENDIAN_64(value)
    memcpy(at, &value, 8)


cdef extern from *:
    # Position of the lowest bit that is set; undefined for 0.
    int lowest_bit "__builtin_ctzll"(unsigned long long bits) noexcept nogil
