"""Whole messages to Python dictionaries, with the call shape, results and errors of pyiso8583 4.0.

``doc_dec`` maps keys ("h", "t", "p", "1", "2" to "192") to text; ``doc_enc`` maps them to the bytes on the wire,
``{"len": ..., "data": ...}``. Where this differs from pyiso8583 is listed in ``docs/codec-differences.md``.
"""

from __future__ import annotations

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_Copy
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy
from switch.wire.bitmap cimport FIRST_BIT, first_set_bit
from switch.wire.character_classes cimport are_ascii, nibble_at, pad_of
from switch.wire.cursor cimport Reader, load_be64, reader_over, reader_position, reader_take
from switch.wire.hexadecimal cimport hex_digit, hex_value
from switch.wire.scan cimport FAULT_LENGTH_LIMIT, FAULT_TRUNCATED, Fault, FieldData, take_field
from switch.wire.spec cimport (
    DATA_BINARY, DOCUMENTS_REMEMBERED, FIELD_HEADER, FIELD_KEYS, LENGTH_BCD, LENGTH_BINARY, PAD_LEFT, PAD_NONE,
    CodePage, FieldSpec, RawBitmap, Spec, known_spec,
)
from switch.wire.faults import fault_words

cdef extern from "Python.h":
    uint8_t *PyUnicode_1BYTE_DATA(object text)
    str PyUnicode_New(Py_ssize_t size, uint32_t highest)

cdef enum:
    SECONDARY = 1

EMPTY_ENTRY = {"len": b"", "data": b""}
NO_SPEC = "Field is not defined in specifications"
CONTENT_PRINTABLE = 4     # of ``switch.wire.faults.CONTENTS``


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
        fault: Its name in ``switch.wire.faults``, which words it for people.
    """

    def __init__(self, msg, s, doc_dec, doc_enc, pos, field, needed=0, available=0, fault="value"):
        super().__init__(f"{msg}: field {field} pos {pos}")
        self.msg = msg
        self.s = s
        self.doc_dec = doc_dec
        self.doc_enc = doc_enc
        self.pos = pos
        self.field = field
        self.needed = needed
        self.available = available
        self.fault = fault

    @property
    def safe_message(self):
        """The error in one line for a log: field, what is wrong, byte offset."""
        if self.fault == "content":       # of which it is known only that it is no text
            return fault_words(self.fault, self.field, self.pos, CONTENT_PRINTABLE)
        return fault_words(self.fault, self.field, self.pos, self.needed, self.available)

    def __reduce__(self):
        return type(self), (
            self.msg, self.s, self.doc_dec, self.doc_enc, self.pos, self.field, self.needed, self.available,
            self.fault,
        )


cdef str hex_text(const uint8_t *data, uint32_t first, uint32_t characters):
    cdef str text = PyUnicode_New(characters, 0x7F)
    cdef uint8_t *out
    cdef uint32_t i
    if characters == 0:
        return text
    out = PyUnicode_1BYTE_DATA(text)
    if not first and not characters & 1:
        for i in range(characters >> 1):
            out[2 * i] = hex_digit(data[i] >> 4)
            out[2 * i + 1] = hex_digit(data[i] & 0xF)
        return text
    for i in range(characters):
        out[i] = hex_digit(nibble_at(data, first + i))
    return text


cdef object _decode_error(str msg, object s, dict doc_dec, dict doc_enc, size_t pos, str field, needed=0, available=0,
                          fault="content"):
    return DecodeError(msg, s, doc_dec, doc_enc, pos, field, needed, available, fault)


@cython.boundscheck(False)    # ``entries`` has a place for every field's number
@cython.wraparound(False)
cdef dict new_entry(Spec spec, int number, const uint8_t *length):
    cdef uint32_t width = spec.fields[number].length_width
    cdef uint64_t word = 0
    if width:
        memcpy(&word, length, width)
        if word != spec.entry_lengths[number]:
            spec.entries[number] = {"len": PyBytes_FromStringAndSize(<const char *>length, width), "data": b""}
            spec.entry_lengths[number] = word
    return PyDict_Copy(<dict>spec.entries[number])


cdef inline str _text_as_it_is(const uint8_t *at, uint32_t size):
    """Text of ASCII characters; None when one is none."""
    cdef str text
    if size == 0:
        return ""
    if not are_ascii(at, size):
        return None
    text = PyUnicode_New(size, 0x7F)
    memcpy(PyUnicode_1BYTE_DATA(text), at, size)
    return text


cdef str _text_by_table(const FieldSpec *spec, const uint8_t *at, uint32_t size):
    """Text of a code page; None when a character is beyond ASCII or may stand for another."""
    cdef str text = PyUnicode_New(size, 0x7F)
    cdef uint8_t *out
    cdef uint8_t high = 0
    cdef uint8_t substituted = 0
    cdef uint32_t i
    if size == 0:
        return text
    out = PyUnicode_1BYTE_DATA(text)
    for i in range(size):
        out[i] = spec.to_ascii[at[i]]
        high |= out[i]
        substituted |= out[i] == 0x1A
    return None if high & 0x80 or substituted else text


cdef inline str _quick_text(const FieldSpec *spec, const uint8_t *at, uint32_t size):
    """Text of a field without Python's codec; None when that must have the say."""
    return _text_as_it_is(at, size) if spec.to_ascii == NULL else _text_by_table(spec, at, size)


