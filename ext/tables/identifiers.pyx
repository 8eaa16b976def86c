"""Identifiers of merchants and terminals: padded with blanks, found by an index, and short texts kept beside them."""

from libc.stdlib cimport malloc, realloc
from libc.string cimport memcpy

cdef enum:
    TEXTS_BYTES_MAX = 1 << 31


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
    cdef uint64_t room = texts.room
    cdef uint8_t *grown
    while room - texts.size < size:
        room = max(<uint64_t>4096, room * 2)
    if room == texts.room:
        return 0
    if room > TEXTS_BYTES_MAX:
        raise MemoryError("names and serial numbers of merchants and terminals are more than 2 GiB")
    grown = <uint8_t *>realloc(texts.data, room)
    if grown == NULL:
        raise MemoryError("no memory for the names")
    texts.data = grown
    texts.room = <uint32_t>room
    return 0


cdef uint32_t keep_text(Texts *texts, bytes text) except? 0:
    cdef uint32_t units, place
    if not text:
        return 0
    units = _units_of(len(text))
    place = texts.freed[units]
    if place:
        memcpy(&texts.freed[units], texts.data + place, sizeof(place))
    else:
        reserve_text(texts, (units + 1) * TEXT_UNIT)
        place = max(texts.size, TEXT_UNIT)    # 0 is nowhere
        texts.size = place + units * TEXT_UNIT
    _write_text(texts, place, text)
    return place


cdef uint32_t replace_text(Texts *texts, uint32_t place, bytes text) except? 0:
    cdef uint32_t units
    if place == 0:
        return keep_text(texts, text)
    units = _units_of(texts.data[place])
    if text and units == _units_of(len(text)):
        _write_text(texts, place, text)
        return place
    memcpy(texts.data + place, &texts.freed[units], sizeof(place))
    texts.freed[units] = place
    return keep_text(texts, text)


cdef inline uint32_t _units_of(uint32_t size) noexcept nogil:
    return size // TEXT_UNIT + 1


cdef void _write_text(Texts *texts, uint32_t place, bytes text) noexcept:
    texts.data[place] = <uint8_t>len(text)
    memcpy(texts.data + place + 1, <const char *>text, len(text))
