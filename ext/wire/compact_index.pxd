"""The index of a message, kept small while an issuer is asked: only the fields that are there.

A request is read once. Its index has room for every field that there may be; what waits for an issuer is kept by the
thousand, so it keeps one entry for each field that the message really has.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from switch.wire.cursor cimport lowest_bit
from switch.wire.scan cimport MessageIndex
from switch.wire.spec cimport FIELD_HEADER, Spec

cdef struct FieldPlace:
    uint32_t offset
    uint32_t length
    uint16_t count
    uint16_t field            # FIELD_HEADER, or 2 to 192

cdef extern from *:
    int count_bits "__builtin_popcountll"(unsigned long long bits) noexcept nogil


cdef inline uint32_t places_of(const MessageIndex *index, const uint64_t *unkept) noexcept nogil:
    """How many entries an index takes without the fields of a set."""
    cdef uint32_t count = <uint32_t>count_bits(index.present[0] & ~unkept[0]) + (index.length[<int>FIELD_HEADER] > 0)
    if index.present[1] | index.present[2]:         # counting is a call, where the processor need not know how
        count += <uint32_t>count_bits(index.present[1] & ~unkept[1])
        count += <uint32_t>count_bits(index.present[2] & ~unkept[2])
    return count


cdef inline void keep_places(Spec spec, const MessageIndex *index, const uint64_t *unkept,
                             FieldPlace *places) noexcept nogil:
    """Write the entries of an index, for a copy of its message without the fields of a set (see ``kept_copy``): as many
    as ``places_of`` says."""
    cdef FieldPlace *end = places
    cdef int word, field
    cdef uint64_t left
    if index.length[<int>FIELD_HEADER] > 0:
        keep_place(index, FIELD_HEADER, end)
        end += 1
    for word in range(3):
        left = index.present[word] & ~unkept[word]
        while left:
            field = word * 64 + lowest_bit(left) + 1
            left &= left - 1
            keep_place(index, field, end)
            end += 1
    for word in range(3):
        left = index.present[word] & unkept[word]
        while left:
            field = word * 64 + lowest_bit(left) + 1
            left &= left - 1
            move_places(places, end, field, spec.fields[field].length_width + index.length[field])


cdef inline void move_places(const FieldPlace *places, FieldPlace *end, uint16_t field, uint32_t size) noexcept nogil:
    """All that stands behind a field is nearer to the start by its size when it is gone."""
    while end != places and (end - 1).field > field:
        end -= 1
        end.offset -= size


cdef inline void keep_place(const MessageIndex *index, int field, FieldPlace *place) noexcept nogil:
    place.offset = index.offset[field]
    place.length = index.length[field]
    place.count = index.count[field]
    place.field = <uint16_t>field


cdef inline void recall_places(const FieldPlace *places, uint32_t count, MessageIndex *index) noexcept nogil:
    """Fill an index from its entries; message, size and MTI are the caller's to set."""
    cdef uint32_t i
    cdef uint32_t field
    index.present[0] = index.present[1] = index.present[2] = 0
    index.length[<int>FIELD_HEADER] = 0
    for i in range(count):
        field = places[i].field
        index.offset[field] = places[i].offset
        index.length[field] = places[i].length
        index.count[field] = places[i].count
        if field != FIELD_HEADER:
            index.present[(field - 1) >> 6] |= <uint64_t>1 << ((field - 1) & 63)
