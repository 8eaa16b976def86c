"""Content classes (ISO 8583-1, clause 4.2: n, a, an, ans, z, x+n): what the bytes of a field may be.

Sixteen bytes are checked at a time, in a vector, or eight in a 64-bit word: every byte is compared with a range at
once, without branches. The functions are here, and not in the module, so that the scan has them inline.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy
from switch.wire.spec cimport (
    CHECK_ASCII_A, CHECK_ASCII_AN, CHECK_ASCII_ANS, CHECK_ASCII_HEX, CHECK_ASCII_N, CHECK_ASCII_Z, CHECK_BCD,
    CHECK_CODE_PAGE, CHECK_EBCDIC_N, CHECK_NOTHING, CHECK_PAD, CHECK_THOROUGHLY, CONTENT_A, CONTENT_AN, CONTENT_ANS,
    CONTENT_HEX, CONTENT_N, CONTENT_Z, PAD_LEFT, PAD_NIBBLE_NONE, PAD_NONE, PAD_RIGHT, FieldSpec,
)

cdef enum Character:          # what stands where it must not; ``switch.wire.faults.CHARACTERS`` words it
    CHARACTER_OTHER
    CHARACTER_DIGIT
    CHARACTER_LETTER
    CHARACTER_BLANK
    CHARACTER_PUNCTUATION
    CHARACTER_CONTROL
    CHARACTER_BEYOND          # ASCII
    CHARACTER_NIBBLE          # packed, above 9
    CHARACTER_PAD             # a pad nibble other than the specification's
    CHARACTER_VALUE_SHIFT = 8

cdef extern from *:
    """
    #define EACH 0x0101010101010101ULL    /* a byte times this stands in every byte of a word */
    #define HIGH 0x8080808080808080ULL
    #define LOW 0x7F7F7F7F7F7F7F7FULL
    """
    const uint64_t EACH
    const uint64_t HIGH
    const uint64_t LOW


cdef bint page_agrees(const FieldSpec *spec, const uint8_t *data, uint32_t size) noexcept nogil
"""Whether bytes of a code page belong to the field's class."""

cdef int wrong_content(const FieldSpec *spec, const uint8_t *data, uint32_t size, uint32_t count) noexcept nogil
"""Offset of the first byte that a field must not hold; -1 when there is none. Thorough, for what is seldom."""

cdef uint32_t wrong_character(const FieldSpec *spec, const uint8_t *data, uint32_t size, uint32_t count,
                              int wrong) noexcept nogil
"""The sort of the character at the offset that ``wrong_content`` gave: a ``Character``, and from bit 8 on its value
where that may be told."""

cdef bint text_fits(const FieldSpec *spec, const uint8_t *text, uint32_t count) noexcept nogil
"""Whether ASCII characters may stand in a field, as far as its encoding and its class say."""


cdef inline uint8_t ascii_at(const FieldSpec *spec, const uint8_t *data) noexcept nogil:
    return spec.to_ascii[data[0]] if spec.to_ascii != NULL else data[0]


cdef inline uint8_t nibble_at(const uint8_t *data, uint32_t index) noexcept nogil:
    return data[index >> 1] & 0xF if index & 1 else data[index >> 1] >> 4


cdef inline int pad_of(const FieldSpec *spec, const uint8_t *data, uint32_t size, uint32_t count) noexcept nogil:
    """Side of the pad nibble in a binary field (``PadSide``); -1 when it should be there and is not."""
    if not spec.counts_nibbles or not count & 1:
        return PAD_NONE
    if spec.pad_side == PAD_LEFT and data[0] >> 4 == spec.pad_nibble:
        return PAD_LEFT
    if spec.pad_side == PAD_RIGHT and data[size - 1] & 0xF == spec.pad_nibble:
        return PAD_RIGHT
    if spec.right_pad_nibble != PAD_NIBBLE_NONE and data[size - 1] & 0xF == spec.right_pad_nibble:
        return PAD_RIGHT
    return -1


cdef inline uint64_t bytes_in_range(uint64_t word, uint8_t lowest, uint8_t highest) noexcept nogil:
    """0x80 in each byte whose value lies in a range of ASCII characters."""
    return ((word | HIGH) - EACH * lowest) & ~((word & LOW) + EACH * <uint8_t>(0x7F - highest)) & ~word & HIGH


