"""Identifiers of merchants and terminals, the index by which they are found, and short texts."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cdef enum:
    TERMINAL_ID_MAX = 8       # field 41
    MERCHANT_ID_MAX = 15      # field 42
    TERMINAL_NONE = 0xFFFFFFFF
    TEXT_UNIT = 8             # bytes of which the place of a text has so many as it needs
    TEXT_UNITS_MAX = 32       # of 255 bytes and their length

cdef struct Slot:             # of an index by identifier
    uint64_t key              # terminals: the blank-padded identifier itself; merchants: a hash of it
    uint32_t index            # TERMINAL_NONE: empty

cdef struct Index:            # open addressing, at most half full
    Slot *slots
    uint64_t mask

cdef struct Texts:            # short texts, each behind its length in one byte, in places of some units
    uint8_t *data
    uint32_t size
    uint32_t room
    uint32_t freed[TEXT_UNITS_MAX + 1]   # by units: a place that nothing uses, which begins with the next one; 0: none


cdef inline uint64_t spread(uint64_t key) noexcept nogil:
    """Mix all bits of a key into all bits of where its search begins."""
    key ^= key >> 32
    key *= <uint64_t>0xD6E8FEB86659FD93
    key ^= key >> 32
    key *= <uint64_t>0xD6E8FEB86659FD93
    return key ^ (key >> 32)


cdef inline int padded(const uint8_t *id, int size, uint8_t *out, int width) noexcept nogil:
    """The identifier padded with blanks to ``width``; -1 when it is longer, trailing blanks aside."""
    while size > 0 and id[size - 1] == c' ':
        size -= 1
    if size > width or size <= 0:
        return -1
    memset(out, c' ', width)
    memcpy(out, id, size)
    return 0


cdef uint64_t terminal_key(const uint8_t *id) noexcept nogil
cdef uint64_t merchant_key(const uint8_t *id) noexcept nogil
"""What an index has of an identifier that is padded with blanks."""

cdef int index_make(Index *index, uint64_t count) except -1
"""Room for ``count`` entries, at most half full."""

cdef void index_put(Index *index, uint64_t key, uint32_t entry) noexcept nogil

cdef int reserve_text(Texts *texts, uint32_t size) except -1
"""Room for so many bytes more."""

cdef uint32_t keep_text(Texts *texts, bytes text) except? 0
"""Where a copy of the text begins; 0 for an empty one."""

cdef uint32_t replace_text(Texts *texts, uint32_t place, bytes text) except? 0
"""Where a copy of the text begins that stands for the one at ``place`` from now on, whose bytes may be used anew."""
