"""Python dictionaries to whole messages, with the call shape, results and errors of pyiso8583 4.0.

Where this differs from pyiso8583 is listed in ``docs/codec-differences.md``.
"""

from __future__ import annotations

from cpython.bytearray cimport PyByteArray_FromStringAndSize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Next
from cpython.ref cimport Py_DECREF, Py_INCREF, PyObject
from libc.stdint cimport uint8_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy
from switch.wire.bitmap cimport FIRST_BIT, first_set_bit
from switch.wire.decode cimport EMPTY_ENTRY, NO_SPEC, hex_text, new_entry
from switch.wire.hexadecimal cimport hex_value
from switch.wire.spec cimport (
    CONTENT_HEX, DATA_BINARY, FIELD_HEADER, FIELD_KEYS, FIELD_MAX, FIELD_SLOTS, LENGTH_BCD, LENGTH_BINARY,
    LENGTH_WIDTH_MAX, PAD_LEFT, PAD_RIGHT, CodePage, FieldSpec, Spec, known_spec,
)

from switch.wire.faults import fault_words

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    uint8_t *PyUnicode_1BYTE_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef extern from *:
    # What Cython itself makes a dictionary display of known size with: one that need not grow.
    dict new_dictionary "__Pyx_PyDict_NewPresized" (Py_ssize_t expected)

