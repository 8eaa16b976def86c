"""The working keys of a sign-in answer, under the terminal's master key."""

from libc.stdint cimport uint8_t
from switch.crypto.mac cimport MacKey
from switch.crypto.pin_block cimport PinKey

cdef enum:
    SIGN_IN_KEYS_MAX = 40     # bytes that sign_in_keys writes at most

cdef enum SignInFault:        # why a sign-in answer cannot carry a terminal's keys, in the order of SIGN_IN_FAULTS
    SIGN_IN_FITS
    SIGN_IN_NO_MASTER_KEY
    SIGN_IN_NO_PIN_KEY
    SIGN_IN_PIN_KEY
    SIGN_IN_MAC_KEY
    SIGN_IN_CIPHER


cdef int sign_in_keys(const PinKey *master_key, const PinKey *pin_key, const MacKey *mac_key,
                      uint8_t *out) noexcept nogil
"""The content of field 62 in the China UnionPay POS dialect: encrypted PIN key, its check value, encrypted MAC key, its
check value. 40 bytes with a PIN key of 16 bytes (a MAC key's 8 bytes zero filled to 16), 24 bytes with one of 8;
written into ``out`` of SIGN_IN_KEYS_MAX bytes. Their number, or minus a SignInFault when a key is missing or not of a
size or algorithm that the layout can carry."""
