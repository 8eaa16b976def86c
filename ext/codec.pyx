"""Whole messages to and from Python dictionaries, with the call shapes, results and errors of pyiso8583 4.0.

``doc_dec`` maps keys ("h", "t", "p", "1", "2" to "192") to text; ``doc_enc`` maps them to ``{"len": ..., "data": ...}``,
the bytes on the wire. Where this differs from pyiso8583 is listed in ``docs/codec-differences.md``.
"""

from __future__ import annotations

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize, PyByteArray_Resize
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy
from switch.cursor cimport Reader, load_be64, reader_over, reader_position, reader_take
from switch.scan cimport FAULT_LENGTH_LIMIT, FAULT_TRUNCATED, Fault, take_field
from switch.spec cimport (
    DATA_BINARY,
    FIELD_HEADER,
    FIELD_MAX,
    FIELD_SLOTS,
    LENGTH_BCD,
    LENGTH_BINARY,
    PAD_LEFT,
    PAD_RIGHT,
    CodePage,
    FieldSpec,
    Spec,
    compile_spec,
)

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    uint8_t *PyUnicode_1BYTE_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    object PyUnicode_New(Py_ssize_t size, uint32_t highest)

cdef extern from *:
    """
    #define count_leading_zeros(word) __builtin_clzll(word)
    """
    int count_leading_zeros(uint64_t word) noexcept nogil

cdef enum:
    SPECS_REMEMBERED_MAX = 32
    FIRST_ROOM = 512              # bytes of a message being encoded, before it grows
    SECONDARY = 1
    TERTIARY = 65
    KEY_DIGITS_MAX = 18

cdef uint64_t FIRST_BIT = 0x8000000000000000ULL
cdef const uint8_t *HEX_DIGITS = b"0123456789ABCDEF"
cdef tuple KEYS = ("h", *(str(number) for number in range(1, FIELD_SLOTS)))
cdef dict NUMBERS = {str(number): number for number in range(1, FIELD_SLOTS)}
cdef dict EMPTY_ENTRY = {"len": b"", "data": b""}
cdef str NO_SPEC = "Field is not defined in specifications"
cdef dict remembered_specs = {}


class DecodeError(ValueError):
    """Bytes that are no message of the specification.

    ``str()`` of it never holds a byte of the message, and is safe to log; ``s``, ``doc_dec`` and ``doc_enc`` are not.

    Attributes:
        msg: What is wrong.
        s: The bytes that were read.
        doc_dec: Fields decoded before the error.
        doc_enc: The same, as they stand on the wire.
        pos: Byte offset where reading stopped.
        field: Key of the field.
        needed: How much was needed, or the most that is allowed, in the unit that ``msg`` names; 0 where none.
        available: How much was there, in the same unit; 0 where none.
    """

    def __init__(self, msg, s, doc_dec, doc_enc, pos, field, needed=0, available=0):
        super().__init__(f"{msg}: field {field} pos {pos}")
        self.msg = msg
        self.s = s
        self.doc_dec = doc_dec
        self.doc_enc = doc_enc
        self.pos = pos
        self.field = field
        self.needed = needed
        self.available = available

    @property
    def safe_message(self):
        """The error in one line for a log: field, what is wrong, byte offset."""
        return f"field {self.field}: {self.msg}, at byte {self.pos}"

    def __reduce__(self):
        return type(self), (
            self.msg, self.s, self.doc_dec, self.doc_enc, self.pos, self.field, self.needed, self.available
        )


class EncodeError(ValueError):
    """A document that the specification cannot write.

    ``str()`` of it never holds a value of the document, and is safe to log; ``doc_dec`` and ``doc_enc`` are not.

    Attributes:
        msg: What is wrong.
        doc_dec: The document.
        doc_enc: Fields encoded before the error.
        field: Key of the field.
        needed: How much was needed, or the most that is allowed, in the unit that ``msg`` names; 0 where none.
        available: How much was there, in the same unit; 0 where none.
    """

    def __init__(self, msg, doc_dec, doc_enc, field, needed=0, available=0):
        super().__init__(f"{msg}: field {field}")
        self.msg = msg
        self.doc_dec = doc_dec
        self.doc_enc = doc_enc
        self.field = field
        self.needed = needed
        self.available = available

    @property
    def safe_message(self):
        """The error in one line for a log: field and what is wrong."""
        return f"field {self.field}: {self.msg}"

    def __reduce__(self):
        return type(self), (self.msg, self.doc_dec, self.doc_enc, self.field, self.needed, self.available)


