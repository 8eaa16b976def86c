"""Card data that no table keeps: blanked in every stored copy of a message; and the one thing that is read of it."""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset
from switch.cursor cimport lowest_bit
from switch.scan cimport read_text
from switch.spec cimport DATA_BINARY, DATA_CODE_PAGE
from switch.transaction cimport PAN_MAX

cdef enum:
    FIELD_PAN = 2
    FIELD_TRACK_2 = 35
    TRACK_ROOM = 64
    PAN_DIGITS_MIN = 8


cdef void blank_sensitive(DialectTables tables, const MessageIndex *message, uint8_t *copy) noexcept nogil:
    cdef int word, field
    cdef uint64_t found
    cdef uint8_t blank
    for word in range(3):
        found = message.present[word] & tables.sensitive[word]
        while found:
            field = word * 64 + lowest_bit(found) + 1
            found &= found - 1
            blank = 0x30
            if tables.spec.fields[field].data_encoding == DATA_BINARY:
                blank = 0
            elif tables.spec.fields[field].data_encoding == DATA_CODE_PAGE:
                blank = tables.spec.fields[field].from_ascii[0x30]
            memset(copy + message.offset[field], blank, message.length[field])


cdef int read_pan(Spec spec, const MessageIndex *message, uint8_t *pan) noexcept nogil:
    cdef uint8_t track[TRACK_ROOM]
    cdef int count = read_text(spec, message, FIELD_PAN, track, TRACK_ROOM)
    cdef int digits = 0
    if count <= 0:
        count = read_text(spec, message, FIELD_TRACK_2, track, TRACK_ROOM)
    while digits < count and 0x30 <= track[digits] <= 0x39:
        digits += 1
    if digits < PAN_DIGITS_MIN or digits > PAN_MAX:
        digits = 0
    memcpy(pan, track, digits)
    memset(track, 0, TRACK_ROOM)
    return digits
