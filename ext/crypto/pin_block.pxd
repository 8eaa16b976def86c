"""PIN blocks: from one key and format to another, in one step, without keeping the clear PIN anywhere."""

from libc.stdint cimport uint8_t

cdef enum PinFormat:          # order of PIN_FORMATS, the names that configurations use; a test compares the two
    PIN_FORMAT_NONE
    PIN_FORMAT_ISO_0          # ISO 9564-1 format 0 (ANSI X9.8): with the PAN
    PIN_FORMAT_ISO_1          # without the PAN
    PIN_FORMAT_ISO_3
    PIN_FORMAT_COUNT

cdef enum:
    PIN_BLOCK_SIZE = 8        # bytes

cdef struct PinKey:
    uint8_t size              # bytes: 8 (DES), 16 or 24 (3DES); 0 when there is none
    uint8_t key[24]

cdef struct PinSide:           # how a block stands at one side: with a terminal, or on a link
    const PinKey *key
    int format                # PinFormat


cdef int translate_pin(const uint8_t *block, const PinSide *source, const PinSide *target, const uint8_t *pan,
                       int pan_digits, uint8_t *out) noexcept nogil
"""Re-encrypt an 8-byte block; ``pan`` as ASCII digits. 0, -1 for a malformed clear block or PAN, -2 for a key size or
format that is not supported and for libcrypto's refusal. Clear material is wiped before it returns, and a malformed
block takes the same time as a good one."""

cdef int set_pin_key(PinKey *target, bytes key) except -1
"""Fill a key from Python values, empty for none; ValueError for another size than 0, 8, 16 or 24 bytes. The message
holds no key material."""

cdef int require_key(PinKey *target, bytes key) except -1
"""The same of a key that must not be empty."""