cdef inline uint64_t outside_class(uint64_t word, int content) noexcept nogil:
    """Not 0 when a byte of the word is no ASCII character of the class."""
    cdef uint64_t folded = word | (EACH * 0x20)
    if content == CONTENT_N:
        return ((word & (EACH * 0xF0)) | ((word + EACH * 6) & (EACH * 0xF0)) >> 4) ^ (EACH * 0x33)
    if content == CONTENT_ANS:
        return bytes_in_range(word, 0x20, 0x7E) ^ HIGH
    if content == CONTENT_AN:
        return (
            bytes_in_range(word, 0x30, 0x39) | bytes_in_range(folded, 0x61, 0x7A) | bytes_in_range(word, 0x20, 0x20)
        ) ^ HIGH
    if content == CONTENT_A:
        return (bytes_in_range(folded, 0x61, 0x7A) | bytes_in_range(word, 0x20, 0x20)) ^ HIGH
    if content == CONTENT_Z:      # 'D' and 'F' differ in one bit
        return (
            bytes_in_range(word, 0x30, 0x39)
            | bytes_in_range(word, 0x3D, 0x3D)
            | bytes_in_range(word & (EACH * 0xFD), 0x44, 0x44)
        ) ^ HIGH
    return (bytes_in_range(word, 0x30, 0x39) | bytes_in_range(folded, 0x61, 0x66)) ^ HIGH


cdef inline uint64_t outside_nibbles(uint64_t word, int content) noexcept nogil:
    """Not 0 when a nibble of the word is none of the class: digits, and 0xD and 0xF for track 2."""
    cdef uint64_t above_nine = (word >> 3) & ((word >> 2) | (word >> 1))
    if content == CONTENT_Z:
        above_nine &= ~((word >> 2) & word)
    return above_nine & (EACH * 0x11)


cdef inline uint64_t load_up_to_8(const uint8_t *at, uint32_t size) noexcept nogil:
    """Up to eight bytes as a word, in no particular order: the last bytes are repeated to fill it."""
    cdef uint64_t word = 0
    cdef uint32_t half
    cdef uint16_t quarter
    if size >= 8:
        memcpy(&word, at, 8)
    elif size >= 4:
        memcpy(&half, at + size - 4, 4)
        memcpy(&word, at, 4)
        word |= <uint64_t>half << 32
    elif size >= 2:
        memcpy(&quarter, at + size - 2, 2)
        memcpy(&word, at, 2)
        word |= <uint64_t>quarter << 16
        word |= word << 32
    else:
        word = EACH * at[0]
    return word


cdef inline bint ascii_agrees(const uint8_t *data, uint32_t size, int content, uint64_t mask) noexcept nogil:
    """Whether ``size`` (1 or more) bytes, each XORed with the mask's, are ASCII of the class."""
    cdef uint64_t wrong = 0
    cdef const uint8_t *last = data + size - 8
    if size < 8:
        return outside_class(load_up_to_8(data, size) ^ mask, content) == 0
    while data < last:
        wrong |= outside_class(load_up_to_8(data, 8) ^ mask, content)
        data += 8
    return (wrong | outside_class(load_up_to_8(last, 8) ^ mask, content)) == 0


cdef extern from *:
    """
    /* Sixteen bytes in one register: a vector of GCC and clang, which have each machine's instructions for it. */
    typedef uint8_t sixteen_bytes __attribute__((vector_size(16)));

    static inline sixteen_bytes load_16(const uint8_t *at) {
        sixteen_bytes bytes;
        memcpy(&bytes, at, 16);
        return bytes;
    }

    /* All bits of each byte that is in a range. */
    static inline sixteen_bytes in_range(sixteen_bytes bytes, uint8_t lowest, uint8_t highest) {
        return (sixteen_bytes)(bytes - lowest <= (sixteen_bytes){0} + (uint8_t)(highest - lowest));
    }

    /* Whether all bits of the first bytes (1 to 16) are set. */
    static inline int all_of_first(sixteen_bytes bytes, uint32_t count) {
        static const uint8_t mask[32] = {
            255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
        };
        uint64_t halves[2];
        bytes = ~bytes & load_16(mask + 16 - count);
        memcpy(halves, &bytes, 16);
        return (halves[0] | halves[1]) == 0;
    }
    """
    ctypedef int sixteen_bytes    # for Cython something that has & | ^
    sixteen_bytes load_16(const uint8_t *at) noexcept nogil
    sixteen_bytes in_range(sixteen_bytes bytes, uint8_t lowest, uint8_t highest) noexcept nogil
    bint all_of_first(sixteen_bytes bytes, uint32_t count) noexcept nogil