cdef Spec known_spec(object spec):
    if isinstance(spec, Spec):
        return spec
    # A dictionary can change, its inner ones too, so identity alone proves nothing: it must still be equal to the
    # copy that was compiled. Holding the dictionary keeps its identity from being used again.
    known = remembered_specs.get(id(spec))
    if known is not None and known[0] is spec and spec == (<Spec>known[1]).source:
        return known[1]
    compiled = compile_spec(spec)
    if len(remembered_specs) >= SPECS_REMEMBERED_MAX:
        remembered_specs.clear()
    remembered_specs[id(spec)] = (spec, compiled)
    return compiled


# --- decoding ----------------------------------------------------------------------------------------------------



cdef object _decode_error(str msg, object s, dict doc_dec, dict doc_enc, size_t pos, str field, needed=0, available=0):
    return DecodeError(msg, s, doc_dec, doc_enc, pos, field, needed, available)


cdef str _hex_text(const uint8_t *data, uint32_t first, uint32_t characters):
    """``characters`` nibbles as hex digits, from nibble ``first`` on."""
    cdef object text = PyUnicode_New(characters, 0x7F)
    cdef uint8_t *out
    cdef uint32_t i
    if characters == 0:
        return text
    out = PyUnicode_1BYTE_DATA(text)
    if first == 0 and not characters & 1:
        for i in range(characters >> 1):
            out[2 * i] = HEX_DIGITS[data[i] >> 4]
            out[2 * i + 1] = HEX_DIGITS[data[i] & 0xF]
        return text
    for i in range(first, first + characters):
        out[i - first] = HEX_DIGITS[data[i >> 1] & 0xF if i & 1 else data[i >> 1] >> 4]
    return text


cdef str _decoded_text(const FieldSpec *spec, CodePage page, bytes data):
    """Text of a field; None when its encoding has no character for some byte."""
    cdef const uint8_t *at = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    cdef object text
    cdef uint8_t *out
    cdef uint8_t high = 0
    cdef uint8_t substituted = 0
    cdef Py_ssize_t i
    if size == 0:
        return ""
    text = PyUnicode_New(size, 0x7F)
    out = PyUnicode_1BYTE_DATA(text)
    if spec.to_ascii == NULL:
        memcpy(out, at, size)
        for i in range(size):
            high |= at[i]
    else:
        for i in range(size):
            out[i] = spec.to_ascii[at[i]]
            high |= out[i]
            substituted |= out[i] == 0x1A
    if not high & 0x80 and not substituted:
        return text
    # Beyond ASCII, Python's own codec has the say.
    try:
        return data.decode(page.name)
    except UnicodeError:
        return None


cdef object _field_error(Spec spec, int number, const Fault *fault, object s, size_t start, Reader *reader,
                         dict doc_dec, dict doc_enc, dict entry):
    """Error for a field that ``take_field`` refused; ``start`` is where the field began."""
    cdef const FieldSpec *field = &spec.fields[number]
    cdef str key = KEYS[number]
    cdef CodePage page
    cdef size_t position = reader_position(reader)
    width = field.length_width
    unit = "nibbles" if field.counts_nibbles else "bytes"
    doc_dec[key] = ""
    doc_enc[key] = entry
    entry["len"] = bytes(s[start:start + width])
    if fault.code == FAULT_TRUNCATED and width and position == start:
        return _decode_error(f"Field length is {fault.available} bytes wide, expecting {width}", s, doc_dec, doc_enc,
                             start, key, width, fault.available)
    if fault.code == FAULT_TRUNCATED:
        entry["data"] = bytes(s[position:])
        count = _told_length(spec, number, entry["len"])
        there = 2 * fault.available if field.counts_nibbles else fault.available
        return _decode_error(f"Field data is {there} {unit}, expecting {count}", s, doc_dec, doc_enc, position, key,
                             count, there)
    if fault.code == FAULT_LENGTH_LIMIT:
        count = _told_length(spec, number, entry["len"])
        return _decode_error(f"Field data is {count} {unit}, larger than maximum {field.max_length}", s, doc_dec,
                             doc_enc, start, key, field.max_length, count)
    if field.length_encoding == LENGTH_BCD:
        msg = "Failed to decode field length, invalid BCD data"
    else:
        page = spec.length_pages[number]
        try:
            entry["len"].decode(page.name)
            msg = "Failed to decode field length, non-numeric data"
        except UnicodeError:
            msg = "Failed to decode field length, invalid data"
    return _decode_error(msg, s, doc_dec, doc_enc, start, key)


