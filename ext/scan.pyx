"""Index scan: one pass over a message that notes where each field begins and ends, and copies nothing.

Reading is strict. Text lengths are digits and nothing else, a hex bitmap is hex digits and nothing else, and each field
holds only characters of its content class. Eight bytes are checked at a time: every byte of a 64-bit word is compared
with a range at once, without branches.
"""

from __future__ import annotations

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from switch.cursor cimport Reader, load_be64, reader_over, reader_position, reader_take
from switch.spec cimport (
    CONTENT_A,
    CONTENT_AN,
    CONTENT_ANS,
    CONTENT_ANY,
    CONTENT_HEX,
    CONTENT_N,
    CONTENT_XN,
    CONTENT_Z,
    DATA_ASCII,
    DATA_BINARY,
    DATA_CODE_PAGE,
    FIELD_BITMAP,
    FIELD_HEADER,
    FIELD_MAX,
    FIELD_SLOTS,
    FIELD_TYPE,
    LENGTH_ASCII,
    LENGTH_BCD,
    LENGTH_BINARY,
    PAD_LEFT,
    PAD_NIBBLE_NONE,
    PAD_NONE,
    PAD_RIGHT,
    FieldSpec,
    Spec,
    compile_spec,
)

cdef extern from *:
    """
    #define count_leading_zeros(word) __builtin_clzll(word)
    """
    int count_leading_zeros(uint64_t word) noexcept nogil

cdef enum:
    READ_NUMBER_DIGITS_MAX = 18
    SECONDARY_BITMAP = 1
    TERTIARY_BITMAP = 65

cdef uint64_t EACH = 0x0101010101010101ULL
cdef uint64_t HIGH = 0x8080808080808080ULL
cdef uint64_t LOW = 0x7F7F7F7F7F7F7F7FULL

# Names of the FaultCode values, for errors and metrics.
FAULT_NAMES = (
    "none",
    "truncated",
    "length_digits",
    "length_limit",
    "content",
    "bitmap_digits",
    "type_digits",
    "no_spec",
    "trailing",
    "room",
    "value",
)
_FAULT_TEXTS = (
    "no fault",
    "need {needed} bytes, have {available}",
    "the length is not a number",
    "the length is {available}, above the maximum of {needed}",
    "a character outside the field's content class",
    "the bitmap is not made of hex digits",
    "the message type is not four digits",
    "the bit is set, but the specification has no such field",
    "{available} bytes after the last field",
    "need room for {needed} bytes, have {available}",
    "a value that the field cannot hold",
)
_FIELD_KEYS = {FIELD_HEADER: "h", FIELD_TYPE: "t", FIELD_BITMAP: "p"}


class ScanError(ValueError):
    """A message that cannot be read or written. It holds no byte of the message, so it is safe to log.

    Attributes:
        code: What is wrong, one of ``FAULT_NAMES``.
        field: Key of the field: ``"2"`` to ``"192"``, or ``"h"``, ``"t"``, ``"p"``, ``"1"``.
        position: Byte offset from the start of the message.
        needed: Bytes that were needed; the maximum where a length is above it; else 0.
        available: Bytes that were there; the length where it is above the maximum; else 0.
    """

    def __init__(self, code, field, position, needed=0, available=0):
        text = _FAULT_TEXTS[FAULT_NAMES.index(code)].format(needed=needed, available=available)
        super().__init__(f"field {field}: {text}, at byte {position}")
        self.code = code
        self.field = field
        self.position = position
        self.needed = needed
        self.available = available

    def __reduce__(self):
        return type(self), (self.code, self.field, self.position, self.needed, self.available)


cdef object fault_error(const Fault *fault):
    field = _FIELD_KEYS.get(fault.field) or str(fault.field)
    return ScanError(FAULT_NAMES[fault.code], field, fault.position, fault.needed, fault.available)


# --- content classes ---------------------------------------------------------------------------------------------
# One bit for each class in each entry, by ASCII character: for code pages and to find the first wrong byte.

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


cdef inline uint64_t _in_range(uint64_t word, uint8_t lowest, uint8_t highest) noexcept nogil:
    """0x80 in each byte whose value lies in a range of ASCII characters."""
    return ((word | HIGH) - EACH * lowest) & ~((word & LOW) + EACH * <uint8_t>(0x7F - highest)) & ~word & HIGH


