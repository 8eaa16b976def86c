"""PIN blocks: from one key and format to another, in one step, without keeping the clear PIN anywhere."""

from libc.stdint cimport uint8_t
from switch.crypto.mac cimport MacKey

cdef enum PinFormat:          # order of PIN_FORMATS, the names that configurations use; a test compares the two
    PIN_FORMAT_NONE
    PIN_FORMAT_ISO_0          # ISO 9564-1 format 0 (ANSI X9.8): with the PAN
    PIN_FORMAT_ISO_1          # without the PAN
    PIN_FORMAT_ISO_3
    PIN_FORMAT_COUNT

cdef enum:
    PIN_BLOCK_SIZE = 8        # bytes
    SIGN_IN_KEYS_MAX = 40     # bytes that sign_in_keys writes at most

cdef enum SignInFault:        # why a sign-in answer cannot carry a terminal's keys, in the order of SIGN_IN_FAULTS
    SIGN_IN_FITS
    SIGN_IN_NO_MASTER_KEY
    SIGN_IN_NO_PIN_KEY
    SIGN_IN_PIN_KEY
    SIGN_IN_MAC_KEY
    SIGN_IN_CIPHER

cdef struct PinKey:
    uint8_t size              # bytes: 8 (DES), 16 or 24 (3DES); 0 when there is none
    uint8_t key[24]


cdef class PinTranslator:
    """PIN translation for one thread."""

    cdef int translate(self, const uint8_t *block, const PinKey *source_key, int source_format,
                       const PinKey *target_key, int target_format,
                       const uint8_t *pan, int pan_digits, uint8_t *out) noexcept nogil
    """Re-encrypt an 8-byte block; ``pan`` as ASCII digits. 0, -1 for a malformed clear block or PAN, -2 for a key size
    or format that is not supported and for libcrypto's refusal. Clear material is wiped before it returns, and a
    malformed block takes the same time as a good one."""


# The working keys of a sign-in answer (field 62 of the China UnionPay POS dialect) under the terminal's master key:
# encrypted PIN key, its check value, encrypted MAC key, its check value. 40 bytes with a PIN key of 16 bytes (a MAC
# key's 8 bytes zero filled to 16), 24 bytes with one of 8; written into ``out`` of SIGN_IN_KEYS_MAX bytes. Their
# number, or minus a SignInFault when a key is missing or not of a size or algorithm that the layout can carry.
cdef int sign_in_keys(const PinKey *master_key, const PinKey *pin_key, const MacKey *mac_key,
                      uint8_t *out) noexcept nogil

# Fill a key from Python values, empty for none; ValueError for another size than 0, 8, 16 or 24 bytes. The message
# holds no key material.
cdef int set_pin_key(PinKey *target, bytes key) except -1
