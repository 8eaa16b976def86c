"""Identifiers of merchants and terminals: padded with blanks, found by an index, and short texts kept beside them."""

from libc.stdlib cimport malloc, realloc
from libc.string cimport memcpy


cdef uint64_t terminal_key(const uint8_t *id) noexcept nogil:
    cdef uint64_t key
    memcpy(&key, id, TERMINAL_ID_MAX)
    return key


cdef uint64_t merchant_key(const uint8_t *id) noexcept nogil:
    cdef uint64_t halves[2]
    memcpy(halves, id, MERCHANT_ID_MAX + 1)
    return spread(halves[0]) ^ (spread(halves[1] ^ <uint64_t>0x9E3779B97F4A7C15) << 1)


cdef int index_make(Index *index, uint64_t count) except -1:
    cdef uint64_t slots = 16, slot
    while slots < 2 * count:
        slots *= 2
    index.slots = <Slot *>malloc(slots * sizeof(Slot))
    if index.slots == NULL:
        raise MemoryError("no memory for an index")
    for slot in range(slots):
        index.slots[slot].key = 0
        index.slots[slot].index = TERMINAL_NONE
    index.mask = slots - 1
    return 0


cdef void index_put(Index *index, uint64_t key, uint32_t entry) noexcept nogil:
    cdef uint64_t slot = spread(key) & index.mask
    while index.slots[slot].index != <uint32_t>TERMINAL_NONE:
        slot = (slot + 1) & index.mask
    index.slots[slot].key = key
    index.slots[slot].index = entry


cdef int reserve_text(Texts *texts, uint32_t size) except -1:
    cdef uint32_t room = texts.room
    cdef uint8_t *grown
    while room - texts.size < size:
        room = max(4096, room * 2)
    if room == texts.room:
        return 0
    grown = <uint8_t *>realloc(texts.data, room)
    if grown == NULL:
        raise MemoryError("no memory for the names")
    texts.data = grown
    texts.room = room
    return 0


cdef uint32_t keep_text(Texts *texts, bytes text) except? 0:
    cdef uint32_t place
    if not text:
        return 0
    reserve_text(texts, 2 + len(text))
    place = max(texts.size, 1)
    texts.data[place] = len(text)
    memcpy(texts.data + place + 1, <const char *>text, len(text))
    texts.size = place + 1 + len(text)
    return place