cdef object _told_length(Spec spec, int number, bytes length):
    """The length that a readable length header tells, or that of a fixed field."""
    cdef const FieldSpec *field = &spec.fields[number]
    if not field.length_width:
        return field.max_length
    if field.length_encoding == LENGTH_BINARY:
        return int.from_bytes(length, "big")
    if field.length_encoding == LENGTH_BCD:
        return int(length.hex())
    return int(length.decode((<CodePage>spec.length_pages[number]).name))


cdef int _decode_field(Spec spec, int number, object s, Reader *reader, dict doc_dec, dict doc_enc) except -1:
    cdef const FieldSpec *field = &spec.fields[number]
    cdef str key = KEYS[number]
    cdef dict entry
    cdef bytes data
    cdef str text
    cdef Fault fault
    cdef const uint8_t *at = NULL
    cdef const uint8_t *start = reader.at
    cdef size_t position = reader_position(reader)
    cdef uint32_t size = 0
    cdef uint32_t count = 0
    if not field.defined:
        raise _decode_error(NO_SPEC, s, doc_dec, doc_enc, position, key)
    entry = EMPTY_ENTRY.copy()
    if take_field(field, reader, &at, &size, &count, &fault) < 0:
        raise _field_error(spec, number, &fault, s, position, reader, doc_dec, doc_enc, entry)
    if field.length_width:
        entry["len"] = PyBytes_FromStringAndSize(<const char *>start, field.length_width)
    data = PyBytes_FromStringAndSize(<const char *>at, size)
    entry["data"] = data
    doc_enc[key] = entry
    if field.data_encoding != DATA_BINARY:
        text = _decoded_text(field, spec.data_pages[number], data)
        if text is None:
            doc_dec[key] = ""
            raise _decode_error("Failed to decode field, invalid data", s, doc_dec, doc_enc,
                                reader_position(reader) - size, key)
        doc_dec[key] = text
    elif field.counts_nibbles and count & 1:
        if field.pad_side == PAD_LEFT and at[0] >> 4 == field.pad_nibble:
            doc_dec[key] = _hex_text(at, 1, count)
        elif (field.pad_side == PAD_RIGHT and at[size - 1] & 0xF == field.pad_nibble) or (
            field.pad_side == PAD_LEFT and at[size - 1] & 0xF == field.right_pad_nibble
        ):
            doc_dec[key] = _hex_text(at, 0, count)
        else:
            doc_dec[key] = _hex_text(at, 0, 2 * size)
            raise _decode_error(f"Field data is {2 * size} nibbles, expecting {count}", s, doc_dec, doc_enc,
                                reader_position(reader) - size, key, count, 2 * size)
    else:
        doc_dec[key] = _hex_text(at, 0, 2 * size)
    return 0


cdef bytes _take_fixed(const FieldSpec *field, str key, object s, Reader *reader, dict doc_dec, dict doc_enc,
                       bint extends):
    """Read the bytes of "t", "p" or "1", and note them in the documents."""
    cdef const uint8_t *at = NULL
    cdef size_t position = reader_position(reader)
    cdef Py_ssize_t expected = field.fixed_bytes
    cdef dict entry = EMPTY_ENTRY.copy()
    cdef bytes data
    short = reader_take(reader, expected, &at) < 0
    data = bytes(s[position:]) if short else PyBytes_FromStringAndSize(<const char *>at, expected)
    if extends:
        entry["data"] = (<dict>doc_enc[key])["data"] + data
        expected *= 2
    else:
        entry["data"] = data
        doc_dec[key] = ""
    doc_enc[key] = entry
    if short:
        there = len(entry["data"])
        raise _decode_error(f"Field data is {there} bytes, expecting {expected}", s, doc_dec, doc_enc, position, key,
                            expected, there)
    return data


