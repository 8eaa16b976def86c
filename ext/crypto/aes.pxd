"""AES of single blocks under keys that are used once: PIN blocks of format 4, derivation of keys."""

from libc.stdint cimport uint8_t

cdef enum:
    AES_BLOCK_SIZE = 16       # bytes

cdef bint is_aes_key_size(int size) noexcept nogil
"""Whether a key has 16, 24 or 32 bytes."""

cdef int aes_encrypt(const uint8_t *key, int key_size, const uint8_t *source, uint8_t *target) noexcept nogil
"""Encrypt one block; as ``aes_twice``."""

cdef int aes_twice(const uint8_t *key, int key_size, const uint8_t *source, uint8_t *target, const uint8_t *between,
                   bint encrypt) noexcept nogil
"""Encrypt or decrypt one block twice, with ``between`` mixed in (XOR) after the first time.

0; -1 for another key size than 16, 24 or 32 bytes, and for libcrypto's refusal. ``source`` and ``target`` may be the
same. The expanded key is wiped. One thread at a time: it uses contexts of the process, which are made once."""
