"""PIN blocks: from one key and format to another, in one step, without keeping the clear PIN anywhere."""

from libc.stdint cimport uint8_t

cdef enum PinFormat:          # order of PIN_FORMATS, the names that configurations use; a test compares the two
    PIN_FORMAT_NONE
    PIN_FORMAT_ISO_0          # ISO 9564-1 format 0 (ANSI X9.8): with the PAN
    PIN_FORMAT_ISO_1          # without the PAN
    PIN_FORMAT_ISO_3
    PIN_FORMAT_ISO_4          # AES, with the PAN between two encryptions
    PIN_FORMAT_SM4            # China UnionPay: as format 0, filled up to a block of SM4, with the PAN at its end
    PIN_FORMAT_COUNT

cdef enum:
    PIN_BLOCK_SIZE_MAX = 16   # bytes
    PIN_KEY_SIZE_MAX = 32     # bytes

cdef enum KeyCipher:
    CIPHER_DES                # of 8 bytes, 3DES of 16 or 24
    CIPHER_AES                # of 16, 24 or 32 bytes
    CIPHER_SM4                # of 16 bytes

cdef struct PinKey:
    uint8_t size              # bytes; 0 when there is none
    uint8_t cipher            # KeyCipher
    uint8_t key[PIN_KEY_SIZE_MAX]

cdef struct PinSide:           # how a block stands at one side: with a terminal, or on a link
    const PinKey *key
    int format                # PinFormat


cdef int pin_block_size(int pin_format) noexcept nogil
"""Bytes of a block: 16 of format 4 and of SM4, 8 of all others."""

cdef bint may_translate(int source, int target) noexcept nogil
"""Whether ISO 9564-1 lets a PIN pass from a block of one format into one of another: what is bound to a PAN must not
become a block without one."""

cdef int translate_pin(const uint8_t *block, const PinSide *source, const PinSide *target, const uint8_t *pan,
                       int pan_digits, uint8_t *out) noexcept nogil
"""Re-encrypt a block; ``pan`` as ASCII digits, the same of both blocks; ``out`` has room for any block. 0, -1 for a
malformed clear block or PAN, -2 for a key that is not for its format, formats that are not known or must not be
translated, and for libcrypto's refusal. Clear material is wiped before it returns, and a malformed block takes the same
time as a good one."""

cdef int set_pin_key(PinKey *target, bytes key, int pin_format) except -1
"""Fill a key from Python values, empty for none; ValueError for a size that is none of a key for blocks of this format.
The message holds no key material."""

cdef int require_key(PinKey *target, bytes key, int pin_format) except -1
"""The same of a key that must not be empty."""