cdef int _decode_type(Spec spec, object s, Reader *reader, dict doc_dec, dict doc_enc) except -1:
    cdef size_t position = reader_position(reader)
    cdef bytes data = _take_fixed(&spec.type_spec, "t", s, reader, doc_dec, doc_enc, False)
    cdef str text
    if spec.type_spec.data_encoding == DATA_BINARY:
        text = _hex_text(<const uint8_t *>PyBytes_AS_STRING(data), 0, 4)
    else:
        text = _decoded_text(&spec.type_spec, spec.type_page, data)
        if text is None:
            raise _decode_error("Failed to decode field, invalid data", s, doc_dec, doc_enc, position, "t")
    doc_dec["t"] = text
    return 0


cdef int _decode_bitmap(const FieldSpec *field, CodePage page, str key, object s, Reader *reader, dict doc_dec,
                        dict doc_enc, bint extends, uint64_t *bitmap) except -1:
    cdef size_t position = reader_position(reader)
    cdef bytes data = _take_fixed(field, key, s, reader, doc_dec, doc_enc, extends)
    cdef const uint8_t *at = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef str text
    cdef uint64_t word = 0
    cdef int value
    cdef int wrong = 0
    cdef Py_ssize_t i
    if field.data_encoding == DATA_BINARY:
        text = _hex_text(at, 0, 16)
        word = load_be64(at)
    else:
        text = _decoded_text(field, page, data)
        if text is None:
            raise _decode_error("Failed to decode field, invalid data", s, doc_dec, doc_enc, position, key)
        for i in range(16):
            value = _hex_value(field.to_ascii[at[i]] if field.to_ascii != NULL else at[i])
            wrong |= value
            word = (word << 4) | <uint64_t>(value & 0xF)
    doc_dec[key] = doc_dec[key] + text if extends else text
    if wrong < 0:
        raise _decode_error("Failed to decode field, non-hex data", s, doc_dec, doc_enc, position, key)
    bitmap[0] = word
    return 0


cdef inline int _hex_value(uint32_t character) noexcept nogil:
    """Value of a hex digit of either case, -1 for anything else."""
    if character - 0x30 < 10:
        return <int>(character - 0x30)
    character |= 0x20
    return <int>(character - 0x57) if character - 0x61 < 6 else -1


cdef int _decode_all(Spec spec, object s, Reader *reader, dict doc_dec, dict doc_enc) except -1:
    cdef uint64_t bitmap[3]
    cdef uint64_t bits
    cdef int words = 1
    cdef int word
    cdef int place
    cdef str key = "p"
    if spec.has_header:
        _decode_field(spec, FIELD_HEADER, s, reader, doc_dec, doc_enc)
    _decode_type(spec, s, reader, doc_dec, doc_enc)
    _decode_bitmap(&spec.bitmap_spec, spec.bitmap_page, key, s, reader, doc_dec, doc_enc, False, &bitmap[0])
    while words < 3 and bitmap[words - 1] & FIRST_BIT:
        key = "1"
        if not spec.fields[SECONDARY].defined:
            raise _decode_error(NO_SPEC, s, doc_dec, doc_enc, reader_position(reader), key)
        _decode_bitmap(&spec.fields[SECONDARY], spec.data_pages[SECONDARY], key, s, reader, doc_dec, doc_enc,
                       words == 2, &bitmap[words])
        bitmap[words - 1] ^= FIRST_BIT
        words += 1
    for word in range(words):
        bits = bitmap[word]
        while bits:
            place = count_leading_zeros(bits)
            bits ^= FIRST_BIT >> place
            key = KEYS[64 * word + place + 1]
            _decode_field(spec, 64 * word + place + 1, s, reader, doc_dec, doc_enc)
    if reader.left:
        raise _decode_error("Extra data after last field", s, doc_dec, doc_enc, reader_position(reader), key, 0,
                            reader.left)
    return 0


