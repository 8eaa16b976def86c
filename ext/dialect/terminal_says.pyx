"""Where a terminal's message says which machine it is, and where it is: at fixed places, or as tags in each other."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcmp, memcpy
from switch.wire.scan cimport MessageIndex, read_text
from switch.wire.spec cimport Spec

cdef enum:
    DECIMALS = 6              # that count


cdef int fill_place(SaidPlace *place, tuple arguments) except -1:
    cdef bytes text
    field, start, size, tags, tag_size, length_digits = arguments
    if len(tags) > SAID_TAGS_MAX or tag_size > SAID_TAG_MAX:
        raise ValueError(f"at most {<int>SAID_TAGS_MAX} tags of at most {<int>SAID_TAG_MAX} characters")
    place.field = field
    place.start = start
    place.size = size
    place.tag_count = len(tags)
    place.tag_size = tag_size
    place.length_digits = length_digits
    for number, tag in enumerate(tags):
        text = tag.encode("ascii")
        if len(text) != tag_size:
            raise ValueError(f"tag {tag!r} does not have {tag_size} characters")
        memcpy(place.tags[<int>number], <const char *>text, tag_size)
    return 0


cdef class TerminalSays:
    """See the type stub."""

    def __init__(self, kinds, serial_number, position):
        for kind in kinds:
            self.kinds |= <uint64_t>1 << <int>kind
        fill_place(&self.serial_number, serial_number)
        fill_place(&self.position, position)

    cdef int read(self, const SaidPlace *place, Spec spec, const MessageIndex *message, uint8_t *out,
                  int room) noexcept nogil:
        cdef uint8_t text[SAID_MAX]
        cdef int begin = place.start
        cdef int end, level
        if place.field == 0:
            return 0
        end = read_text(spec, message, place.field, text, SAID_MAX)
        if end < begin + place.size:
            return 0
        if place.size:
            end = begin + place.size
        for level in range(place.tag_count):
            if not _enter(place, level, text, &begin, &end):
                return 0
        while begin < end and text[begin] == c' ':
            begin += 1
        while begin < end and text[end - 1] == c' ':
            end -= 1
        if end - begin > room:
            return 0
        memcpy(out, text + begin, end - begin)
        return end - begin


cdef bint _enter(const SaidPlace *place, int level, const uint8_t *text, int *begin, int *end) noexcept nogil:
    """Narrow a stretch down to the value of one tag in it; false where it is not there, or a length leads outside."""
    cdef int at = begin[0]
    cdef int head = place.tag_size + place.length_digits
    cdef int digit, size
    while end[0] - at >= head:
        size = 0
        for digit in range(place.length_digits):
            if not c'0' <= text[at + place.tag_size + digit] <= c'9':
                return False
            size = 10 * size + text[at + place.tag_size + digit] - c'0'
        if size > end[0] - at - head:
            return False
        if memcmp(text + at, place.tags[level], place.tag_size) == 0:
            begin[0] = at + head
            end[0] = at + head + size
            return True
        at += head + size
    return False


cdef bint read_position(const uint8_t *text, int size, int32_t *latitude, int32_t *longitude) noexcept nogil:
    cdef int at = 0
    if not _degrees(text, size, &at, 90, latitude):
        return False
    if at < size and (text[at] == c',' or text[at] == c' '):
        at += 1
        while at < size and text[at] == c' ':
            at += 1
    elif at < size and text[at] != c'+' and text[at] != c'-':
        return False
    if not _degrees(text, size, &at, 180, longitude):
        return False
    if at < size and text[at] == c'/':
        at += 1
    return at == size


cdef bint _degrees(const uint8_t *text, int size, int *at, int most, int32_t *value) noexcept nogil:
    """One decimal number of degrees; what stands behind the sixth decimal does not count."""
    cdef int64_t whole = 0
    cdef int digits = 0
    cdef int decimals = 0
    cdef int negative = 0
    if at[0] < size and (text[at[0]] == c'+' or text[at[0]] == c'-'):
        negative = text[at[0]] == c'-'
        at[0] += 1
    while at[0] < size and c'0' <= text[at[0]] <= c'9' and digits < 4:
        whole = 10 * whole + text[at[0]] - c'0'
        digits += 1
        at[0] += 1
    if digits == 0:
        return False
    if at[0] < size and text[at[0]] == c'.':
        at[0] += 1
        while at[0] < size and c'0' <= text[at[0]] <= c'9':
            if decimals < DECIMALS:
                whole = 10 * whole + text[at[0]] - c'0'
                decimals += 1
            at[0] += 1
    while decimals < DECIMALS:
        whole *= 10
        decimals += 1
    if whole > <int64_t>most * DEGREE:
        return False
    value[0] = <int32_t>(-whole if negative else whole)
    return True


def position_of(str text):
    cdef bytes data = text.encode()
    cdef int32_t latitude, longitude
    if not read_position(<const uint8_t *><const char *>data, <int>len(data), &latitude, &longitude):
        return None
    return latitude, longitude
