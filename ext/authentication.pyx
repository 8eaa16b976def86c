"""Which bytes of a message its MAC covers, and how the MAC stands in field 64 or 128: the dialect's rules."""

from libc.string cimport memcpy
from switch.dialect cimport MAC_FIELDS_MAX, MAC_FORM_HEX, NO_FIELD
from switch.hexadecimal cimport hex_digit, hex_value
from switch.mac cimport MAC_SIZE_MAX, MacPart
from switch.scan cimport Fault, has_field, scan_message
from switch.spec cimport DATA_BINARY, FIELD_HEADER

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


cdef inline uint8_t _recoded(const uint8_t *table, uint8_t character) noexcept nogil:
    """A character in or out of the field's code page; as it is where the field is in ASCII."""
    return character if table == NULL else table[character]


cdef int verify_message(MacEngine macs, DialectTables tables, const MacKey *key,
                        const MessageIndex *message) noexcept nogil:
    cdef MacPart parts[MAC_FIELDS_MAX]
    cdef uint8_t binary[MAC_SIZE_MAX]
    cdef const uint8_t *mac
    cdef const uint8_t *to_ascii
    cdef uint32_t i, size
    cdef int high, low
    cdef int field = tables.mac_field_of(message)
    if field == NO_FIELD:
        return MAC_ABSENT
    cdef int count = _gather(tables, message, field, parts)
    mac = message.data + message.offset[field]
    size = message.length[field]
    if tables.mac_form == MAC_FORM_HEX:
        to_ascii = tables.spec.fields[field].to_ascii
        size //= 2
        if size > MAC_SIZE_MAX:
            return MAC_WRONG
        for i in range(size):
            high = hex_value(_recoded(to_ascii, mac[2 * i]))
            low = hex_value(_recoded(to_ascii, mac[2 * i + 1]))
            if high < 0 or low < 0:
                return MAC_WRONG
            binary[i] = <uint8_t>(high << 4 | low)
        mac = binary
    return macs.verify(key, parts, count, mac, <int>size)


cdef int seal_message(MacEngine macs, DialectTables tables, const MacKey *key, uint8_t *message, uint32_t size,
                      int mac_field, uint32_t mac_size) noexcept nogil:
    cdef MessageIndex index
    cdef Fault fault
    cdef MacPart parts[MAC_FIELDS_MAX]
    cdef uint8_t mac[MAC_SIZE_MAX]
    cdef uint8_t *place = message + size - mac_size
    cdef const uint8_t *from_ascii
    cdef uint32_t i
    cdef int count = 1
    parts[0].data = message
    parts[0].size = size - mac_size
    if tables.spec.has_header or not tables.mac_all_up_to:
        if scan_message(tables.spec, message, size, &index, &fault) != 0:
            return -1
        count = _gather(tables, &index, mac_field, parts)
    cdef int made = macs.compute(key, parts, count, mac)
    if tables.mac_form == MAC_FORM_HEX:
        if made < 0 or mac_size > 2 * <uint32_t>made:
            return -1
        from_ascii = tables.spec.fields[mac_field].from_ascii
        for i in range(mac_size):
            place[i] = _recoded(from_ascii, hex_digit(mac[i // 2] >> 4 if i % 2 == 0 else mac[i // 2]))
        return 0
    if made < 0 or mac_size > <uint32_t>made:
        return -1
    memcpy(place, mac, mac_size)
    return 0
