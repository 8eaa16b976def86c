"""HMAC-SHA-256 (FIPS 198-1) of very many short messages under one key."""

from libc.stdint cimport uint8_t
from switch.crypto.libcrypto cimport EVP_MAC_CTX

cdef enum:
    KEYED_HASH_SIZE = 32


cdef class KeyedHash:
    """A key, laid out once for all its messages. Its owner wipes nothing: the layout goes with this object."""
    cdef EVP_MAC_CTX *_context

    cdef int compute(self, const uint8_t *message, size_t size, uint8_t *hash) except -1
    """The hash of a message, KEYED_HASH_SIZE bytes."""
