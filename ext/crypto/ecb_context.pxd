"""Contexts of libcrypto for single blocks (ECB) under keys that are used once, made when a module is loaded."""

from libc.stdint cimport uint8_t
from switch.crypto.libcrypto cimport EVP_CIPHER_CTX


cdef EVP_CIPHER_CTX *ecb_context(bytes name, bint encrypts) except NULL
"""One of a cipher, such as AES-128-ECB, in one direction; it lives as long as the process, and has no key yet."""

cdef bint set_ecb_key(EVP_CIPHER_CTX *context, const uint8_t *key, bint encrypts) noexcept nogil
"""Put a key in the place of the one before, NULL for none; whether libcrypto takes it."""

cdef bint crypt_blocks(EVP_CIPHER_CTX *context, const uint8_t *source, uint8_t *target, int size,
                       bint encrypts) noexcept nogil
"""Encrypt or decrypt blocks one by one, so many bytes; ``target`` may be ``source``. Whether libcrypto did."""