cdef inline uint64_t _outside_class(uint64_t word, int content) noexcept nogil:
    """Not 0 when a byte of the word is no ASCII character of the class."""
    cdef uint64_t folded = word | (EACH * 0x20)
    if content == CONTENT_N:
        return ((word & (EACH * 0xF0)) | ((word + EACH * 6) & (EACH * 0xF0)) >> 4) ^ (EACH * 0x33)
    if content == CONTENT_ANS:
        return _in_range(word, 0x20, 0x7E) ^ HIGH
    if content == CONTENT_AN:
        return (_in_range(word, 0x30, 0x39) | _in_range(folded, 0x61, 0x7A) | _in_range(word, 0x20, 0x20)) ^ HIGH
    if content == CONTENT_A:
        return (_in_range(folded, 0x61, 0x7A) | _in_range(word, 0x20, 0x20)) ^ HIGH
    if content == CONTENT_Z:      # 'D' and 'F' differ in one bit
        return (
            _in_range(word, 0x30, 0x39) | _in_range(word, 0x3D, 0x3D) | _in_range(word & (EACH * 0xFD), 0x44, 0x44)
        ) ^ HIGH
    return (_in_range(word, 0x30, 0x39) | _in_range(folded, 0x61, 0x66)) ^ HIGH


cdef inline uint64_t _outside_nibbles(uint64_t word, int content) noexcept nogil:
    """Not 0 when a nibble of the word is none of the class: digits, and 0xD and 0xF for track 2."""
    cdef uint64_t above_nine = (word >> 3) & ((word >> 2) | (word >> 1))
    if content == CONTENT_Z:
        above_nine &= ~((word >> 2) & word)
    return above_nine & (EACH * 0x11)


cdef inline uint64_t _load(const uint8_t *at, uint32_t size) noexcept nogil:
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


cdef inline bint _ascii_agrees(const uint8_t *data, uint32_t size, int content) noexcept nogil:
    """Whether ``size`` (1 or more) bytes of ASCII belong to the class."""
    cdef uint64_t wrong = 0
    cdef const uint8_t *last = data + size - 8
    if size < 8:
        return _outside_class(_load(data, size), content) == 0
    while data < last:
        wrong |= _outside_class(_load(data, 8), content)
        data += 8
    return (wrong | _outside_class(_load(last, 8), content)) == 0


cdef inline bint _nibbles_agree(const uint8_t *data, uint32_t size, int content) noexcept nogil:
    """Whether ``size`` (1 or more) bytes of packed nibbles belong to the class."""
    cdef uint64_t wrong = 0
    cdef const uint8_t *last = data + size - 8
    if size < 8:
        return _outside_nibbles(_load(data, size), content) == 0
    while data < last:
        wrong |= _outside_nibbles(_load(data, 8), content)
        data += 8
    return (wrong | _outside_nibbles(_load(last, 8), content)) == 0


cdef inline uint8_t _ascii_at(const FieldSpec *spec, const uint8_t *data) noexcept nogil:
    return spec.to_ascii[data[0]] if spec.to_ascii != NULL else data[0]


cdef inline uint8_t _nibble_at(const uint8_t *data, uint32_t index) noexcept nogil:
    return data[index >> 1] & 0xF if index & 1 else data[index >> 1] >> 4


cdef inline uint8_t _hex_digit(uint8_t nibble) noexcept nogil:
    return nibble + 0x30 if nibble < 10 else nibble + 0x37


cdef inline int _hex_value(uint8_t character) noexcept nogil:
    """Value of a hex digit of either case, -1 for anything else."""
    if not CLASS_BITS[character] & (1 << CONTENT_HEX):
        return -1
    return (character & 0xF) + (9 if character > 0x39 else 0)


cdef inline int _pad_of(const FieldSpec *spec, const uint8_t *data, uint32_t size, uint32_t count) noexcept nogil:
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


cdef int _wrong_text(const FieldSpec *spec, const uint8_t *data, uint32_t size) noexcept nogil:
    """Offset of the first byte outside the field's class; -1 when all are inside."""
    cdef uint32_t i
    cdef uint32_t first = 0
    cdef int content = spec.content
    if content == CONTENT_XN:
        if _ascii_at(spec, data) != 0x43 and _ascii_at(spec, data) != 0x44:
            return 0
        content = CONTENT_N
        first = 1
    for i in range(first, size):
        if not CLASS_BITS[_ascii_at(spec, data + i)] & (1 << content):
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
            nibble = _nibble_at(data, i)
            if nibble != 0xC and nibble != 0xD:
                return 0
            i += 1
        else:
            if data[0] != 0x43 and data[0] != 0x44:
                return 0
            i = 2
        content = CONTENT_N
    while i < end:
        nibble = _nibble_at(data, i)
        if nibble > 9 and (content == CONTENT_N or (nibble != 0xD and nibble != 0xF)):
            return <int>(i >> 1)
        i += 1
    return -1


