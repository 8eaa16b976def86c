"""SM4 (GB/T 32907) of single blocks under keys that are used once: PIN blocks, key wrapping, key check values."""

from libc.stdint cimport uint8_t

cdef enum:
    SM4_BLOCK_SIZE = 16       # bytes; a key has as many


cdef int sm4_crypt(const uint8_t *key, const uint8_t *source, uint8_t *target, int blocks, bint encrypt) noexcept nogil
"""Encrypt or decrypt blocks one by one (ECB); ``target`` may be ``source``. 0, or -1 when libcrypto refuses."""
