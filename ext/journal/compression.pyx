"""Compression of the journal's batches, in LZ4's block format.

A block is a row of sequences: a byte with the length of the literals (high half) and of the match less 4 (low half),
where 15 goes on in further bytes, each of 255 but the last; the literals; how far back the match begins (two bytes,
little-endian). The last sequence has literals only, at least five of them.
"""

from libc.stdint cimport uint64_t
from libc.string cimport memcpy, memset

cdef enum:
    MATCH_MIN = 4
    LENGTH_GOES_ON = 15
    DISTANCE_MAX = 65535
    LITERALS_LAST = 5         # of every block
    MATCH_ENDS = 12           # no match begins in the last so many bytes
    SKIP_SHIFT = 6            # the longer nothing is found, the wider the steps

cdef extern from *:
    int equal_bytes "__builtin_ctzll"(unsigned long long difference) noexcept nogil


cdef inline uint32_t load32(const uint8_t *at) noexcept nogil:
    cdef uint32_t word
    memcpy(&word, at, sizeof(word))
    return word


cdef inline uint32_t common(const uint8_t *a, const uint8_t *b, uint32_t most) noexcept nogil:
    """How many bytes are alike from here on, at most ``most``."""
    cdef uint32_t count = 0
    cdef unsigned long long left, right
    while count + 8 <= most:
        memcpy(&left, a + count, 8)
        memcpy(&right, b + count, 8)
        if left != right:
            return count + (equal_bytes(left ^ right) >> 3)
        count += 8
    while count < most and a[count] == b[count]:
        count += 1
    return count


cdef inline uint8_t *put_length(uint8_t *out, uint32_t length) noexcept nogil:
    length -= LENGTH_GOES_ON
    while length >= 255:
        out[0] = 255
        out += 1
        length -= 255
    out[0] = <uint8_t>length
    return out + 1


cdef uint8_t *put_sequence(uint8_t *out, const uint8_t *end, const uint8_t *literals, uint32_t count, uint32_t distance,
                           uint32_t length) noexcept nogil:
    """Write one sequence; ``distance`` is 0 for the last. The end of it, or NULL when it does not fit."""
    cdef uint8_t *token = out
    cdef uint32_t rest = length - MATCH_MIN if distance else 0
    if <uint64_t>(end - out) < <uint64_t>count + count // 255 + rest // 255 + 8:
        return NULL
    token[0] = <uint8_t>(min(count, <uint32_t>LENGTH_GOES_ON) << 4 | min(rest, <uint32_t>LENGTH_GOES_ON))
    out += 1
    if count >= LENGTH_GOES_ON:
        out = put_length(out, count)
    memcpy(out, literals, count)
    out += count
    if distance:
        out[0] = <uint8_t>distance
        out[1] = <uint8_t>(distance >> 8)
        out += 2
        if rest >= LENGTH_GOES_ON:
            out = put_length(out, rest)
    return out


cdef uint32_t pack(const uint8_t *data, uint32_t size, uint8_t *out, uint32_t room, uint32_t *slots) noexcept nogil:
    cdef const uint8_t *end = out + room
    cdef uint8_t *start = out
    cdef uint32_t at = 0
    cdef uint32_t anchor = 0          # what lies behind it is written
    cdef uint32_t sequence, slot, match, length
    memset(slots, 0, PACKING_SLOTS * sizeof(uint32_t))
    while size > MATCH_ENDS and at < size - MATCH_ENDS:
        sequence = load32(data + at)
        slot = (sequence * <uint32_t>2654435761) >> (32 - PACKING_BITS)
        match = slots[slot]           # its place and one; 0: none
        slots[slot] = at + 1
        if match == 0 or at + 1 - match > DISTANCE_MAX or load32(data + match - 1) != sequence:
            at += 1 + ((at - anchor) >> SKIP_SHIFT)
            continue
        match -= 1
        while at > anchor and match > 0 and data[at - 1] == data[match - 1]:
            at -= 1
            match -= 1
        length = MATCH_MIN + common(data + at + MATCH_MIN, data + match + MATCH_MIN,
                                    size - LITERALS_LAST - at - MATCH_MIN)
        out = put_sequence(out, end, data + anchor, at - anchor, at - match, length)
        if out == NULL:
            return 0
        at += length
        anchor = at
    out = put_sequence(out, end, data + anchor, size - anchor, 0, 0)
    return 0 if out == NULL else <uint32_t>(out - start)


cdef int take_length(const uint8_t **at, const uint8_t *end, uint32_t *length) noexcept nogil:
    cdef uint8_t byte = 255
    while byte == 255:
        if at[0] == end or length[0] > <uint32_t>0x7FFFFFFF:
            return -1
        byte = at[0][0]
        at[0] += 1
        length[0] += byte
    return 0


cdef int unpack(const uint8_t *packed, uint32_t size, uint8_t *out, uint32_t out_size) noexcept nogil:
    cdef const uint8_t *at = packed
    cdef const uint8_t *end = packed + size
    cdef uint32_t done = 0
    cdef uint32_t count, length, distance, i
    cdef uint8_t token
    while at < end:
        token = at[0]
        at += 1
        count = token >> 4
        if count == LENGTH_GOES_ON and take_length(&at, end, &count) != 0:
            return -1
        if <uint64_t>(end - at) < count or out_size - done < count:
            return -1
        memcpy(out + done, at, count)
        at += count
        done += count
        if at == end:
            break
        if end - at < 2:
            return -1
        distance = at[0] | <uint32_t>at[1] << 8
        at += 2
        length = token & LENGTH_GOES_ON
        if length == LENGTH_GOES_ON and take_length(&at, end, &length) != 0:
            return -1
        length += MATCH_MIN
        if distance == 0 or distance > done or out_size - done < length:
            return -1
        if distance >= length:
            memcpy(out + done, out + done - distance, length)
        else:
            for i in range(length):
                out[done + i] = out[done - distance + i]
        done += length
    return 0 if done == out_size else -1


def packed(bytes data not None):
    """The block of some bytes; None when it would be no shorter."""
    cdef uint32_t slots[PACKING_SLOTS]
    cdef bytearray out = bytearray(max(len(data) - 1, 1))
    cdef uint8_t *start = <uint8_t *><char *>out
    cdef const uint8_t *source = data
    cdef uint32_t size = pack(source, <uint32_t>len(data), start, <uint32_t>len(out), slots)
    return bytes(out[:size]) if size else None


def unpacked(bytes block not None, uint32_t size):
    """What a block holds.

    Raises:
        ValueError: it is no block of so many bytes.
    """
    cdef bytearray out = bytearray(size + 1)
    cdef uint8_t *start = <uint8_t *><char *>out
    cdef const uint8_t *source = block
    if unpack(source, <uint32_t>len(block), start, size) != 0:
        raise ValueError(f"this is no block of {size} bytes")
    return bytes(out[:size])
