"""Merchants and terminals: who may speak, on which listener, with which keys."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from switch.mac cimport MacKey
from switch.pin cimport PinKey

cdef enum:
    TERMINAL_ID_MAX = 8       # field 41
    MERCHANT_ID_MAX = 15      # field 42
    TERMINAL_NONE = 0xFFFFFFFF

cdef enum PartyState:
    PARTY_ACTIVE
    PARTY_SUSPENDED
    PARTY_CLOSED

cdef struct Merchant:
    uint8_t id[MERCHANT_ID_MAX + 1]      # blank padded to 15, then NUL
    uint8_t state
    uint16_t category                    # merchant category code (ISO 18245)
    uint64_t kinds_allowed               # bit n: kind n of ext/kind.pxd

cdef struct Terminal:
    uint8_t id[TERMINAL_ID_MAX + 1]      # blank padded to 8, then NUL
    uint8_t state
    uint8_t pin_format
    uint32_t merchant                    # index of its merchant
    uint32_t listeners_allowed           # bit n: listener n of the configuration
    uint64_t kinds_allowed
    MacKey mac_key                       # TAK
    PinKey pin_key                       # TPK
    PinKey master_key                    # TMK: wraps working keys in a sign-on answer; size 0 when there is none


cdef class Registry:
    """Tables in C, looked up by identifier. Immutable; a reload builds a new one."""
    cdef readonly uint32_t terminal_count
    cdef readonly uint32_t merchant_count

    cdef uint32_t find_terminal(self, const uint8_t *id, int size) noexcept nogil
    """Index for a field 41 in ASCII, trailing blanks ignored; TERMINAL_NONE when unknown."""

    cdef uint32_t find_merchant(self, const uint8_t *id, int size) noexcept nogil

    cdef const Terminal *terminal(self, uint32_t index) noexcept nogil
    cdef const Merchant *merchant(self, uint32_t index) noexcept nogil
