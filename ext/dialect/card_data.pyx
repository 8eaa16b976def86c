"""Card data that no table keeps, and the one thing that is read of it."""

from libc.string cimport memcpy, memset
from switch.wire.fields cimport FIELD_CHIP_DATA, FIELD_PAN, FIELD_TRACK_2, PAN_MAX
from switch.wire.hexadecimal cimport read_hex
from switch.wire.scan cimport has_field, read_text
from switch.wire.spec cimport CONTENT_N, DATA_BINARY

cdef enum:
    CHIP_DATA_ROOM = 256      # bytes; what is longer is not looked at
    TRACK_ROOM = 64
    PAN_DIGITS_MIN = 8


cdef int read_pan(Spec spec, const MessageIndex *message, uint8_t *pan) noexcept nogil:
    cdef uint8_t track[TRACK_ROOM]
    cdef int count = read_text(spec, message, FIELD_PAN, track, TRACK_ROOM)
    cdef int digits = 0
    if count <= 0:
        count = read_text(spec, message, FIELD_TRACK_2, track, TRACK_ROOM)
    elif spec.fields[<int>FIELD_PAN].content == CONTENT_N:
        digits = count                    # as the scan has seen
    while digits < count and 0x30 <= track[digits] <= 0x39:
        digits += 1
    if digits < PAN_DIGITS_MIN or digits > PAN_MAX:
        digits = 0
    memcpy(pan, track, digits)
    memset(track, 0, TRACK_ROOM)
    return digits


cdef bint _is_answer_tag(uint32_t tag) noexcept nogil:
    """Whether a data object is one with which an issuer answers a chip, and holds nothing of the card: its code (8A),
    its approval code (89), its authentication data (91), a counter (9F36). Scripts may hold a PIN."""
    return tag in (0x89, 0x8A, 0x91, 0x9F36)


cdef bint is_chip_answer(const uint8_t *data, uint32_t size) noexcept nogil:
    cdef uint32_t at = 0
    cdef uint32_t tag
    while at < size:
        tag = data[at]
        at += 1
        if tag & 0x1F == 0x1F:
            if at == size:
                return False
            tag = tag << 8 | data[at]
            at += 1
        # A length above 127 is written otherwise, and no object of an answer has one.
        if not _is_answer_tag(tag) or at == size or data[at] > 0x7F or data[at] > size - at - 1:
            return False
        at += 1 + data[at]
    return True


cdef bint _answers_a_chip(DialectTables tables, const MessageIndex *answer) noexcept nogil:
    """Whether field 55 of an answer has nothing in it but what the issuer says to the chip."""
    cdef uint8_t digits[2 * CHIP_DATA_ROOM]
    cdef uint8_t binary[CHIP_DATA_ROOM]
    cdef const uint8_t *data = answer.data + answer.offset[<int>FIELD_CHIP_DATA]
    cdef const uint8_t *to_ascii = tables.spec.fields[<int>FIELD_CHIP_DATA].to_ascii
    cdef uint32_t size = answer.length[<int>FIELD_CHIP_DATA]
    cdef uint32_t i
    if tables.spec.fields[<int>FIELD_CHIP_DATA].data_encoding == DATA_BINARY:
        return is_chip_answer(data, size)
    if size > 2 * CHIP_DATA_ROOM or size & 1:
        return False
    for i in range(size):
        digits[i] = data[i] if to_ascii == NULL else to_ascii[data[i]]
    return read_hex(digits, size // 2, binary) == 0 and is_chip_answer(binary, size // 2)


cdef void unkept_of_answer(DialectTables tables, const MessageIndex *answer, const uint64_t *unkept,
                           uint64_t *gone) noexcept nogil:
    memcpy(gone, unkept, 3 * sizeof(uint64_t))
    if has_field(answer, FIELD_CHIP_DATA) and _answers_a_chip(tables, answer):
        gone[0] &= ~(<uint64_t>1 << (FIELD_CHIP_DATA - 1))
