"""Writing one field of a message in the encoding of its destination.

Where both sides write a value alike its bytes are copied; digits are packed and unpacked two at a time; what is left
(code pages, padding, values that have to be checked) goes through ASCII characters in a small buffer on the stack.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from switch.wire.character_classes cimport ascii_agrees, pad_of
from switch.wire.cursor cimport Writer, store_be64, writer_reserve, writer_size
from switch.wire.hexadecimal cimport spread_hex
from switch.wire.scan cimport FAULT_ROOM, FAULT_VALUE, Fault
from switch.wire.spec cimport (
    CONTENT_A, CONTENT_AN, CONTENT_ANS, CONTENT_ANY, CONTENT_N, CONTENT_XN, CONTENT_Z, DATA_BINARY, DATA_CODE_PAGE,
    LENGTH_BCD, LENGTH_BINARY, LENGTH_CODE_PAGE, PAD_LEFT, PAD_RIGHT, FieldSpec,
)

cdef enum:
    CHUNK = 256               # characters that are converted at a time; even

# Nibble that a hex digit stands for; '=' is track 2's D. Two characters that a byte's nibbles stand for, the second
# table with '=' for D.
cdef uint8_t NIBBLES[256]
cdef uint8_t HEX_PAIRS[512]
cdef uint8_t TRACK_PAIRS[512]


cdef int _fill_tables() except -1:
    cdef int byte
    for byte, character in enumerate("0123456789ABCDEF"):
        NIBBLES[ord(character)] = byte
        NIBBLES[ord(character.lower())] = byte
    NIBBLES[ord("=")] = 0xD
    for byte in range(256):
        for place, digit in enumerate(f"{byte:02X}"):
            HEX_PAIRS[2 * byte + <int>place] = ord(digit)
            TRACK_PAIRS[2 * byte + <int>place] = ord("=" if digit == "D" else digit)
    return 0


_fill_tables()


# --- the usual operations --------------------------------------------------------------------------------------------

cdef inline void _put_length(const FieldSpec *spec, uint8_t *out, uint32_t length) noexcept nogil:
    """Write ``length_width`` bytes of a length that is known to fit."""
    cdef uint32_t rest = length
    cdef int i
    for i in range(<int>spec.length_width - 1, -1, -1):
        if spec.length_encoding == LENGTH_BCD:
            out[i] = <uint8_t>(((rest // 10) % 10) << 4 | rest % 10)
            rest //= 100
        elif spec.length_encoding == LENGTH_BINARY:
            out[i] = <uint8_t>(rest & 0xFF)
            rest >>= 8
        else:
            out[i] = <uint8_t>(0x30 + rest % 10)
            rest //= 10
            if spec.length_encoding == LENGTH_CODE_PAGE:
                out[i] = spec.length_from_ascii[out[i]]


cdef inline uint8_t *_open_field(const CompiledStep *step, Writer *writer, uint32_t length, uint32_t size,
                                 Fault *fault) noexcept nogil:
    """Write the length of a field, if it has one, and give the place for ``size`` bytes of data; NULL on a fault."""
    cdef const FieldSpec *spec = step.target
    cdef uint8_t *at = NULL
    if spec.length_width and length > step.limit:
        fail(fault, FAULT_VALUE, step.field, writer_size(writer), step.limit, length)
        return NULL
    if writer_reserve(writer, spec.length_width + <size_t>size, &at) < 0:
        fail(fault, FAULT_ROOM, step.field, writer_size(writer), spec.length_width + <size_t>size, writer.left)
        return NULL
    if spec.length_width:
        _put_length(spec, at, length)
    return at + spec.length_width


cdef inline void _unpack(const uint8_t *data, uint32_t first, uint32_t count, uint8_t *out,
                         const uint8_t *pairs) noexcept nogil:
    """Write ``count`` characters for the nibbles from number ``first`` on."""
    cdef uint32_t i
    data += first >> 1
    if first & 1 and count:
        out[0] = pairs[2 * data[0] + 1]
        data += 1
        out += 1
        count -= 1
    for i in range(count >> 1):
        out[2 * i] = pairs[2 * data[i]]
        out[2 * i + 1] = pairs[2 * data[i] + 1]
    if count & 1:
        out[count - 1] = pairs[2 * data[count >> 1]]


cdef inline void _pack(const uint8_t *characters, uint32_t count, uint8_t *out) noexcept nogil:
    """Write an even number of hex digits as nibbles."""
    cdef uint32_t i
    for i in range(count >> 1):
        out[i] = <uint8_t>(NIBBLES[characters[2 * i]] << 4 | NIBBLES[characters[2 * i + 1]])


cdef inline int _copy(const CompiledStep *step, const uint8_t *data, uint32_t size, uint32_t count, Writer *writer,
                      Fault *fault) noexcept nogil:
    cdef uint8_t *at
    cdef uint32_t length = size
    if step.target.counts_nibbles:
        length = count if step.target.data_encoding == DATA_BINARY else 2 * size
    at = _open_field(step, writer, length, size, fault)
    if at == NULL:
        return -1
    memcpy(at, data, size)
    return 0


cdef inline int _pack_field(const CompiledStep *step, const uint8_t *characters, uint32_t count, Writer *writer,
                            Fault *fault) noexcept nogil:
    cdef const FieldSpec *spec = step.target
    cdef uint8_t *at = _open_field(step, writer, count, (count + 1) >> 1, fault)
    if at == NULL:
        return -1
    if count & 1:
        if spec.pad_side == PAD_LEFT:
            at[0] = <uint8_t>(spec.pad_nibble << 4) | NIBBLES[characters[0]]
            at += 1
            characters += 1
        else:
            at[count >> 1] = <uint8_t>(NIBBLES[characters[count - 1]] << 4) | spec.pad_nibble
    _pack(characters, count & ~1U, at)
    return 0


cdef inline int _unpack_field(const CompiledStep *step, const uint8_t *data, uint32_t size, uint32_t count,
                              Writer *writer, Fault *fault) noexcept nogil:
    cdef uint32_t characters = count if step.origin.counts_nibbles else 2 * size
    cdef uint32_t length = 2 * characters if step.target.counts_nibbles else characters
    cdef uint8_t *at = _open_field(step, writer, length, characters, fault)
    cdef const uint8_t *pairs = HEX_PAIRS
    if at == NULL:
        return -1
    if step.target.content == CONTENT_Z:
        pairs = TRACK_PAIRS
    if characters:
        _unpack(data, pad_of(step.origin, data, size, count) == PAD_LEFT, characters, at, pairs)
    return 0


# --- by way of characters --------------------------------------------------------------------------------------------

cdef struct Characters:       # the characters of a field to write, in the order in which they are read
    uint8_t lead[4]           # pad nibble or sign
    uint32_t lead_at
    uint32_t lead_left
    uint32_t zeros_left
    const uint8_t *data       # the value
    bint packed
    const uint8_t *to_ascii   # NULL: ASCII already
    uint32_t at               # characters (packed: nibbles) of it that were read
    uint32_t left
    uint8_t tail
    uint32_t tail_left


cdef inline uint8_t _peek(const Characters *value, uint32_t place) noexcept nogil:
    """One character of the value, counted from the first that is left."""
    cdef uint32_t at = value.at + place
    if value.packed:
        return HEX_PAIRS[2 * value.data[at >> 1] + (at & 1)]
    return value.data[at] if value.to_ascii == NULL else value.to_ascii[value.data[at]]


cdef inline bint _are_of(const uint8_t *characters, uint32_t count, int content) noexcept nogil:
    return count == 0 or ascii_agrees(characters, count, content, 0)


cdef int _read_characters(const CompiledStep *step, Characters *value, uint8_t *out, uint32_t count) noexcept nogil:
    """The next ``count`` characters of a field; -1 when one is outside the class of the target."""
    cdef uint32_t part = min(count, value.lead_left)
    cdef uint32_t i
    memcpy(out, value.lead + value.lead_at, part)
    value.lead_at += part
    value.lead_left -= part
    out += part
    count -= part

    part = min(count, value.zeros_left)
    memset(out, 0x30, part)
    value.zeros_left -= part
    out += part
    count -= part

    part = min(count, value.left)
    if value.packed:
        _unpack(value.data, value.at, part, out, HEX_PAIRS)
    elif value.to_ascii == NULL:
        memcpy(out, value.data + value.at, part)
    else:
        for i in range(part):
            out[i] = value.to_ascii[value.data[value.at + i]]
    value.at += part
    value.left -= part
    if step.check != CONTENT_ANY and not _are_of(out, part, step.check):
        return -1
    if step.target.content == CONTENT_Z and step.target.data_encoding != DATA_BINARY:
        for i in range(part):
            if out[i] == c'D':
                out[i] = c'='
    out += part
    count -= part

    memset(out, value.tail, count)
    value.tail_left -= count
    return 0


cdef inline int _take_sign(const CompiledStep *step, Characters *value) noexcept nogil:
    """Move the sign of a value of class x+n to the lead, as the target writes it; -1 when it is neither C nor D."""
    cdef uint8_t sign
    if step.sign_in == SIGN_BYTE:
        if value.left < 2:
            return -1
        sign = <uint8_t>(NIBBLES[_peek(value, 0)] << 4 | NIBBLES[_peek(value, 1)])
        value.at += 2
        value.left -= 2
    else:
        if value.left < 1:
            return -1
        sign = _peek(value, 0)
        value.at += 1
        value.left -= 1
    if sign != c'C' and sign != c'D':
        return -1
    if step.sign_out == SIGN_BYTE:
        value.lead[0] = c'4'
        value.lead[1] = sign - 0x10      # '3' for C, '4' for D
        value.lead_left = 2
    else:
        value.lead[0] = sign
        value.lead_left = 1
    return 0


cdef inline void _fit(const CompiledStep *step, Characters *value) noexcept nogil:
    """Fill a value up to the size of a fixed target, or drop what says nothing, as far as its class allows."""
    cdef uint32_t used = value.lead_left + value.left
    cdef bint numeric = step.padding == CONTENT_N or step.padding == CONTENT_XN
    cdef bint text = step.padding == CONTENT_A or step.padding == CONTENT_AN or step.padding == CONTENT_ANS
    if used < step.characters:
        if numeric:
            value.zeros_left = step.characters - used
        elif text:
            value.tail = c' '
            value.tail_left = step.characters - used
        return
    while used > step.characters and value.left:
        if numeric and _peek(value, 0) == c'0':
            value.at += 1
        elif not text or _peek(value, value.left - 1) != c' ':
            return
        value.left -= 1
        used -= 1


cdef int _convert(const CompiledStep *step, const uint8_t *data, uint32_t size, uint32_t count, Writer *writer,
                  Fault *fault) noexcept nogil:
    """Write a field whose value is read, checked, fitted and encoded as characters."""
    cdef const FieldSpec *spec = step.target
    cdef const FieldSpec *origin = step.origin
    cdef Characters value
    cdef uint8_t chunk[CHUNK]
    cdef uint8_t *at
    cdef uint8_t *characters
    cdef size_t position = writer_size(writer)
    cdef uint32_t total, length, part, i
    memset(&value, 0, sizeof(value))
    value.data = data
    value.left = size
    if origin != NULL:
        value.to_ascii = origin.to_ascii
        if origin.data_encoding == DATA_BINARY:
            value.packed = True
            value.left = count if origin.counts_nibbles else 2 * size
            if value.left:
                value.at = pad_of(origin, data, size, count) == PAD_LEFT
    if step.filler_in and value.left and _peek(&value, value.left - 1) == c'F':
        value.left -= 1
    if step.sign_out != SIGN_NONE and _take_sign(step, &value) < 0:
        return fail(fault, FAULT_VALUE, step.field, position, 1, size)
    if spec.length_width == 0:
        _fit(step, &value)

    total = value.lead_left + value.zeros_left + value.left + value.tail_left
    length = total
    if spec.data_encoding != DATA_BINARY:
        if spec.counts_nibbles:
            length *= 2
    elif total & 1:
        if spec.content == CONTENT_Z and not spec.counts_nibbles:
            value.tail = c'F'
            value.tail_left = 1
            total += 1
        elif spec.counts_nibbles and spec.pad_side == PAD_LEFT:
            for i in range(value.lead_left, 0, -1):
                value.lead[i] = value.lead[i - 1]
            value.lead[0] = HEX_PAIRS[2 * spec.pad_nibble + 1]
            value.lead_left += 1
        elif spec.counts_nibbles and spec.pad_side == PAD_RIGHT:
            value.tail = HEX_PAIRS[2 * spec.pad_nibble + 1]
            value.tail_left = 1
        else:
            return fail(fault, FAULT_VALUE, step.field, position, total + 1, total)
    if spec.data_encoding == DATA_BINARY and not spec.counts_nibbles:
        length = total >> 1
    if spec.length_width == 0 and total != step.characters:
        return fail(fault, FAULT_VALUE, step.field, position, step.characters, total)

    total = value.lead_left + value.zeros_left + value.left + value.tail_left
    at = _open_field(step, writer, length, total >> 1 if spec.data_encoding == DATA_BINARY else total, fault)
    if at == NULL:
        return -1
    while total:
        part = min(total, <uint32_t>CHUNK)
        characters = at
        if spec.data_encoding == DATA_BINARY:
            characters = chunk
        if _read_characters(step, &value, characters, part) < 0:
            return fail(fault, FAULT_VALUE, step.field, position, 0, 0)
        if spec.data_encoding == DATA_BINARY:
            _pack(characters, part, at)
            at += part >> 1
        else:
            if spec.data_encoding == DATA_CODE_PAGE:
                for i in range(part):
                    # A character that the code page lacks must not turn into another one.
                    if spec.to_ascii[spec.from_ascii[at[i]]] != at[i]:
                        return fail(fault, FAULT_VALUE, step.field, position, 0, 0)
                    at[i] = spec.from_ascii[at[i]]
            at += part
        total -= part
    return 0


cdef inline bint _suits(const CompiledStep *step, const uint8_t *text, uint32_t count, int content) noexcept nogil:
    """Whether ASCII characters fill a field as they are: of its class, and as many as a fixed one takes."""
    if step.target.length_width == 0 and count != step.characters:
        return False
    return count > 0 and (content == CONTENT_ANY or ascii_agrees(text, count, content, 0))


cdef int put_field(const CompiledStep *step, const uint8_t *data, uint32_t size, uint32_t count, Writer *writer,
                   Fault *fault) noexcept nogil:
    if step.operation == COPY:
        return _copy(step, data, size, count, writer, fault)
    if step.operation == PACK:
        return _pack_field(step, data, size, writer, fault)
    if step.operation == UNPACK:
        return _unpack_field(step, data, size, count, writer, fault)
    if step.operation == COPY_TEXT and _suits(step, data, count, step.target.content):
        return _copy(step, data, size, count, writer, fault)
    if step.operation == PACK_TEXT and _suits(step, data, count, CONTENT_N):
        return _pack_field(step, data, size, writer, fault)
    return _convert(step, data, size, count, writer, fault)


cdef int put_type(const FieldSpec *spec, const uint8_t *mti, uint8_t *out) noexcept nogil:
    cdef int i
    if not _are_of(mti, MTI_DIGITS, CONTENT_N):
        return -1
    if spec.data_encoding == DATA_BINARY:
        _pack(mti, MTI_DIGITS, out)
        return 0
    for i in range(MTI_DIGITS):
        out[i] = mti[i] if spec.from_ascii == NULL else spec.from_ascii[mti[i]]
    return 0


cdef void put_bitmap(const FieldSpec *spec, uint64_t bits, uint8_t *out) noexcept nogil:
    cdef int i
    if spec.data_encoding == DATA_BINARY:
        store_be64(out, bits)
        return
    store_be64(out, spread_hex(<uint32_t>(bits >> 32)))
    store_be64(out + 8, spread_hex(<uint32_t>bits))
    if spec.from_ascii != NULL:
        for i in range(16):
            out[i] = spec.from_ascii[out[i]]