cdef inline int _wrong_content(const FieldSpec *spec, const uint8_t *data, uint32_t size, uint32_t count) noexcept nogil:
    """Offset of the first byte that a field must not hold; -1 when there is none."""
    cdef int pad
    if size == 0:
        return -1
    if spec.data_encoding == DATA_BINARY:
        pad = _pad_of(spec, data, size, count)
        if pad < 0:
            return <int>size - 1 if spec.pad_side == PAD_RIGHT else 0
        if spec.content == CONTENT_ANY or spec.content == CONTENT_HEX:
            return -1
        if spec.content != CONTENT_XN and pad == PAD_NONE and _nibbles_agree(data, size, spec.content):
            return -1
        return _wrong_nibbles(spec, data, size, pad)
    if spec.content == CONTENT_ANY:
        return -1
    if spec.data_encoding == DATA_ASCII and spec.content != CONTENT_XN and _ascii_agrees(data, size, spec.content):
        return -1
    return _wrong_text(spec, data, size)


# --- the scan ----------------------------------------------------------------------------------------------------

cdef inline int _fail(Fault *fault, int code, int field, size_t position, size_t needed, size_t available) noexcept nogil:
    fault.code = code
    fault.field = field
    fault.position = <uint32_t>position
    fault.needed = <uint32_t>needed
    fault.available = <uint32_t>available
    return -1


cdef inline int _read_length(const FieldSpec *spec, const uint8_t *at, uint64_t *length) noexcept nogil:
    """Decode the bytes of a length; -1 when they are not a number. At most eight bytes, so nothing overflows."""
    cdef uint64_t value = 0
    cdef uint32_t digit
    cdef uint32_t i
    for i in range(spec.length_width):
        digit = at[i]
        if spec.length_encoding == LENGTH_ASCII:
            digit -= 0x30
            if digit > 9:
                return -1
            value = value * 10 + digit
        elif spec.length_encoding == LENGTH_BCD:
            if digit & 0xF > 9 or digit >> 4 > 9:
                return -1
            value = value * 100 + (digit >> 4) * 10 + (digit & 0xF)
        elif spec.length_encoding == LENGTH_BINARY:
            value = (value << 8) | digit
        else:
            digit = <uint32_t>spec.length_to_ascii[digit] - 0x30
            if digit > 9:
                return -1
            value = value * 10 + digit
    length[0] = value
    return 0


cdef inline int _take(const FieldSpec *spec, Reader *reader, const uint8_t **data, uint32_t *size, uint32_t *count,
                      int field, Fault *fault) noexcept nogil:
    cdef uint64_t length = 0
    cdef const uint8_t *at = NULL
    if spec.length_width == 0:
        count[0] = spec.max_length
        size[0] = spec.fixed_bytes
    else:
        if spec.length_width > reader.left:
            return _fail(fault, FAULT_TRUNCATED, field, reader_position(reader), spec.length_width, reader.left)
        if _read_length(spec, reader.at, &length) < 0:
            return _fail(fault, FAULT_LENGTH_DIGITS, field, reader_position(reader), 0, 0)
        if length > spec.max_length:
            return _fail(fault, FAULT_LENGTH_LIMIT, field, reader_position(reader), spec.max_length,
                         min(length, <uint64_t>0xFFFFFFFF))
        reader_take(reader, spec.length_width, &at)
        count[0] = <uint32_t>length
        size[0] = (count[0] + 1) >> 1 if spec.counts_nibbles else count[0]
    if reader_take(reader, size[0], data) < 0:
        return _fail(fault, FAULT_TRUNCATED, field, reader_position(reader), size[0], reader.left)
    return 0


cdef int take_field(const FieldSpec *spec, Reader *reader, const uint8_t **data, uint32_t *size, uint32_t *count,
                    Fault *fault) noexcept nogil:
    return _take(spec, reader, data, size, count, 0, fault)


