"""PIN blocks: from one key and format to another, in one step, without keeping the clear PIN anywhere."""

from libc.stdint cimport uint8_t

cdef enum PinFormat:
    PIN_FORMAT_NONE
    PIN_FORMAT_ISO_0          # ISO 9564-1 format 0 (ANSI X9.8): with the PAN
    PIN_FORMAT_ISO_1          # without the PAN
    PIN_FORMAT_ISO_3

cdef struct PinKey:
    uint8_t size              # bytes: 8 (DES), 16 or 24 (3DES); 0 when there is none
    uint8_t key[24]


cdef class PinTranslator:
    """Contexts of libcrypto for PIN translation in one thread."""

    cdef int translate(self, const uint8_t *block, const PinKey *source_key, int source_format,
                       const PinKey *target_key, int target_format,
                       const uint8_t *pan, int pan_digits, uint8_t *out) noexcept nogil
    """Re-encrypt an 8-byte block; ``pan`` as ASCII digits. 0, -1 for a malformed clear block, -2 for libcrypto's refusal.
    Clear material is wiped before it returns."""
