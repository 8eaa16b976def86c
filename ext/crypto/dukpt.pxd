"""DUKPT: a terminal's PIN key for one transaction, from a base key and the serial number that the request brings.

Keys of DES by ANSI X9.24-1:2009, keys of AES by ANSI X9.24-3:2017. A key serial number (KSN) names key set and device
(the *initial key ID*), and counts the device's transactions: 59 and 21 bits, or 64 and 32.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from switch.crypto.device_counters cimport DeviceCounters
from switch.crypto.pin_block cimport PinKey

cdef enum:
    SERIAL_DIGITS_MAX = 24
    BASE_KEYS_MAX = 64

cdef struct Serial:           # a KSN, taken apart
    uint64_t device           # initial key ID: of DES the leftmost 59 bits, of AES 64
    uint32_t counter

cdef int read_serial(const uint8_t *text, int digits, bint is_aes, Serial *serial) noexcept nogil
"""Take a KSN apart, written in hex digits; that of DES may be without its leftmost 16 bits where these are filler
(ones). 0, or -1: it is none, or its counter is one that no device sends: 0, or with more ones than the standard lets it
have (10 of DES, 16 of AES)."""

cdef int derive_pin_key(const PinKey *base, const Serial *serial, PinKey *out) noexcept nogil
"""The PIN key of a transaction, of the base key's algorithm and size. 0, or -1: a base key of another size than 16
(DES), 16, 24 or 32 (AES), or libcrypto's refusal. Everything in between is wiped."""

cdef struct BaseKey:
    uint8_t prefix[SERIAL_DIGITS_MAX]         # upper-case hex digits with which its serial numbers begin
    int prefix_digits
    PinKey key


cdef class BaseKeys:
    """The base derivation keys of a switch, found by what a serial number begins with."""
    cdef readonly DeviceCounters counters     # how far their devices have counted
    cdef BaseKey _of[BASE_KEYS_MAX]
    cdef readonly int count

    cdef int _add(self, BaseKey *base, bytes prefix, bytes key, bint is_aes) except -1

    cdef const PinKey *find(self, const uint8_t *text, int digits, bint is_aes) noexcept nogil
    """The base key of a serial number, as ``read_serial`` takes it; NULL when there is none."""
