"""Index scan: one pass over a message that notes where each field begins and ends, and copies nothing.

Reading is strict. Text lengths are digits and nothing else, a hex bitmap is hex digits and nothing else, and each field
holds only characters of its content class.
"""

from __future__ import annotations

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from switch.wire.bitmap cimport FIRST_BIT, reversed_bits
from switch.wire.character_classes cimport (
    EACH, ascii_at, nibble_at, outside_class, pad_of, quickly_agrees, text_fits, wrong_character, wrong_content,
)
from switch.wire.cursor cimport Reader, load_be64, lowest_bit, reader_over, reader_position, reader_take
from switch.wire.hexadecimal cimport hex_digit, hex_value, pack_hex
from switch.wire.spec cimport (
    CONTENT_HEX, CONTENT_N, DATA_ASCII, DATA_BINARY, DATA_CODE_PAGE, FIELD_BITMAP, FIELD_HEADER, FIELD_KEYS, FIELD_MAX,
    FIELD_SLOTS, FIELD_TYPE, LENGTH_ASCII, LENGTH_BCD, LENGTH_BINARY, PAD_LEFT, FieldSpec, Spec, compile_spec,
)

from switch.wire.faults import FAULT_NAMES, fault_words

cdef enum:
    READ_NUMBER_DIGITS_MAX = 18
    WORD_BYTES = 8
    SECONDARY_BITMAP = 1
    TERTIARY_BITMAP = 65

_PART_KEYS = {FIELD_TYPE: "t", FIELD_BITMAP: "p"}


class ScanError(ValueError):
    """A message that cannot be read or written. It holds no byte of the message, so it is safe to log.

    Attributes:
        code: What is wrong, one of ``FAULT_NAMES``.
        field: Key of the field: ``"2"`` to ``"192"``, or ``"h"``, ``"t"``, ``"p"``, ``"1"``.
        position: Byte offset from the start of the message.
        needed: Bytes that were needed; the maximum where a length is above it; of ``content`` the class; else 0.
        available: Bytes that were there; the length where it is above the maximum; of ``content`` the sort of the
            character; else 0.
    """

    def __init__(self, code, field, position, needed=0, available=0):
        super().__init__(fault_words(code, field, position, needed, available))
        self.code = code
        self.field = field
        self.position = position
        self.needed = needed
        self.available = available

    def __reduce__(self):
        return type(self), (self.code, self.field, self.position, self.needed, self.available)


cdef str fault_key(int field):
    return FIELD_KEYS[field] if field >= 0 else _PART_KEYS[field]


cdef object fault_error(const Fault *fault):
    return ScanError(FAULT_NAMES[fault.code], fault_key(fault.field), fault.position, fault.needed, fault.available)


cdef dict fault_details(const Fault *fault):
    return {
        "fault": FAULT_NAMES[fault.code] if fault.code < len(FAULT_NAMES) else "unwritable",
        "field": fault.field if fault.field > 0 else _PART_KEYS.get(fault.field, "h"),
        "byte": None if fault.position == NO_BYTE else fault.position,
        "needed": fault.needed,
        "available": fault.available,
    }


cdef void fault_at(Spec spec, const MessageIndex *index, int field, int code, Fault *fault) noexcept nogil:
    cdef int later
    cdef uint32_t place = index.size
    for later in range(field, FIELD_SLOTS):
        if has_field(index, later):
            place = index.offset[later] - spec.fields[later].length_width
            break
    fault.code = code
    fault.field = field
    fault.position = place
    fault.needed = 0
    fault.available = 0


# --- the scan ----------------------------------------------------------------------------------------------------

cdef int _fail(Fault *fault, int code, int field, size_t position, size_t needed, size_t available) noexcept nogil:
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
    cdef bint wrong = False
    if spec.length_encoding == LENGTH_ASCII:
        for i in range(spec.length_width):
            digit = <uint32_t>at[i] - 0x30
            wrong |= digit > 9
            value = value * 10 + digit
    elif spec.length_encoding == LENGTH_BCD:
        for i in range(spec.length_width):
            wrong |= at[i] & 0xF > 9 or at[i] > 0x9F
            value = value * 100 + (at[i] >> 4) * 10 + (at[i] & 0xF)
    elif spec.length_encoding == LENGTH_BINARY:
        for i in range(spec.length_width):
            value = (value << 8) | at[i]
    else:
        for i in range(spec.length_width):
            digit = <uint32_t>spec.length_to_ascii[at[i]] - 0x30
            wrong |= digit > 9
            value = value * 10 + digit
    length[0] = value
    return -1 if wrong else 0


