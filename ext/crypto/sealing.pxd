"""AES-256-GCM over libcrypto, for batches of the journal: one key, a nonce from the batch's place."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from switch.crypto.libcrypto cimport EVP_CIPHER, EVP_CIPHER_CTX

cdef enum:
    SEAL_KEY_BYTES = 32
    SEAL_NONCE_BYTES = 12
    SEAL_TAG_BYTES = 16


cdef class Sealer:
    """One key's context. Not for use by two threads at once."""
    cdef EVP_CIPHER *_cipher
    cdef EVP_CIPHER_CTX *_context
    cdef uint8_t _key[SEAL_KEY_BYTES]

    cdef void set_key(self, const uint8_t *key) noexcept nogil
    cdef int seal(self, const uint8_t *nonce, const uint8_t *extra, uint32_t extra_size, const uint8_t *clear,
                  uint32_t size, uint8_t *sealed, uint8_t *tag) noexcept nogil
    """Encrypt ``size`` bytes and authenticate them with ``extra``; 0, or -1 when libcrypto refuses."""
    cdef int unseal(self, const uint8_t *nonce, const uint8_t *extra, uint32_t extra_size, const uint8_t *sealed,
                    uint32_t size, const uint8_t *tag, uint8_t *clear) noexcept nogil
    """Decrypt; 0, or -1 when the tag does not fit: then ``clear`` holds nothing that may be used."""