cpdef tuple decode(object s, object spec):
    """Decode one message.

    Args:
        s: The message, ``bytes`` or ``bytearray``; without framing.
        spec: A ``Spec``, or a pyiso8583 dictionary. A dictionary is compared with what was compiled from it at each
            call, which takes longer than the decoding: compile it where speed matters.

    Returns:
        ``(doc_dec, doc_enc)``: the fields as text, and as bytes on the wire.

    Raises:
        DecodeError: The bytes are no message of this specification.
        SpecError: The dictionary is wrong.
        TypeError: ``s`` is neither ``bytes`` nor ``bytearray``.
    """
    cdef Spec compiled
    cdef Py_buffer view
    cdef Reader reader
    cdef dict doc_dec = {}
    cdef dict doc_enc = {}
    if not isinstance(s, (bytes, bytearray)):
        raise TypeError(f"Encoded ISO8583 data must be bytes or bytearray, not {type(s).__name__}")
    compiled = known_spec(spec)
    # The view keeps a bytearray from being resized meanwhile.
    PyObject_GetBuffer(s, &view, PyBUF_SIMPLE)
    try:
        reader_over(&reader, <const uint8_t *>view.buf, <size_t>view.len)
        _decode_all(compiled, s, &reader, doc_dec, doc_enc)
    finally:
        PyBuffer_Release(&view)
    return doc_dec, doc_enc


# --- encoding ----------------------------------------------------------------------------------------------------

cdef object _encode_error(str msg, dict doc_dec, dict doc_enc, str field, needed=0, available=0):
    return EncodeError(msg, doc_dec, doc_enc, field, needed, available)


cdef bytes _encoded_text(const FieldSpec *spec, CodePage page, object text):
    """Bytes of a text in the field's encoding; None when it is no text or has a character without a byte."""
    cdef const uint8_t *at
    cdef bytes data
    cdef uint8_t *out
    cdef Py_ssize_t size
    cdef Py_ssize_t i
    if not isinstance(text, str):
        return None
    if PyUnicode_IS_ASCII(text) and page.holds_ascii:
        at = PyUnicode_1BYTE_DATA(text)
        size = PyUnicode_GET_LENGTH(text)
        if spec.from_ascii == NULL:
            return PyBytes_FromStringAndSize(<const char *>at, size)
        data = PyBytes_FromStringAndSize(NULL, size)
        out = <uint8_t *>PyBytes_AS_STRING(data)
        for i in range(size):
            out[i] = spec.from_ascii[at[i]]
        return data
    try:
        return text.encode(page.name)
    except UnicodeError:
        return None


cdef bytes _packed(const uint8_t *digits, Py_ssize_t size, int left_pad, int right_pad):
    """Hex digits as bytes, with a pad nibble (or -1) on either side; None when one is no hex digit."""
    cdef Py_ssize_t nibbles = size + (left_pad >= 0) + (right_pad >= 0)
    cdef bytes data = PyBytes_FromStringAndSize(NULL, nibbles >> 1)
    cdef uint8_t *out = <uint8_t *>PyBytes_AS_STRING(data)
    cdef int high = left_pad
    cdef int value
    cdef int wrong = 0
    cdef Py_ssize_t i
    for i in range(size):
        value = _hex_value(digits[i])
        wrong |= value
        if high < 0:
            high = value
        else:
            out[0] = <uint8_t>(high << 4 | value & 0xF)
            out += 1
            high = -1
    if wrong < 0:
        return None
    if right_pad >= 0:
        out[0] = <uint8_t>(high << 4 | right_pad)
    return data


cdef bytes _encode_data(const FieldSpec *field, CodePage page, object value, str key, dict doc_dec, dict doc_enc,
                        Py_ssize_t *count):
    """Bytes of a field's data, and how many of its units they are."""
    cdef bytes data
    cdef Py_ssize_t size
    cdef int left_pad = -1
    cdef int right_pad = -1
    if field.data_encoding != DATA_BINARY:
        data = _encoded_text(field, page, value)
        if data is None:
            raise _encode_error("Failed to encode field, invalid data", doc_dec, doc_enc, key)
        count[0] = 2 * PyBytes_GET_SIZE(data) if field.counts_nibbles else PyBytes_GET_SIZE(data)
        return data
    data = None
    if isinstance(value, str):
        size = PyUnicode_GET_LENGTH(value)
        if size & 1:
            if field.counts_nibbles and field.pad_side == PAD_LEFT:
                left_pad = field.pad_nibble
            elif field.counts_nibbles and field.pad_side == PAD_RIGHT:
                right_pad = field.pad_nibble
            else:
                what = "nibble data, specify pad" if field.counts_nibbles else "hex data"
                raise _encode_error(f"Failed to encode field, odd-length {what}", doc_dec, doc_enc, key)
        if PyUnicode_IS_ASCII(value):
            data = _packed(PyUnicode_1BYTE_DATA(value), size, left_pad, right_pad)
    if data is None:
        raise _encode_error("Failed to encode field, non-hex data", doc_dec, doc_enc, key)
    count[0] = size if field.counts_nibbles else PyBytes_GET_SIZE(data)
    return data