cdef inline int _take(const FieldSpec *spec, Reader *reader, int field, FieldData *taken,
                      Fault *fault) noexcept nogil:
    cdef uint64_t length = 0
    cdef const uint8_t *at = NULL
    if spec.length_width == 0:
        taken.count = spec.max_length
        taken.size = spec.fixed_bytes
    else:
        if spec.length_width > reader.left:
            return _fail(fault, FAULT_TRUNCATED, field, reader_position(reader), spec.length_width, reader.left)
        if _read_length(spec, reader.at, &length) < 0:
            return _fail(fault, FAULT_LENGTH_DIGITS, field, reader_position(reader), 0, 0)
        if length > spec.max_length:
            return _fail(fault, FAULT_LENGTH_LIMIT, field, reader_position(reader), spec.max_length,
                         min(length, <uint64_t>0xFFFFFFFF))
        reader_take(reader, spec.length_width, &at)
        taken.count = <uint32_t>length
        taken.size = (taken.count + 1) >> 1 if spec.counts_nibbles else taken.count
    if reader_take(reader, taken.size, &taken.data) < 0:
        return _fail(fault, FAULT_TRUNCATED, field, reader_position(reader), taken.size, reader.left)
    return 0


cdef int take_field(const FieldSpec *spec, Reader *reader, FieldData *taken, Fault *fault) noexcept nogil:
    return _take(spec, reader, 0, taken, fault)


cdef int _fail_content(const FieldSpec *spec, const Reader *reader, int field, const FieldData *taken, int wrong,
                       Fault *fault) noexcept nogil:
    """The character at ``wrong`` is not of the field's class."""
    return _fail(fault, FAULT_CONTENT, field, <size_t>(taken.data - reader.start) + <size_t>wrong, spec.content,
                 wrong_character(spec, taken.data, taken.size, taken.count, wrong))


cdef inline void _note_field(MessageIndex *index, const Reader *reader, int field,
                             const FieldData *taken) noexcept nogil:
    index.offset[field] = <uint32_t>(taken.data - reader.start)
    index.length[field] = taken.size
    index.count[field] = <uint16_t>taken.count


cdef inline int _index_field(const FieldSpec *spec, Reader *reader, int field, MessageIndex *index,
                             Fault *fault) noexcept nogil:
    cdef FieldData taken
    cdef int wrong
    if not spec.defined:
        return _fail(fault, FAULT_NO_SPEC, field, reader_position(reader), 0, 0)
    if _take(spec, reader, field, &taken, fault) < 0:
        return -1
    if not quickly_agrees(spec, taken.data, taken.size, taken.count, taken.size + reader.left):
        wrong = wrong_content(spec, taken.data, taken.size, taken.count)
        if wrong >= 0:
            return _fail_content(spec, reader, field, &taken, wrong, fault)
    _note_field(index, reader, field, &taken)
    return 0


cdef int _index_header(const FieldSpec *spec, Reader *reader, MessageIndex *index, Fault *fault) noexcept nogil:
    """The header, which few dialects have: apart, so that the compiler lays the hot loop out in one piece."""
    cdef FieldData taken
    cdef int wrong
    if take_field(spec, reader, &taken, fault) < 0:
        fault.field = FIELD_HEADER
        return -1
    wrong = wrong_content(spec, taken.data, taken.size, taken.count)
    if wrong >= 0:
        return _fail_content(spec, reader, FIELD_HEADER, &taken, wrong, fault)
    _note_field(index, reader, FIELD_HEADER, &taken)
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
            digit = nibble_at(at, i)
        else:
            digit = <uint32_t>ascii_at(spec, at + i) - 0x30
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
    cdef uint8_t digits[16]
    cdef uint64_t high
    cdef uint64_t low
    cdef uint32_t i
    if reader_take(reader, spec.fixed_bytes, &at) < 0:
        return _fail(fault, FAULT_TRUNCATED, field, position, spec.fixed_bytes, reader.left)
    if spec.data_encoding == DATA_BINARY:
        bits[0] = load_be64(at)
        return 0
    if spec.data_encoding == DATA_CODE_PAGE:
        for i in range(16):
            digits[i] = spec.to_ascii[at[i]]
        at = digits
    high = load_be64(at)
    low = load_be64(at + 8)
    if outside_class(high, CONTENT_HEX) | outside_class(low, CONTENT_HEX):
        return _fail(fault, FAULT_BITMAP_DIGITS, field, position, 0, 0)
    bits[0] = <uint64_t>pack_hex(high) << 32 | pack_hex(low)
    return 0