cdef inline int _index_field(const FieldSpec *spec, Reader *reader, int field, MessageIndex *index,
                             Fault *fault) noexcept nogil:
    cdef const uint8_t *data = NULL
    cdef uint32_t size = 0
    cdef uint32_t count = 0
    cdef int wrong
    if _take(spec, reader, &data, &size, &count, field, fault) < 0:
        return -1
    wrong = _wrong_content(spec, data, size, count)
    if wrong >= 0:
        return _fail(fault, FAULT_CONTENT, field, <size_t>(data - reader.start) + <size_t>wrong, 0, 0)
    index.offset[field] = <uint32_t>(data - reader.start)
    index.length[field] = size
    index.count[field] = <uint16_t>count
    return 0


cdef inline int _read_type(const FieldSpec *spec, Reader *reader, MessageIndex *index, Fault *fault) noexcept nogil:
    cdef const uint8_t *at = NULL
    cdef size_t position = reader_position(reader)
    cdef uint32_t value = 0
    cdef uint32_t digit
    cdef uint32_t i
    if reader_take(reader, spec.fixed_bytes, &at) < 0:
        return _fail(fault, FAULT_TRUNCATED, FIELD_TYPE, position, spec.fixed_bytes, reader.left)
    for i in range(4):
        if spec.data_encoding == DATA_BINARY:
            digit = _nibble_at(at, i)
        else:
            digit = <uint32_t>_ascii_at(spec, at + i) - 0x30
        if digit > 9:
            return _fail(fault, FAULT_TYPE_DIGITS, FIELD_TYPE, position, 0, 0)
        value = value * 10 + digit
    index.mti = value
    return 0


cdef inline int _read_bitmap(const FieldSpec *spec, Reader *reader, int field, uint64_t *bits,
                             Fault *fault) noexcept nogil:
    """Read eight bytes of bitmap; the first bit is the highest."""
    cdef const uint8_t *at = NULL
    cdef size_t position = reader_position(reader)
    cdef uint64_t word = 0
    cdef int value
    cdef int wrong = 0
    cdef uint32_t i
    if reader_take(reader, spec.fixed_bytes, &at) < 0:
        return _fail(fault, FAULT_TRUNCATED, field, position, spec.fixed_bytes, reader.left)
    if spec.data_encoding == DATA_BINARY:
        bits[0] = load_be64(at)
        return 0
    for i in range(16):
        value = _hex_value(_ascii_at(spec, at + i))
        wrong |= value
        word = (word << 4) | <uint64_t>(value & 0xF)
    if wrong < 0:
        return _fail(fault, FAULT_BITMAP_DIGITS, field, position, 0, 0)
    bits[0] = word
    return 0


cdef int scan_message(Spec spec, const uint8_t *data, size_t size, MessageIndex *index, Fault *fault) noexcept nogil:
    cdef Reader reader
    cdef const FieldSpec *field_spec
    cdef uint64_t bitmap[3]
    cdef uint64_t bits
    cdef uint64_t present
    cdef int word
    cdef int words = 1
    cdef int place
    cdef int field = FIELD_BITMAP

    index.data = data
    index.size = <uint32_t>size
    index.mti = 0
    index.present[0] = index.present[1] = index.present[2] = 0
    index.length[FIELD_HEADER] = 0
    fault.code = FAULT_NONE
    reader_over(&reader, data, size)

    if spec.has_header and _index_field(&spec.fields[FIELD_HEADER], &reader, FIELD_HEADER, index, fault) < 0:
        return -1
    if _read_type(&spec.type_spec, &reader, index, fault) < 0:
        return -1
    if _read_bitmap(&spec.bitmap_spec, &reader, FIELD_BITMAP, &bitmap[0], fault) < 0:
        return -1
    # The first bit of a bitmap says that another one follows.
    while words < 3 and bitmap[words - 1] >> 63:
        if not spec.fields[SECONDARY_BITMAP].defined:
            return _fail(fault, FAULT_NO_SPEC, SECONDARY_BITMAP, reader_position(&reader), 0, 0)
        if _read_bitmap(&spec.fields[SECONDARY_BITMAP], &reader, SECONDARY_BITMAP, &bitmap[words], fault) < 0:
            return -1
        bitmap[words - 1] &= 0x7FFFFFFFFFFFFFFFULL
        words += 1

    for word in range(words):
        bits = bitmap[word]
        present = 0
        while bits:
            place = count_leading_zeros(bits)
            bits ^= 0x8000000000000000ULL >> place
            field = 64 * word + place + 1
            field_spec = &spec.fields[field]
            if not field_spec.defined:
                index.present[word] = present
                return _fail(fault, FAULT_NO_SPEC, field, reader_position(&reader), 0, 0)
            if _index_field(field_spec, &reader, field, index, fault) < 0:
                index.present[word] = present
                return -1
            present |= <uint64_t>1 << place
        index.present[word] = present
    if reader.left:
        return _fail(fault, FAULT_TRAILING, field, reader_position(&reader), 0, reader.left)
    return 0