cdef bytes _encoded_length(const FieldSpec *field, CodePage page, Py_ssize_t count):
    """A length as bytes on the wire; None when it does not fit into the width of the length."""
    cdef uint8_t out[8]
    cdef int i
    cdef Py_ssize_t left = count
    for i in range(field.length_width - 1, -1, -1):
        if field.length_encoding == LENGTH_BINARY:
            out[i] = left & 0xFF
            left >>= 8
        elif field.length_encoding == LENGTH_BCD:
            out[i] = <uint8_t>(left // 10 % 10 << 4 | left % 10)
            left //= 100
        else:
            out[i] = <uint8_t>(0x30 + left % 10)
            if field.length_from_ascii != NULL:
                out[i] = field.length_from_ascii[out[i]]
            left //= 10
    return None if left else PyBytes_FromStringAndSize(<const char *>out, field.length_width)


cdef class _Output:
    """The message as it grows."""

    cdef bytearray data
    cdef Py_ssize_t used

    def __cinit__(self):
        self.data = PyByteArray_FromStringAndSize(NULL, FIRST_ROOM)
        self.used = 0

    cdef int append(self, bytes part) except -1:
        cdef Py_ssize_t size = PyBytes_GET_SIZE(part)
        if size > len(self.data) - self.used:
            PyByteArray_Resize(self.data, 2 * (self.used + size))
        memcpy(PyByteArray_AS_STRING(self.data) + self.used, PyBytes_AS_STRING(part), size)
        self.used += size
        return 0

    cdef bytearray finish(self):
        PyByteArray_Resize(self.data, self.used)
        return self.data


cdef int _encode_field(Spec spec, int number, dict doc_dec, dict doc_enc, _Output out) except -1:
    cdef const FieldSpec *field = &spec.fields[number]
    cdef str key = KEYS[number]
    cdef dict entry
    cdef bytes data
    cdef bytes length
    cdef Py_ssize_t count = 0
    if not field.defined:
        raise _encode_error(NO_SPEC, doc_dec, doc_enc, key)
    entry = EMPTY_ENTRY.copy()
    doc_enc[key] = entry
    data = _encode_data(field, spec.data_pages[number], doc_dec[key], key, doc_dec, doc_enc, &count)
    entry["data"] = data
    if field.length_width == 0:
        if count != field.max_length:
            unit = "nibbles" if field.counts_nibbles else "bytes"
            raise _encode_error(f"Field data is {count} {unit}, expecting {field.max_length}", doc_dec, doc_enc, key,
                                field.max_length, count)
        return out.append(data)
    if count > field.max_length:
        unit = "nibbles" if field.counts_nibbles else "bytes"
        raise _encode_error(f"Field data is {count} {unit}, larger than maximum {field.max_length}", doc_dec, doc_enc,
                            key, field.max_length, count)
    length = _encoded_length(field, spec.length_pages[number], count)
    if length is None:
        raise _encode_error("Failed to encode field length, field length does not fit into configured field size",
                            doc_dec, doc_enc, key)
    entry["len"] = length
    out.append(length)
    return out.append(data)


cdef int _encode_type(Spec spec, dict doc_dec, dict doc_enc, _Output out) except -1:
    cdef Py_ssize_t count = 0
    cdef dict entry
    cdef bytes data
    if "t" not in doc_dec:
        raise _encode_error("Field data is required", doc_dec, doc_enc, "t")
    entry = EMPTY_ENTRY.copy()
    doc_enc["t"] = entry
    data = _encode_data(&spec.type_spec, spec.type_page, doc_dec["t"], "t", doc_dec, doc_enc, &count)
    entry["data"] = data
    if count != spec.type_spec.fixed_bytes:
        raise _encode_error(f"Field data is {count} bytes, expecting {spec.type_spec.fixed_bytes}", doc_dec, doc_enc,
                            "t", spec.type_spec.fixed_bytes, count)
    return out.append(data)


cdef int _encode_bitmap(const FieldSpec *field, CodePage page, str key, uint64_t bitmap, bint extends, dict doc_dec,
                        dict doc_enc, _Output out) except -1:
    cdef uint8_t binary[8]
    cdef int i
    cdef Py_ssize_t count = 0
    cdef dict entry
    cdef bytes data
    cdef str text
    if not field.defined:
        raise _encode_error(NO_SPEC, doc_dec, doc_enc, key)
    for i in range(8):
        binary[i] = <uint8_t>(bitmap >> (56 - 8 * i))
    text = _hex_text(binary, 0, 16)
    if extends:
        doc_dec[key] = doc_dec[key] + text
        entry = doc_enc[key]
    else:
        doc_dec[key] = text
        entry = EMPTY_ENTRY.copy()
        doc_enc[key] = entry
    data = _encode_data(field, page, text, key, doc_dec, doc_enc, &count)
    entry["data"] = entry["data"] + data if extends else data
    return out.append(data)


cdef int _read_keys(dict doc_dec, dict doc_enc, uint64_t *bitmap) except -1:
    """Set the bits of the fields in a document; keys that are no numbers ("h", "t", notes of the caller) are passed."""
    cdef int number
    cdef list strange = [key for key in doc_dec if not isinstance(key, str)]
    cdef list outside = []
    if strange:
        raise _encode_error(f"Dictionary contains invalid fields {strange}", doc_dec, doc_enc, "p")
    for key in doc_dec:
        known = NUMBERS.get(key)
        if known is not None:
            number = known - 1
            bitmap[number >> 6] |= FIRST_BIT >> (number & 63)
        elif key.isnumeric():
            if len(key) <= KEY_DIGITS_MAX and key.isdecimal() and str(int(key)) == key:
                outside.append(int(key))
            else:
                strange.append(key)
    if strange:
        raise _encode_error(f"Dictionary contains invalid fields {strange}", doc_dec, doc_enc, "p")
    if outside:
        raise _encode_error(f"Dictionary contains fields outside of 1-{FIELD_MAX} range {sorted(outside)}", doc_dec,
                            doc_enc, "p")
    return 0


cpdef tuple encode(object doc_dec, object spec):
    """Encode one message.

    Args:
        doc_dec: Fields as text. Bitmaps ("p", "1") are computed and put into it; "65" is taken out of it.
        spec: A ``Spec``, or a pyiso8583 dictionary, as for ``decode``.

    Returns:
        ``(s, doc_enc)``: the message as a ``bytearray``, and its fields as bytes on the wire.

    Raises:
        EncodeError: The specification cannot write this document.
        SpecError: The dictionary is wrong.
        TypeError: ``doc_dec`` is no ``dict``.
    """
    cdef Spec compiled
    cdef _Output out
    cdef dict document
    cdef dict doc_enc = {}
    cdef uint64_t bitmap[3]
    cdef uint64_t bits
    cdef int words = 1
    cdef int word
    cdef int place
    if not isinstance(doc_dec, dict):
        raise TypeError(f"Decoded ISO8583 data must be dict, not {type(doc_dec).__name__}")
    compiled = known_spec(spec)
    document = doc_dec
    document.pop("1", None)
    document.pop("65", None)
    out = _Output()
    if compiled.has_header:
        if "h" not in document:
            raise _encode_error("Field data is required according to specifications", document, doc_enc, "h")
        _encode_field(compiled, FIELD_HEADER, document, doc_enc, out)
    _encode_type(compiled, document, doc_enc, out)
    bitmap[0] = bitmap[1] = bitmap[2] = 0
    _read_keys(document, doc_enc, bitmap)
    # The first bit of a bitmap says that another one follows.
    for word in (2, 1):
        if bitmap[word]:
            bitmap[word - 1] |= FIRST_BIT
            words = max(words, word + 1)
    _encode_bitmap(&compiled.bitmap_spec, compiled.bitmap_page, "p", bitmap[0], False, document, doc_enc, out)
    for word in range(1, words):
        _encode_bitmap(&compiled.fields[SECONDARY], compiled.data_pages[SECONDARY], "1", bitmap[word], word == 2,
                       document, doc_enc, out)
        bitmap[word - 1] ^= FIRST_BIT
    for word in range(words):
        bits = bitmap[word]
        while bits:
            place = count_leading_zeros(bits)
            bits ^= FIRST_BIT >> place
            _encode_field(compiled, 64 * word + place + 1, document, doc_enc, out)
    return out.finish(), doc_enc
