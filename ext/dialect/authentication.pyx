"""Which bytes of a message its MAC covers, and how the MAC stands in field 64 or 128: the dialect's rules."""

from libc.string cimport memcpy
from switch.crypto.mac cimport MAC_SIZE_MAX, MacPart
from switch.dialect.tables cimport MAC_FIELDS_MAX, MAC_FORM_HEX, NO_FIELD
from switch.wire.fields cimport FIELD_MAC_FIRST, FIELD_MAC_SECOND
from switch.wire.hexadecimal cimport read_hex, write_hex
from switch.wire.scan cimport FAULT_MAC_ABSENT, FAULT_MAC_KEY, FAULT_MAC_WRONG, fault_at, has_field
from switch.wire.spec cimport DATA_BINARY, FIELD_HEADER

cdef int _gather(DialectTables tables, const MessageIndex *message, int mac_field, MacPart *parts) noexcept nogil:
    """The stretches that are covered, in order; how many."""
    cdef int i, field
    cdef int count = 0
    cdef uint32_t start = 0
    if tables.spec.has_header:
        start = message.offset[FIELD_HEADER] + message.length[FIELD_HEADER]
    if tables.mac_all_up_to:
        parts[0].data = message.data + start
        parts[0].size = message.offset[mac_field] - start
        return 1
    for i in range(tables.mac_field_count):
        field = tables.mac_fields[i]
        if field == NO_FIELD:
            parts[count].data = message.data + start
            parts[count].size = 2 if tables.spec.type_spec.data_encoding == DATA_BINARY else 4
        elif has_field(message, field):
            parts[count].data = message.data + message.offset[field]
            parts[count].size = message.length[field]
        else:
            continue
        count += 1
    return count


cdef inline void _recode(const uint8_t *table, const uint8_t *text, uint32_t size, uint8_t *out) noexcept nogil:
    """Characters in or out of the field's code page."""
    cdef uint32_t i
    for i in range(size):
        out[i] = table[text[i]]


cdef int verify_message(MacEngine macs, DialectTables tables, const MacKey *key,
                        const MessageIndex *message) noexcept nogil:
    cdef MacPart parts[MAC_FIELDS_MAX]
    cdef uint8_t binary[MAC_SIZE_MAX]
    cdef const uint8_t *mac
    cdef const uint8_t *to_ascii
    cdef uint8_t digits[2 * MAC_SIZE_MAX]
    cdef uint32_t size
    cdef int field = tables.mac_field_of(message)
    if field == NO_FIELD:
        return MAC_ABSENT
    if tables.mac_all_up_to and field == FIELD_MAC_FIRST and message.present[1] | message.present[2]:
        return MAC_WRONG                  # fields above 64 stand behind this MAC: nothing vouches for them
    cdef int count = _gather(tables, message, field, parts)
    mac = message.data + message.offset[field]
    size = message.length[field]
    # What follows the MAC would not be covered: a MAC in field 64 of a message with later fields protects none of them.
    if tables.mac_all_up_to and message.offset[field] + size != message.size:
        return MAC_WRONG
    if tables.mac_form == MAC_FORM_HEX:
        to_ascii = tables.spec.fields[field].to_ascii
        size //= 2
        if size > MAC_SIZE_MAX:
            return MAC_WRONG
        if to_ascii != NULL:
            _recode(to_ascii, mac, 2 * size, digits)
            mac = digits
        if read_hex(mac, size, binary) < 0:
            return MAC_WRONG
        mac = binary
    return macs.verify(key, parts, count, mac, <int>size)


cdef void mac_fault(DialectTables tables, const MessageIndex *message, int verdict, Fault *fault) noexcept nogil:
    cdef int code = FAULT_MAC_KEY
    cdef int field = tables.mac_field_of(message)
    if verdict == MAC_WRONG:
        code = FAULT_MAC_WRONG
    elif verdict == MAC_ABSENT:
        code = FAULT_MAC_ABSENT
    if field == NO_FIELD:
        field = FIELD_MAC_SECOND if message.present[1] | message.present[2] else FIELD_MAC_FIRST
    fault_at(tables.spec, message, field, code, fault)


cdef int seal_message(MacEngine macs, DialectTables tables, const MacKey *key, uint8_t *message,
                      const MessageIndex *composed, int mac_field) noexcept nogil:
    cdef MacPart parts[MAC_FIELDS_MAX]
    cdef uint8_t mac[MAC_SIZE_MAX]
    cdef uint8_t digits[2 * MAC_SIZE_MAX]
    cdef const uint8_t *written = mac
    cdef const uint8_t *from_ascii
    cdef uint32_t size = composed.length[mac_field]
    cdef int count = _gather(tables, composed, mac_field, parts)
    cdef int made = macs.compute(key, parts, count, mac)
    if made > 0 and tables.mac_form == MAC_FORM_HEX:
        made = min(made, <int>(size + 1) // 2)      # digits beyond the field's are not needed
        write_hex(mac, <uint32_t>made, digits)
        made *= 2
        written = digits
        from_ascii = tables.spec.fields[mac_field].from_ascii
        if from_ascii != NULL:
            _recode(from_ascii, digits, <uint32_t>made, digits)
    if made < 0 or size > <uint32_t>made:
        return -1
    memcpy(message + composed.offset[mac_field], written, size)
    return 0