cdef str _text_by_codec(CodePage page, const uint8_t *at, uint32_t size):
    """Text as Python's codec has it; None when it has no character for some byte."""
    try:
        return PyBytes_FromStringAndSize(<const char *>at, size).decode(page.name)
    except UnicodeError:
        return None


cdef str _decoded_text(const FieldSpec *spec, CodePage page, const uint8_t *at, uint32_t size):
    cdef str text = _quick_text(spec, at, size)
    return text if text is not None else _text_by_codec(page, at, size)


cdef object _field_error(Spec spec, int number, const Fault *fault, object s, size_t start, Reader *reader,
                         dict doc_dec, dict doc_enc):
    """Error for a field that ``take_field`` refused; ``start`` is where the field began."""
    cdef const FieldSpec *field = &spec.fields[number]
    cdef str key = FIELD_KEYS[number]
    cdef CodePage page
    cdef size_t position = reader_position(reader)
    width = field.length_width
    unit = "nibbles" if field.counts_nibbles else "bytes"
    entry = EMPTY_ENTRY.copy()
    doc_dec[key] = ""
    doc_enc[key] = entry
    entry["len"] = bytes(s[start:start + width])
    if fault.code == FAULT_TRUNCATED and width and position == start:
        return _decode_error(f"Field length is {fault.available} bytes wide, expecting {width}", s, doc_dec, doc_enc,
                             start, key, width, fault.available, "truncated")
    if fault.code == FAULT_TRUNCATED:
        entry["data"] = bytes(s[position:])
        count = _told_length(spec, number, entry["len"])
        there = 2 * fault.available if field.counts_nibbles else fault.available
        return _decode_error(f"Field data is {there} {unit}, expecting {count}", s, doc_dec, doc_enc, position, key,
                             count, there, "value" if field.counts_nibbles else "truncated")
    if fault.code == FAULT_LENGTH_LIMIT:
        count = _told_length(spec, number, entry["len"])
        return _decode_error(f"Field data is {count} {unit}, larger than maximum {field.max_length}", s, doc_dec,
                             doc_enc, start, key, field.max_length, count, "length_limit")
    if field.length_encoding == LENGTH_BCD:
        msg = "Failed to decode field length, invalid BCD data"
    else:
        page = spec.length_pages[number]
        try:
            entry["len"].decode(page.name)
            msg = "Failed to decode field length, non-numeric data"
        except UnicodeError:
            msg = "Failed to decode field length, invalid data"
    return _decode_error(msg, s, doc_dec, doc_enc, start, key, 0, 0, "length_digits")


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


@cython.boundscheck(False)    # a bit of a bitmap is the number of a field
@cython.wraparound(False)
cdef int _decode_field(Spec spec, int number, object s, Reader *reader, dict doc_dec, dict doc_enc) except -1:
    cdef const FieldSpec *field = &spec.fields[number]
    cdef str key = <str>FIELD_KEYS[number]
    cdef dict entry
    cdef str text
    cdef Fault fault
    cdef FieldData taken
    cdef const uint8_t *start = reader.at
    cdef size_t position = reader_position(reader)
    cdef int pad
    if not field.defined:
        raise _decode_error(NO_SPEC, s, doc_dec, doc_enc, position, key, 0, 0, "no_spec")
    if take_field(field, reader, &taken, &fault) < 0:
        raise _field_error(spec, number, &fault, s, position, reader, doc_dec, doc_enc)
    entry = new_entry(spec, number, start)
    entry["data"] = PyBytes_FromStringAndSize(<const char *>taken.data, taken.size)
    doc_enc[key] = entry
    if field.data_encoding != DATA_BINARY:
        text = _quick_text(field, taken.data, taken.size)
        if text is None:
            text = _text_by_codec(spec.data_pages[number], taken.data, taken.size)
        if text is None:
            doc_dec[key] = ""
            raise _decode_error("Failed to decode field, invalid data", s, doc_dec, doc_enc,
                                reader_position(reader) - taken.size, key)
        doc_dec[key] = text
    else:
        pad = pad_of(field, taken.data, taken.size, taken.count)
        if pad < 0:
            doc_dec[key] = hex_text(taken.data, 0, 2 * taken.size)
            raise _decode_error(f"Field data is {2 * taken.size} nibbles, expecting {taken.count}", s, doc_dec, doc_enc,
                                reader_position(reader) - taken.size, key, taken.count, 2 * taken.size, "value")
        doc_dec[key] = hex_text(taken.data, pad == PAD_LEFT, 2 * taken.size - (pad != PAD_NONE))
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
                            expected, there, "truncated")
    return data


