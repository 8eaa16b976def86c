"""Content classes, byte by byte: by table for code pages, and to find the first wrong byte."""

from __future__ import annotations

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset
from switch.wire.spec cimport (
    CONTENT_A, CONTENT_AN, CONTENT_ANS, CONTENT_ANY, CONTENT_HEX, CONTENT_N, CONTENT_XN, CONTENT_Z, DATA_BINARY,
    PAD_LEFT, PAD_RIGHT, FieldSpec,
)

# One bit for each class in each entry, by ASCII character.
cdef uint8_t CLASS_BITS[256]


cdef int _fill_class_bits() except -1:
    cdef int byte
    for byte in range(256):
        CLASS_BITS[byte] = 1 << CONTENT_ANY
    for content, characters in (
        (CONTENT_N, "0123456789"),
        (CONTENT_A, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz "),
        (CONTENT_AN, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 "),
        (CONTENT_ANS, "".join(map(chr, range(0x20, 0x7F)))),
        (CONTENT_Z, "0123456789=DF"),
        (CONTENT_HEX, "0123456789ABCDEFabcdef"),
    ):
        for character in characters:
            CLASS_BITS[ord(character)] |= <uint8_t>(1 << content)
    return 0


_fill_class_bits()


cdef bint page_agrees(const FieldSpec *spec, const uint8_t *data, uint32_t size) noexcept nogil:
    cdef uint8_t bits = 0xFF
    cdef uint32_t i
    for i in range(size):
        bits &= CLASS_BITS[spec.to_ascii[data[i]]]
    return (bits >> spec.content) & 1


cdef int _wrong_text(const FieldSpec *spec, const uint8_t *data, uint32_t size) noexcept nogil:
    """Offset of the first byte outside the field's class; -1 when all are inside."""
    cdef uint32_t i
    cdef uint32_t first = 0
    cdef int content = spec.content
    if content == CONTENT_XN:
        if ascii_at(spec, data) != 0x43 and ascii_at(spec, data) != 0x44:
            return 0
        content = CONTENT_N
        first = 1
    for i in range(first, size):
        if not CLASS_BITS[ascii_at(spec, data + i)] & (1 << content):
            return <int>i
    return -1


cdef int _wrong_nibbles(const FieldSpec *spec, const uint8_t *data, uint32_t size, int pad) noexcept nogil:
    """The same for packed nibbles, the pad left out."""
    cdef uint32_t i = 1 if pad == PAD_LEFT else 0
    cdef uint32_t end = 2 * size - 1 if pad == PAD_RIGHT else 2 * size
    cdef uint8_t nibble
    cdef int content = spec.content
    if content == CONTENT_XN:
        if spec.counts_nibbles:
            nibble = nibble_at(data, i)
            if nibble != 0xC and nibble != 0xD:
                return 0
            i += 1
        else:
            if data[0] != 0x43 and data[0] != 0x44:
                return 0
            i = 2
        content = CONTENT_N
    while i < end:
        nibble = nibble_at(data, i)
        if nibble > 9 and (content == CONTENT_N or (nibble != 0xD and nibble != 0xF)):
            return <int>(i >> 1)
        i += 1
    return -1


cdef int wrong_content(const FieldSpec *spec, const uint8_t *data, uint32_t size, uint32_t count) noexcept nogil:
    cdef int pad
    if size == 0:
        return -1
    if spec.data_encoding != DATA_BINARY:
        return _wrong_text(spec, data, size)
    pad = pad_of(spec, data, size, count)
    if pad < 0:
        return <int>size - 1 if spec.pad_side == PAD_RIGHT else 0
    if spec.content == CONTENT_ANY or spec.content == CONTENT_HEX:
        return -1
    return _wrong_nibbles(spec, data, size, pad)


cdef uint32_t wrong_character(const FieldSpec *spec, const uint8_t *data, uint32_t size, uint32_t count,
                              int wrong) noexcept nogil:
    cdef uint32_t character
    cdef uint8_t bits
    if spec.data_encoding == DATA_BINARY:
        if pad_of(spec, data, size, count) < 0:
            return CHARACTER_PAD
        # Of digits only a nibble above 9 is wrong; of a sign so may be a digit.
        return CHARACTER_DIGIT if nibble_at(data + wrong, 0) <= 9 and nibble_at(data + wrong, 1) <= 9 \
            else CHARACTER_NIBBLE
    character = ascii_at(spec, data + wrong)
    bits = CLASS_BITS[character]
    if character >= 0x80:
        return CHARACTER_BEYOND | <uint32_t>data[wrong] << CHARACTER_VALUE_SHIFT
    if not bits & (1 << CONTENT_ANS):
        return CHARACTER_CONTROL | <uint32_t>data[wrong] << CHARACTER_VALUE_SHIFT
    if character == 0x20:
        return CHARACTER_BLANK
    if bits & (1 << CONTENT_N):
        return CHARACTER_DIGIT
    return CHARACTER_LETTER if bits & (1 << CONTENT_A) else CHARACTER_PUNCTUATION


cdef bint text_fits(const FieldSpec *spec, const uint8_t *text, uint32_t count) noexcept nogil:
    cdef FieldSpec as_ascii
    memset(&as_ascii, 0, sizeof(as_ascii))
    as_ascii.content = <uint8_t>CONTENT_HEX if spec.data_encoding == DATA_BINARY else spec.content
    return count == 0 or _wrong_text(&as_ascii, text, count) < 0