cdef int scan_message(Spec spec, const uint8_t *data, size_t size, MessageIndex *index, Fault *fault) noexcept nogil:
    cdef Reader reader
    cdef uint64_t bitmap[3]
    cdef uint64_t bits
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

    if spec.has_header and _index_header(&spec.fields[FIELD_HEADER], &reader, index, fault) < 0:
        return -1
    if _read_type(&spec.type_spec, &reader, index, fault) < 0:
        return -1
    if _read_bitmap(&spec.bitmap_spec, &reader, FIELD_BITMAP, &bitmap[0], fault) < 0:
        return -1
    # The first bit of a bitmap says that another one follows.
    while words < 3 and bitmap[words - 1] & FIRST_BIT:
        if not spec.fields[SECONDARY_BITMAP].defined:
            return _fail(fault, FAULT_NO_SPEC, SECONDARY_BITMAP, reader_position(&reader), 0, 0)
        if _read_bitmap(&spec.fields[SECONDARY_BITMAP], &reader, SECONDARY_BITMAP, &bitmap[words], fault) < 0:
            return -1
        bitmap[words - 1] ^= FIRST_BIT
        words += 1

    for word in range(words):
        # From here on the lowest bit is the first field's.
        bits = reversed_bits(bitmap[word])
        index.present[word] = bits
        while bits:
            place = lowest_bit(bits)
            field = 64 * word + place + 1
            if _index_field(&spec.fields[field], &reader, field, index, fault) < 0:
                index.present[word] &= (<uint64_t>1 << place) - 1
                return -1
            bits &= bits - 1
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
    first = 1 if pad_of(field_spec, data, size, index.count[field]) == PAD_LEFT else 0
    for i in range(characters):
        out[i] = hex_digit(nibble_at(data, first + i))
    return <int>characters


cdef inline uint64_t _eight_digits(uint64_t word) noexcept nogil:
    """The number that eight ASCII digits make, the first one in the highest byte: pairs, fours, then all."""
    word -= EACH * 0x30
    word = (word >> 8 & 0x00FF00FF00FF00FFULL) * 10 + (word & 0x00FF00FF00FF00FFULL)
    word = (word >> 16 & 0x0000FFFF0000FFFFULL) * 100 + (word & 0x0000FFFF0000FFFFULL)
    return (word >> 32) * 10_000 + <uint32_t>word


cdef inline int64_t _ascii_number(const uint8_t *digits, uint32_t count) noexcept nogil:
    """The number that 1 to 18 ASCII digits make; -1 when one is no digit. Eight bytes can be read in front of them,
    and count as zeros where they are read."""
    cdef const uint8_t *end = digits + count
    cdef uint32_t others = 64 - 8 * ((count - 1) % 8 + 1)         # bits
    cdef uint64_t mask = ~<uint64_t>0 >> others
    cdef uint64_t word, wrong
    cdef int64_t value
    digits += (count - 1) % 8 + 1
    word = load_be64(digits - 8) & mask | EACH * 0x30 & ~mask
    wrong = outside_class(word, CONTENT_N)
    value = <int64_t>_eight_digits(word)
    while digits != end:
        word = load_be64(digits)
        wrong |= outside_class(word, CONTENT_N)
        value = value * 100_000_000 + <int64_t>_eight_digits(word)
        digits += 8
    return -1 if wrong else value


cdef int64_t read_number(Spec spec, const MessageIndex *index, int field) noexcept nogil:
    cdef uint8_t text[WORD_BYTES + READ_NUMBER_DIGITS_MAX]
    cdef int count
    if not _indexed(spec, index, field):
        return -1
    # In front of every field stand an MTI and a bitmap, of ten bytes at least.
    if spec.fields[field].data_encoding == DATA_ASCII and index.offset[field] >= WORD_BYTES:
        if not 1 <= index.length[field] <= READ_NUMBER_DIGITS_MAX:
            return -1
        return _ascii_number(index.data + index.offset[field], index.length[field])
    memset(text, 0, WORD_BYTES)
    count = read_text(spec, index, field, text + WORD_BYTES, READ_NUMBER_DIGITS_MAX)
    return _ascii_number(text + WORD_BYTES, <uint32_t>count) if count > 0 else -1


cdef int patch_text(Spec spec, MessageIndex *index, uint8_t *data, int field, const uint8_t *text,
                    int count) noexcept nogil:
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
    if <uint32_t>count != characters or not text_fits(field_spec, text, characters):
        return -1
    if field_spec.data_encoding == DATA_ASCII:
        memcpy(at, text, size)
    elif field_spec.data_encoding == DATA_CODE_PAGE:
        for i in range(size):
            at[i] = field_spec.from_ascii[text[i]]
    elif size:
        first = 1 if pad_of(field_spec, at, size, index.count[field]) == PAD_LEFT else 0
        for i in range(characters):
            nibble = first + i
            value = <uint8_t>hex_value(text[i])
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