# --- fields of a message that was indexed ------------------------------------------------------------------------

cdef inline bint _indexed(Spec spec, const MessageIndex *index, int field) noexcept nogil:
    if field == FIELD_HEADER:
        return spec.has_header and index.length[FIELD_HEADER] > 0
    return 1 < field <= FIELD_MAX and has_field(index, field)


cdef int read_text(Spec spec, const MessageIndex *index, int field, uint8_t *out, int room) noexcept nogil:
    cdef const FieldSpec *field_spec
    cdef const uint8_t *data
    cdef uint32_t size
    cdef uint32_t i
    cdef uint32_t first
    cdef uint32_t characters
    if not _indexed(spec, index, field):
        return -1
    field_spec = &spec.fields[field]
    data = index.data + index.offset[field]
    size = index.length[field]
    if field_spec.data_encoding != DATA_BINARY:
        if room < 0 or size > <uint32_t>room:
            return -2
        if field_spec.data_encoding == DATA_ASCII:
            memcpy(out, data, size)
        else:
            for i in range(size):
                out[i] = field_spec.to_ascii[data[i]]
        return <int>size
    characters = index.count[field] if field_spec.counts_nibbles else 2 * size
    if room < 0 or characters > <uint32_t>room:
        return -2
    if size == 0:
        return 0
    first = 1 if _pad_of(field_spec, data, size, index.count[field]) == PAD_LEFT else 0
    for i in range(characters):
        out[i] = _hex_digit(_nibble_at(data, first + i))
    return <int>characters


cdef int64_t read_number(Spec spec, const MessageIndex *index, int field) noexcept nogil:
    cdef uint8_t text[READ_NUMBER_DIGITS_MAX]
    cdef int64_t value = 0
    cdef int count = read_text(spec, index, field, text, READ_NUMBER_DIGITS_MAX)
    cdef int i
    if count <= 0:
        return -1
    for i in range(count):
        if not CLASS_BITS[text[i]] & (1 << CONTENT_N):
            return -1
        value = value * 10 + (text[i] - 0x30)
    return value


cdef bint _text_fits(const FieldSpec *spec, const uint8_t *text, int count) noexcept nogil:
    """Whether characters may stand in a field, as far as its encoding and its class say."""
    cdef FieldSpec ascii_spec
    cdef int i
    if spec.data_encoding != DATA_BINARY:
        memset(&ascii_spec, 0, sizeof(ascii_spec))
        ascii_spec.content = spec.content
        return count == 0 or _wrong_text(&ascii_spec, text, <uint32_t>count) < 0
    for i in range(count):
        if _hex_value(text[i]) < 0:
            return False
    return True


cdef int patch_text(Spec spec, MessageIndex *index, uint8_t *data, int field, const uint8_t *text, int count) noexcept nogil:
    cdef const FieldSpec *field_spec
    cdef uint8_t *at
    cdef uint32_t size
    cdef uint32_t i
    cdef uint32_t nibble
    cdef uint32_t first
    cdef uint32_t characters
    cdef uint8_t value
    if count < 0 or not _indexed(spec, index, field):
        return -1
    field_spec = &spec.fields[field]
    at = data + index.offset[field]
    size = index.length[field]
    characters = size
    if field_spec.data_encoding == DATA_BINARY:
        characters = index.count[field] if field_spec.counts_nibbles else 2 * size
    if <uint32_t>count != characters or not _text_fits(field_spec, text, count):
        return -1
    if field_spec.data_encoding == DATA_ASCII:
        memcpy(at, text, size)
    elif field_spec.data_encoding == DATA_CODE_PAGE:
        for i in range(size):
            at[i] = field_spec.from_ascii[text[i]]
    elif size:
        first = 1 if _pad_of(field_spec, at, size, index.count[field]) == PAD_LEFT else 0
        for i in range(characters):
            nibble = first + i
            value = <uint8_t>_hex_value(text[i])
            if nibble & 1:
                at[nibble >> 1] = (at[nibble >> 1] & 0xF0) | value
            else:
                at[nibble >> 1] = (at[nibble >> 1] & 0x0F) | <uint8_t>(value << 4)
    return 0


