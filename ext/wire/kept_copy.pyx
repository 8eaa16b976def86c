"""Copies of messages that are kept: composed without the fields that nobody may keep."""

from libc.string cimport memcpy
from switch.wire.cursor cimport lowest_bit
from switch.wire.hexadecimal cimport hex_digit, hex_value
from switch.wire.scan cimport FAULT_CONTENT, Fault, fault_error, scan_message
from switch.wire.spec cimport CHECK_NOTHING, DATA_BINARY, FIELD_HEADER, FIELD_MAX, FIELD_SLOTS, FieldSpec, compile_spec

cdef enum:
    SECONDARY_BITMAP = 1


cdef int fill_fields(uint64_t *fields, object numbers) except -1:
    cdef int field
    fields[0] = fields[1] = fields[2] = 0
    for field in numbers:
        if not 2 <= field <= FIELD_MAX:
            raise ValueError(f"need a field from 2 to {<int>FIELD_MAX}, have {field}")
        fields[(field - 1) >> 6] |= <uint64_t>1 << ((field - 1) & 63)
    return 0


cdef inline void _clear_bit(const FieldSpec *bitmap, uint8_t *at, int bit) noexcept nogil:
    """Clear one bit of a bitmap, counted from the first: of bytes, or of hex digits in either case."""
    cdef uint8_t digit
    if bitmap.data_encoding == DATA_BINARY:
        at[bit >> 3] &= ~(0x80 >> (bit & 7))
        return
    at += bit >> 2
    digit = <uint8_t>hex_value(at[0] if bitmap.to_ascii == NULL else bitmap.to_ascii[at[0]]) & ~(8 >> (bit & 3))
    at[0] = hex_digit(digit) if bitmap.from_ascii == NULL else bitmap.from_ascii[hex_digit(digit)]


cdef uint32_t keep_copy(Spec spec, const MessageIndex *message, const uint64_t *unkept, uint8_t *out) noexcept nogil:
    cdef uint8_t *bitmap_at = out + spec.type_spec.fixed_bytes
    cdef const FieldSpec *bitmap = &spec.bitmap_spec
    cdef const uint8_t *read = message.data
    cdef const uint8_t *end
    cdef uint8_t *written = out
    cdef uint64_t left
    cdef int word, bit
    if spec.has_header:
        bitmap_at += message.offset[<int>FIELD_HEADER] + message.length[<int>FIELD_HEADER]
    for word in range(3):
        left = message.present[word] & unkept[word]
        while left:
            bit = lowest_bit(left)
            left &= left - 1
            end = message.data + message.offset[64 * word + bit + 1] - spec.fields[64 * word + bit + 1].length_width
            memcpy(written, read, <size_t>(end - read))
            written += end - read
            read = message.data + message.offset[64 * word + bit + 1] + message.length[64 * word + bit + 1]
            # The bitmaps stand before all fields: they are in the copy by now.
            _clear_bit(bitmap, bitmap_at, bit)
        bitmap_at += bitmap.fixed_bytes
        bitmap = &spec.fields[<int>SECONDARY_BITMAP]
    end = message.data + message.size
    memcpy(written, read, <size_t>(end - read))
    return <uint32_t>(written - out + (end - read))


cdef Spec lenient_form(Spec spec):
    cdef int field
    cdef Spec lenient = compile_spec({
        key: {name: value for name, value in entry.items() if name != "content"} for key, entry in spec.source.items()
    })
    for field in range(FIELD_SLOTS):
        lenient.fields[field].check = CHECK_NOTHING
    return lenient


cdef int mend_copy(Spec spec, Spec lenient, const uint64_t *unkept, const uint8_t *data, uint32_t size, uint8_t *out,
                   uint8_t *spare) noexcept nogil:
    cdef uint64_t gone[3]
    cdef MessageIndex message, kept
    cdef Fault fault
    cdef uint32_t kept_size
    cdef int _
    memcpy(gone, unkept, sizeof(gone))
    memcpy(spare, data, size)
    if scan_message(lenient, spare, size, &message, &fault) != 0:
        return -1
    for _ in range(<int>FIELD_MAX):
        kept_size = keep_copy(lenient, &message, gone, out)
        if scan_message(spec, out, kept_size, &kept, &fault) == 0:
            return <int>kept_size
        if fault.code != FAULT_CONTENT or fault.field <= FIELD_HEADER:
            return -1
        gone[(fault.field - 1) >> 6] |= <uint64_t>1 << ((fault.field - 1) & 63)
    return -1


def copy_without(Spec spec not None, bytes message not None, unkept):
    cdef MessageIndex index
    cdef Fault fault
    cdef uint64_t fields[3]
    cdef bytearray out = bytearray(len(message))
    fill_fields(fields, unkept)
    if scan_message(spec, message, len(message), &index, &fault) != 0:
        raise fault_error(&fault)
    size = keep_copy(spec, &index, fields, out)
    return bytes(out[:size])


def mend(Spec spec not None, bytes message not None, unkept):
    cdef uint64_t fields[3]
    cdef bytearray out = bytearray(len(message))
    cdef bytearray spare = bytearray(len(message))
    fill_fields(fields, unkept)
    size = mend_copy(spec, lenient_form(spec), fields, message, <uint32_t>len(message), out, spare)
    return None if size < 0 else bytes(out[:size])
