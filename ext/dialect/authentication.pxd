"""Which bytes of a message its MAC covers, and how the MAC stands in field 64 or 128: the dialect's rules."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from switch.crypto.mac cimport MacEngine, MacKey
from switch.dialect.tables cimport DialectTables
from switch.wire.scan cimport Fault, MessageIndex

cdef enum Authenticity:
    MAC_RIGHT = 1
    MAC_WRONG = 0
    MAC_ABSENT = -2           # neither field 64 nor 128 is there
    MAC_IMPOSSIBLE = -1       # no key that suits, or libcrypto refuses


cdef int verify_message(MacEngine macs, DialectTables tables, const MacKey *key,
                        const MessageIndex *message) noexcept nogil
"""Whether a scanned message carries the right MAC: an ``Authenticity``."""

cdef void mac_fault(DialectTables tables, const MessageIndex *message, int verdict, Fault *fault) noexcept nogil
"""Fill a fault for what ``verify_message`` found, at the byte where the MAC stands or would stand."""

cdef int seal_message(MacEngine macs, DialectTables tables, const MacKey *key, uint8_t *message,
                      const MessageIndex *composed, int mac_field) noexcept nogil
"""Write the MAC into its field of a composed message, ``composed`` being its index; 0, or -1 when it cannot be made."""