# --- from Python -------------------------------------------------------------------------------------------------

@cython.final
cdef class Message:
    """A message and its index: what ``scan`` gives. It owns a copy of the bytes."""

    cdef readonly Spec spec
    cdef bytearray _data
    cdef MessageIndex _index

    def __init__(self):
        raise TypeError("make a Message with scan")

    @property
    def data(self):
        """The whole message."""
        return bytes(self._data)

    @property
    def mti(self):
        """Message type, four digits."""
        return f"{self._index.mti:04d}"

    @property
    def fields(self):
        """Numbers of the fields that are there, ascending; bitmaps are none."""
        return [field for field in range(2, FIELD_SLOTS) if has_field(&self._index, field)]

    def __contains__(self, int field):
        return _indexed(self.spec, &self._index, field)

    def _require(self, int field):
        if not _indexed(self.spec, &self._index, field):
            raise KeyError(field)

    def raw(self, int field):
        """Bytes of a field's data as they stand on the wire, its length left out.

        Raises:
            KeyError: The field is not there.
        """
        self._require(field)
        cdef const uint8_t *at = self._index.data + self._index.offset[field]
        return at[:self._index.length[field]]

    def text(self, int field):
        """Canonical value of a field: text as it reads, binary data as hex digits without the pad.

        Raises:
            KeyError: The field is not there.
        """
        self._require(field)
        cdef bytearray out = bytearray(2 * self._index.length[field])
        cdef int count = read_text(self.spec, &self._index, field, <uint8_t *>PyByteArray_AS_STRING(out), <int>len(out))
        return out[:count].decode("latin-1")

    def number(self, int field):
        """A field of decimal digits as a number.

        Raises:
            KeyError: The field is not there.
            ValueError: It is not 1 to 18 digits.
        """
        self._require(field)
        cdef int64_t value = read_number(self.spec, &self._index, field)
        if value < 0:
            raise ValueError(f"field {field} is not a number of 1 to {READ_NUMBER_DIGITS_MAX} digits")
        return value

    def patch(self, int field, str text):
        """Overwrite a field with a value of the same length, in place.

        Raises:
            KeyError: The field is not there.
            ValueError: The value is shorter or longer, or holds what the field must not.
        """
        self._require(field)
        cdef bytes value
        try:
            value = text.encode("latin-1")
        except UnicodeEncodeError:
            raise ValueError(f"field {field}: the value does not fit exactly") from None
        if patch_text(self.spec, &self._index, <uint8_t *>PyByteArray_AS_STRING(self._data), field, value,
                      <int>len(value)) < 0:
            raise ValueError(f"field {field}: the value does not fit exactly")


def scan(data, spec):
    """Index one message.

    Args:
        data: The message, bytes-like; without framing.
        spec: A ``Spec``, or a pyiso8583 dictionary, which is compiled each time.

    Returns:
        A ``Message``.

    Raises:
        ScanError: The message cannot be read; see its attributes.
        SpecError: The dictionary is wrong.
    """
    cdef Message message = Message.__new__(Message)
    cdef Fault fault
    message.spec = compile_spec(spec)
    message._data = bytearray(data)
    if scan_message(message.spec, <const uint8_t *>PyByteArray_AS_STRING(message._data), len(message._data),
                    &message._index, &fault) < 0:
        raise fault_error(&fault)
    return message


def bench_scan(data, Spec spec not None, int rounds):
    """Scan one message ``rounds`` times without Python in the loop, for timing."""
    cdef Py_buffer view
    cdef MessageIndex index
    cdef Fault fault
    cdef int i
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        with nogil:
            for i in range(rounds):
                if scan_message(spec, <const uint8_t *>view.buf, <size_t>view.len, &index, &fault) < 0:
                    break
        if rounds > 0 and fault.code != FAULT_NONE:
            raise fault_error(&fault)
    finally:
        PyBuffer_Release(&view)