cdef inline void of_class(sixteen_bytes bytes, int content, sixteen_bytes *right) noexcept nogil:
    """Set all bits of each byte that is an ASCII character of the class, and no bit of the others."""
    cdef sixteen_bytes folded = bytes | <uint8_t>0x20
    if content == CONTENT_N:
        right[0] = in_range(bytes, 0x30, 0x39)
    elif content == CONTENT_ANS:
        right[0] = in_range(bytes, 0x20, 0x7E)
    elif content == CONTENT_AN:
        right[0] = in_range(bytes, 0x30, 0x39) | in_range(folded, 0x61, 0x7A) | in_range(bytes, 0x20, 0x20)
    elif content == CONTENT_A:
        right[0] = in_range(folded, 0x61, 0x7A) | in_range(bytes, 0x20, 0x20)
    elif content == CONTENT_Z:    # 'D' and 'F' differ in one bit
        right[0] = (
            in_range(bytes, 0x30, 0x39)
            | in_range(bytes, 0x3D, 0x3D)
            | in_range(bytes & <uint8_t>0xFD, 0x44, 0x44)
        )
    else:
        right[0] = in_range(bytes, 0x30, 0x39) | in_range(folded, 0x61, 0x66)


cdef inline bint field_agrees(const uint8_t *data, uint32_t size, size_t readable, int content,
                              uint8_t flips) noexcept nogil:
    """``ascii_agrees`` for a field of a message: ``readable`` bytes stand from its first one on, at least ``size``.

    A short field is loaded with what follows it, and that is left out.
    """
    cdef const uint8_t *last = data + size - 16
    cdef sixteen_bytes right
    cdef sixteen_bytes here
    if size >= 16:
        of_class(load_16(last) ^ flips, content, &right)
        while data < last:
            of_class(load_16(data) ^ flips, content, &here)
            right &= here
            data += 16
        return all_of_first(right, 16)
    if readable >= 16:
        of_class(load_16(data) ^ flips, content, &right)
        return all_of_first(right, size)
    return ascii_agrees(data, size, content, EACH * flips)


cdef inline bint are_ascii(const uint8_t *data, uint32_t size) noexcept nogil:
    """Whether ``size`` (1 or more) bytes are all below 0x80."""
    cdef uint64_t bits = 0
    cdef const uint8_t *last = data + size - 8
    if size < 8:
        return load_up_to_8(data, size) & HIGH == 0
    while data < last:
        bits |= load_up_to_8(data, 8)
        data += 8
    return (bits | load_up_to_8(last, 8)) & HIGH == 0


cdef inline bint nibbles_agree(const uint8_t *data, uint32_t size, int content) noexcept nogil:
    """Whether ``size`` (1 or more) bytes of packed nibbles belong to the class."""
    cdef uint64_t wrong = 0
    cdef const uint8_t *last = data + size - 8
    if size < 8:
        return outside_nibbles(load_up_to_8(data, size), content) == 0
    while data < last:
        wrong |= outside_nibbles(load_up_to_8(data, 8), content)
        data += 8
    return (wrong | outside_nibbles(load_up_to_8(last, 8), content)) == 0


cdef inline bint quickly_agrees(const FieldSpec *spec, const uint8_t *data, uint32_t size,
                                uint32_t count, size_t readable) noexcept nogil:
    """Whether the field's check proves its content; if not, ``wrong_content`` has the last word.

    ``readable`` bytes of the message stand from the field's first one on: those of the field, and what follows.
    """
    cdef int check = spec.check
    if check == CHECK_NOTHING or size == 0:
        return True
    # The class is written out each time, so that the compiler keeps no choice inside the loops.
    if check == CHECK_ASCII_N:
        return field_agrees(data, size, readable, CONTENT_N, 0)
    if check == CHECK_ASCII_ANS:
        return field_agrees(data, size, readable, CONTENT_ANS, 0)
    if check == CHECK_ASCII_AN:
        return field_agrees(data, size, readable, CONTENT_AN, 0)
    if check == CHECK_ASCII_Z:
        return field_agrees(data, size, readable, CONTENT_Z, 0)
    if check == CHECK_ASCII_A:
        return field_agrees(data, size, readable, CONTENT_A, 0)
    if check == CHECK_ASCII_HEX:
        return field_agrees(data, size, readable, CONTENT_HEX, 0)
    if check == CHECK_EBCDIC_N:
        return field_agrees(data, size, readable, CONTENT_N, 0xC0)
    if check == CHECK_CODE_PAGE:
        return page_agrees(spec, data, size)
    if check == CHECK_THOROUGHLY or pad_of(spec, data, size, count) < 0:
        return False
    # A pad that is itself of the class is checked with the rest; one that is not takes the thorough way.
    if check == CHECK_BCD:
        return nibbles_agree(data, size, CONTENT_N)
    return check == CHECK_PAD or nibbles_agree(data, size, CONTENT_Z)