cdef enum:
    FIRST_ROOM = 512              # bytes of a message being encoded, before it grows
    SECONDARY = 1
    KEY_DIGITS_MAX = 18


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
        fault: Its name in ``switch.wire.faults``, which words it for people.
    """

    def __init__(self, msg, doc_dec, doc_enc, field, needed=0, available=0, fault="unwritable"):
        super().__init__(f"{msg}: field {field}")
        self.msg = msg
        self.doc_dec = doc_dec
        self.doc_enc = doc_enc
        self.field = field
        self.needed = needed
        self.available = available
        self.fault = fault

    @property
    def safe_message(self):
        """The error in one line for a log: field and what is wrong."""
        return fault_words(self.fault, self.field, None, self.needed, self.available)

    def __reduce__(self):
        return type(self), (self.msg, self.doc_dec, self.doc_enc, self.field, self.needed, self.available, self.fault)


cdef object _encode_error(str msg, dict doc_dec, dict doc_enc, str field, needed=0, available=0, fault="unwritable"):
    return EncodeError(msg, doc_dec, doc_enc, field, needed, available, fault)


cdef object _value_error(str msg, dict doc_dec, dict doc_enc, str field, int needed):
    """Error for a value that has no bytes; the field is then in ``doc_enc`` without any."""
    doc_enc.setdefault(field, EMPTY_ENTRY.copy())
    return _encode_error(msg, doc_dec, doc_enc, field, needed, 0, "content")


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
        value = hex_value(digits[i])
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
            raise _value_error("Failed to encode field, invalid data", doc_dec, doc_enc, key, field.content)
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
                raise _value_error(f"Failed to encode field, odd-length {what}", doc_dec, doc_enc, key, CONTENT_HEX)
        if PyUnicode_IS_ASCII(value):
            data = _packed(PyUnicode_1BYTE_DATA(value), size, left_pad, right_pad)
    if data is None:
        raise _value_error("Failed to encode field, non-hex data", doc_dec, doc_enc, key, CONTENT_HEX)
    count[0] = size if field.counts_nibbles else PyBytes_GET_SIZE(data)
    return data


cdef int _write_length(const FieldSpec *field, Py_ssize_t count, uint8_t *out) noexcept:
    """Write a length as it stands on the wire; -1 when it does not fit into the width of the length."""
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
    return -1 if left else 0


cdef struct Output:
    # The message as it grows: in ``first``, and where that is too small in memory of its own.
    uint8_t *data
    Py_ssize_t used
    Py_ssize_t room
    uint8_t first[FIRST_ROOM]


cdef int _append(Output *out, const void *part, Py_ssize_t size) except -1:
    cdef Py_ssize_t room = 2 * (out.used + size)
    cdef uint8_t *larger
    if size > out.room - out.used:
        larger = <uint8_t *>(malloc(room) if out.data == out.first else realloc(out.data, room))
        if larger == NULL:
            raise MemoryError
        if out.data == out.first:
            memcpy(larger, out.first, out.used)
        out.data = larger
        out.room = room
    memcpy(out.data + out.used, part, size)
    out.used += size
    return 0


cdef object _size_error(const FieldSpec *field, Py_ssize_t count, str key, bytes data, dict doc_dec, dict doc_enc):
    """Error for data that is too long, or not as long as a fixed field."""
    doc_enc[key] = {"len": b"", "data": data}
    unit = "nibbles" if field.counts_nibbles else "bytes"
    limit = "larger than maximum" if field.length_width else "expecting"
    return _encode_error(f"Field data is {count} {unit}, {limit} {field.max_length}", doc_dec, doc_enc, key,
                         field.max_length, count, "length_limit" if field.length_width else "value")


cdef object _length_error(Spec spec, int number, Py_ssize_t count, bytes data, dict doc_dec, dict doc_enc):
    """Error for a length that does not fit into its width."""
    cdef str key = FIELD_KEYS[number]
    cdef bytes length = b""
    if spec.length_pages[number] is not None:
        length = str(count).encode((<CodePage>spec.length_pages[number]).name)
    doc_enc[key] = {"len": length, "data": data}
    return _encode_error("Failed to encode field length, field length does not fit into configured field size",
                         doc_dec, doc_enc, key, 0, count, "value")


cdef int _encode_field(Spec spec, int number, object value, dict doc_dec, dict doc_enc, Output *out) except -1:
    cdef const FieldSpec *field = &spec.fields[number]
    cdef str key = <str>FIELD_KEYS[number]
    cdef dict entry
    cdef bytes data
    cdef uint8_t length[LENGTH_WIDTH_MAX]
    cdef Py_ssize_t count = 0
    if not field.defined:
        raise _encode_error(NO_SPEC, doc_dec, doc_enc, key, 0, 0, "no_spec")
    data = _encode_data(field, spec.data_pages[number], value, key, doc_dec, doc_enc, &count)
    if count != field.max_length and (field.length_width == 0 or count > field.max_length):
        raise _size_error(field, count, key, data, doc_dec, doc_enc)
    if field.length_width:
        if _write_length(field, count, length) < 0:
            raise _length_error(spec, number, count, data, doc_dec, doc_enc)
        _append(out, length, field.length_width)
    entry = new_entry(spec, number, length)
    entry["data"] = data
    doc_enc[key] = entry
    return _append(out, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


cdef int _encode_type(Spec spec, dict doc_dec, dict doc_enc, Output *out) except -1:
    cdef Py_ssize_t count = 0
    cdef dict entry
    cdef bytes data
    if "t" not in doc_dec:
        raise _encode_error("Field data is required", doc_dec, doc_enc, "t", 0, 0, "missing")
    entry = EMPTY_ENTRY.copy()
    doc_enc["t"] = entry
    data = _encode_data(&spec.type_spec, spec.type_page, doc_dec["t"], "t", doc_dec, doc_enc, &count)
    entry["data"] = data
    if count != spec.type_spec.fixed_bytes:
        raise _encode_error(f"Field data is {count} bytes, expecting {spec.type_spec.fixed_bytes}", doc_dec, doc_enc,
                            "t", spec.type_spec.fixed_bytes, count, "type_digits")
    return _append(out, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


cdef int _encode_bitmap(const FieldSpec *field, CodePage page, str key, uint64_t bitmap, bint extends, dict doc_dec,
                        dict doc_enc, Output *out) except -1:
    cdef uint8_t binary[8]
    cdef int i
    cdef Py_ssize_t count = 0
    cdef dict entry
    cdef bytes data
    cdef str text
    if not field.defined:
        raise _encode_error(NO_SPEC, doc_dec, doc_enc, key, 0, 0, "no_spec")
    for i in range(8):
        binary[i] = <uint8_t>(bitmap >> (56 - 8 * i))
    text = hex_text(binary, 0, 16)
    if extends:
        doc_dec[key] = doc_dec[key] + text
        entry = doc_enc[key]
    else:
        doc_dec[key] = text
        entry = EMPTY_ENTRY.copy()
        doc_enc[key] = entry
    data = _encode_data(field, page, text, key, doc_dec, doc_enc, &count)
    entry["data"] = entry["data"] + data if extends else data
    return _append(out, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data))


cdef inline int _field_number(object key):
    """Number of a field, 1 to 192, from its plain decimal key; 0 for a word; -1 for what needs a closer look."""
    cdef Py_ssize_t size
    cdef Py_ssize_t i
    cdef const uint8_t *digits
    cdef int number = 0
    if not isinstance(key, str) or not PyUnicode_IS_ASCII(key):
        return -1
    size = PyUnicode_GET_LENGTH(key)
    digits = PyUnicode_1BYTE_DATA(key)
    if size == 0 or not 0x30 <= digits[0] <= 0x39:
        return 0
    if size > 3 or digits[0] == 0x30:
        return -1
    for i in range(size):
        if not 0x30 <= digits[i] <= 0x39:
            return 0
        number = number * 10 + digits[i] - 0x30
    return number if number <= FIELD_MAX else -1


cdef object _keys_error(dict doc_dec, dict doc_enc):
    """Error for a document with keys that are no text, or numbers of no field; None when all are well."""
    cdef list strange = [key for key in doc_dec if not isinstance(key, str)]
    cdef list outside = []
    if not strange:
        for key in doc_dec:
            if not key.isnumeric() or _field_number(key) > 0:
                continue
            if len(key) <= KEY_DIGITS_MAX and key.isdecimal() and str(int(key)) == key:
                outside.append(int(key))
            else:
                strange.append(key)
    if strange:
        return _encode_error(f"Dictionary contains invalid fields {strange}", doc_dec, doc_enc, "p")
    if outside:
        return _encode_error(f"Dictionary contains fields outside of 1-{FIELD_MAX} range {sorted(outside)}", doc_dec,
                             doc_enc, "p")
    return None


cdef int _read_keys(dict doc_dec, dict doc_enc, uint64_t *found, PyObject **values) except -1:
    """Set the bits of the fields in a document and take references to their values, by number.

    Keys that are no numbers ("h", "t", the caller's own) are passed.
    """
    cdef PyObject *key
    cdef PyObject *value
    cdef Py_ssize_t at = 0
    cdef uint64_t bit
    cdef int number
    cdef bint doubtful = False
    while PyDict_Next(doc_dec, &at, &key, &value):
        number = _field_number(<object>key)
        if number > 0:
            bit = FIRST_BIT >> ((number - 1) & 63)
            # A key of a class of its own may spell a number that was there before.
            if not found[(number - 1) >> 6] & bit:
                found[(number - 1) >> 6] |= bit
                values[number] = value
                Py_INCREF(<object>value)
        elif number < 0:
            doubtful = True
    if doubtful:
        error = _keys_error(doc_dec, doc_enc)
        if error is not None:
            raise error
    return 0


cdef void _release(const uint64_t *found, PyObject **values):
    """Let go of the values that ``_read_keys`` took."""
    cdef uint64_t bits
    cdef int word
    cdef int place
    for word in range(3):
        bits = found[word]
        while bits:
            place = first_set_bit(bits)
            bits ^= FIRST_BIT >> place
            Py_DECREF(<object>values[64 * word + place + 1])


cdef int _encode_all(Spec spec, dict document, dict doc_enc, uint64_t *found, PyObject **values,
                     Output *out) except -1:
    cdef uint64_t bitmap[3]
    cdef uint64_t bits
    cdef int words = 1
    cdef int word
    cdef int place
    if spec.has_header:
        if "h" not in document:
            raise _encode_error("Field data is required according to specifications", document, doc_enc, "h", 0, 0,
                                "missing")
        _encode_field(spec, FIELD_HEADER, document["h"], document, doc_enc, out)
    _encode_type(spec, document, doc_enc, out)
    _read_keys(document, doc_enc, found, values)
    memcpy(bitmap, found, sizeof(bitmap))
    # The first bit of a bitmap says that another one follows.
    for word in (2, 1):
        if bitmap[word]:
            bitmap[word - 1] |= FIRST_BIT
            words = max(words, word + 1)
    _encode_bitmap(&spec.bitmap_spec, spec.bitmap_page, "p", bitmap[0], False, document, doc_enc, out)
    for word in range(1, words):
        _encode_bitmap(&spec.fields[SECONDARY], spec.data_pages[SECONDARY], "1", bitmap[word], word == 2, document,
                       doc_enc, out)
    for word in range(words):
        bits = bitmap[word] if word == words - 1 else bitmap[word] & ~FIRST_BIT
        while bits:
            place = first_set_bit(bits)
            bits ^= FIRST_BIT >> place
            _encode_field(spec, 64 * word + place + 1, <object>values[64 * word + place + 1], document, doc_enc, out)
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
    cdef dict document
    cdef dict doc_enc
    cdef Spec compiled
    cdef Output out
    cdef uint64_t found[3]
    cdef PyObject *values[FIELD_SLOTS]
    if not isinstance(doc_dec, dict):
        raise TypeError(f"Decoded ISO8583 data must be dict, not {type(doc_dec).__name__}")
    compiled = known_spec(spec)
    document = doc_dec
    doc_enc = new_dictionary(len(document) + 1)
    document.pop("1", None)
    document.pop("65", None)
    out.data = out.first
    out.used = 0
    out.room = FIRST_ROOM
    found[0] = found[1] = found[2] = 0
    try:
        _encode_all(compiled, document, doc_enc, found, values, &out)
        return PyByteArray_FromStringAndSize(<const char *>out.data, out.used), doc_enc
    finally:
        if out.data != out.first:
            free(out.data)
        _release(found, values)