cdef int _decode_type(Spec spec, object s, Reader *reader, dict doc_dec, dict doc_enc) except -1:
    cdef size_t position = reader_position(reader)
    cdef bytes data = _take_fixed(&spec.type_spec, "t", s, reader, doc_dec, doc_enc, False)
    cdef const uint8_t *at = <const uint8_t *>PyBytes_AS_STRING(data)
    cdef str text
    if spec.type_spec.data_encoding == DATA_BINARY:
        text = hex_text(at, 0, 4)
    else:
        text = _decoded_text(&spec.type_spec, spec.type_page, at, spec.type_spec.fixed_bytes)
        if text is None:
            raise _decode_error("Failed to decode field, invalid data", s, doc_dec, doc_enc, position, "t", 0, 0,
                                "type_digits")
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
        text = hex_text(at, 0, 16)
        word = load_be64(at)
    else:
        text = _decoded_text(field, page, at, field.fixed_bytes)
        if text is None:
            raise _decode_error("Failed to decode field, invalid data", s, doc_dec, doc_enc, position, key, 0, 0,
                                "bitmap_digits")
        for i in range(16):
            value = hex_value(field.to_ascii[at[i]] if field.to_ascii != NULL else at[i])
            wrong |= value
            word = (word << 4) | <uint64_t>(value & 0xF)
    doc_dec[key] = doc_dec[key] + text if extends else text
    if wrong < 0:
        raise _decode_error("Failed to decode field, non-hex data", s, doc_dec, doc_enc, position, key, 0, 0,
                            "bitmap_digits")
    bitmap[0] = word
    return 0


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
            raise _decode_error(NO_SPEC, s, doc_dec, doc_enc, reader_position(reader), key, 0, 0, "no_spec")
        _decode_bitmap(&spec.fields[SECONDARY], spec.data_pages[SECONDARY], key, s, reader, doc_dec, doc_enc,
                       words == 2, &bitmap[words])
        bitmap[words - 1] ^= FIRST_BIT
        words += 1
    for word in range(words):
        bits = bitmap[word]
        while bits:
            place = first_set_bit(bits)
            bits ^= FIRST_BIT >> place
            key = FIELD_KEYS[64 * word + place + 1]
            _decode_field(spec, 64 * word + place + 1, s, reader, doc_dec, doc_enc)
    if reader.left:
        raise _decode_error("Extra data after last field", s, doc_dec, doc_enc, reader_position(reader), key, 0,
                            reader.left, "trailing")
    return 0


cdef int _place_of(Spec spec, Reader reader, RawBitmap *bitmap) noexcept:
    """Where documents with the message's primary bitmap are remembered; -1 where that cannot be told beforehand."""
    cdef const uint8_t *at = NULL
    if spec.has_header or reader_take(&reader, spec.type_spec.fixed_bytes, &at) < 0:
        return -1
    if reader_take(&reader, spec.bitmap_spec.fixed_bytes, &at) < 0:
        return -1
    bitmap.last = 0
    memcpy(bitmap, at, spec.bitmap_spec.fixed_bytes)
    return <int>((bitmap.first ^ bitmap.last) * <uint64_t>0x9E3779B97F4A7C15 >> 32) & (DOCUMENTS_REMEMBERED - 1)


cdef int _drop_placeholders(dict document) except -1:
    """Take the keys out that a message which broke off did not come to."""
    for key in [key for key, value in document.items() if value is None]:
        del document[key]
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
    cdef RawBitmap bitmap
    cdef int place
    cdef bint known
    cdef dict doc_dec
    cdef dict doc_enc
    if not isinstance(s, (bytes, bytearray)):
        raise TypeError(f"Encoded ISO8583 data must be bytes or bytearray, not {type(s).__name__}")
    compiled = known_spec(spec)
    # The view keeps a bytearray from being resized meanwhile.
    PyObject_GetBuffer(s, &view, PyBUF_SIMPLE)
    try:
        reader_over(&reader, <const uint8_t *>view.buf, <size_t>view.len)
        place = _place_of(compiled, reader, &bitmap)
        known = place >= 0 and memcmp(&compiled.document_bitmaps[place], &bitmap, sizeof(bitmap)) == 0
        if known:
            doc_dec = PyDict_Copy(<dict>compiled.documents[place])
            doc_enc = PyDict_Copy(<dict>compiled.documents[place])
        else:
            doc_dec = {}
            doc_enc = {}
        try:
            _decode_all(compiled, s, &reader, doc_dec, doc_enc)
        except DecodeError:
            _drop_placeholders(doc_dec)
            _drop_placeholders(doc_enc)
            raise
    finally:
        PyBuffer_Release(&view)
    # What a secondary bitmap adds does not follow from the primary one.
    if place >= 0 and not known and "1" not in doc_dec:
        compiled.documents[place] = dict.fromkeys(doc_dec)
        compiled.document_bitmaps[place] = bitmap
    return doc_dec, doc_enc
