"""Index scan: where each field of a message begins and ends, without copying a byte of it."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, int64_t
from libc.string cimport memcpy
from switch.wire.cursor cimport Reader
from switch.wire.spec cimport FIELD_SLOTS, FieldSpec, Spec

cdef enum FaultCode:
    FAULT_NONE
    FAULT_TRUNCATED           # needed bytes are not there
    FAULT_LENGTH_DIGITS       # a length field that is not a number
    FAULT_LENGTH_LIMIT        # a length above the field's maximum
    FAULT_CONTENT             # a character outside the field's content class
    FAULT_BITMAP_DIGITS       # a hex bitmap with something else in it
    FAULT_TYPE_DIGITS         # an MTI that is not four digits
    FAULT_NO_SPEC             # a bit without a specification
    FAULT_TRAILING            # bytes after the last field
    FAULT_ROOM                # the output buffer is too small (composing)
    FAULT_VALUE               # a value that the destination field cannot hold (composing)
    FAULT_MISSING             # a field that is needed and absent
    FAULT_MAC_WRONG
    FAULT_MAC_ABSENT
    FAULT_MAC_KEY             # no key to verify it with
    FAULT_PIN                 # a PIN block that does not open
    FAULT_PIN_KEY             # no key to open it, or to close it again
    FAULT_KIND                # no kind of the dialect is asked for so
    FAULT_AMOUNT              # none, or nothing
    FAULT_CONFLICT            # the number of another request
    FAULT_UNWRITABLE          # nothing is wrong with one field: the message cannot be made, or not be framed
    FAULT_KIND_ABROAD         # no link to which it could go has a message for this kind
    FAULT_SERIAL_NUMBER       # a key serial number that is none, or belongs to no base key
    FAULT_SERIAL_REPEATED     # one that is not above its device's last
    FAULT_SERIAL_ELSEWHERE    # one of a device that is at another terminal
    FAULT_TRACK               # an enciphered track that does not open
    FAULT_TRACK_KEY           # no key to open it

cdef extern from "stdint.h":
    const uint32_t NO_BYTE "UINT32_MAX"      # position of a fault that stands nowhere

cdef struct Fault:
    int code
    int field                 # number; FIELD_HEADER, FIELD_TYPE, FIELD_BITMAP for the others
    uint32_t position         # byte offset from the start of the message
    uint32_t needed           # FAULT_LENGTH_LIMIT: the maximum; FAULT_CONTENT: the class
    uint32_t available        # FAULT_LENGTH_LIMIT: the length told; FAULT_TRAILING: bytes left; FAULT_CONTENT: the sort

cdef struct MessageIndex:
    const uint8_t *data       # the message; borrowed
    uint32_t size
    uint32_t mti              # as a number: 200 for "0200"
    uint64_t present[3]       # field n is bit (n - 1) % 64 of word (n - 1) / 64; after a fault, only what was indexed
    uint32_t offset[FIELD_SLOTS]     # of the field's data, its length header not included
    uint32_t length[FIELD_SLOTS]     # of the data, in bytes
    uint16_t count[FIELD_SLOTS]      # in the unit that the field counts in: bytes or nibbles

cdef struct FieldData:        # one field in the bytes of a message
    const uint8_t *data       # borrowed
    uint32_t size             # bytes
    uint32_t count            # in the unit that the field counts in


cdef inline bint has_field(const MessageIndex *index, int field) noexcept nogil:
    """Whether a field from 1 to 192 was indexed. Bitmaps (1, 65) and the header never count as present."""
    return (index.present[(field - 1) >> 6] >> ((field - 1) & 63)) & 1


cdef inline void copy_index(MessageIndex *to, const MessageIndex *index) noexcept nogil:
    """Copy an index, up to the 64, 128 or 192 fields among which its last one is."""
    cdef size_t slots = 1 + 64 * (3 if index.present[2] else 2 if index.present[1] else 1)
    to.data = index.data
    to.size = index.size
    to.mti = index.mti
    to.present = index.present
    memcpy(to.offset, index.offset, slots * sizeof(uint32_t))
    memcpy(to.length, index.length, slots * sizeof(uint32_t))
    memcpy(to.count, index.count, slots * sizeof(uint16_t))


cdef int scan_message(Spec spec, const uint8_t *data, size_t size, MessageIndex *index, Fault *fault) noexcept nogil
"""Index one message; 0, or -1 with ``fault`` filled and ``index`` holding the fields read before it (so that MTI and
STAN of an otherwise unreadable message can be had)."""

cdef int read_text(Spec spec, const MessageIndex *index, int field, uint8_t *out, int room) noexcept nogil
"""Canonical value as ASCII characters: BCD digits and binary as hex digits (pad nibble left out), EBCDIC as ASCII.
Number of characters; -1 when absent; -2 when ``room`` is too small."""

cdef int64_t read_number(Spec spec, const MessageIndex *index, int field) noexcept nogil
"""A field of decimal digits as a number; -1 when absent, not digits, or above 18 digits."""

cdef int patch_text(Spec spec, MessageIndex *index, uint8_t *data, int field, const uint8_t *text,
                    int count) noexcept nogil
"""Overwrite a present field with a value of the same length, in place; 0, or -1 when it does not fit exactly."""

cdef int take_field(const FieldSpec *spec, Reader *reader, FieldData *taken, Fault *fault) noexcept nogil
"""Read one field's length and step over its data. 0, or -1 with ``fault`` filled but for the field's number; the reader
then stands at the length, or at the data that is cut off."""

cdef str fault_key(int field)
"""The key of a fault's field: its number, or ``h``, ``t`` or ``p``."""

cdef object fault_error(const Fault *fault)
"""The ``ScanError`` that tells of a fault."""

cdef dict fault_details(const Fault *fault)
"""A fault as ``State.tell`` takes it: ``switch.wire.faults`` words it."""

cdef void fault_at(Spec spec, const MessageIndex *index, int field, int code, Fault *fault) noexcept nogil
"""Fill a fault for a field of a scanned message: at the byte where it stands, or would stand."""
