"""The hash over what binds a terminal, compared with what stands in its row."""

cimport cython
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

from switch.crypto.keyed_hash cimport KEYED_HASH_SIZE, KeyedHash
from switch.crypto.libcrypto cimport CRYPTO_memcmp
from switch.wire.hexadecimal cimport read_hex

cdef enum:
    MESSAGE_MAX = 4096        # bytes of all cells together: no row that was bound has so many


cdef inline size_t put_part(uint8_t *message, size_t at, bytes part) noexcept:
    """A part behind its length; where the next one begins, beyond the end when there is no room."""
    cdef size_t size = <size_t>len(part)
    if at + 2 + size > <size_t>MESSAGE_MAX:
        return <size_t>MESSAGE_MAX + 1
    message[at] = <uint8_t>(size >> 8)
    message[at + 1] = <uint8_t>size
    memcpy(message + at + 2, <const char *>part, size)
    return at + 2 + size


@cython.final
cdef class BindingProof:

    def __cinit__(self, bytes key not None):
        self._hash = KeyedHash(key)

    cdef bint is_bound(self, bytes bound_to, bytes id, bytes serial_number, bytes place, bytes position,
                       bytes binding) except -1:
        cdef uint8_t message[MESSAGE_MAX]
        cdef uint8_t computed[KEYED_HASH_SIZE]
        cdef uint8_t claimed[KEYED_HASH_SIZE]
        cdef size_t size = 0
        cdef bytes part
        for part in (b"binding", bound_to, id, serial_number, place, position):
            size = put_part(message, size, part)
        if size > <size_t>MESSAGE_MAX or len(binding) != 2 * KEYED_HASH_SIZE:
            return False
        if read_hex(<const uint8_t *><const char *>binding, KEYED_HASH_SIZE, claimed) < 0:
            return False
        self._hash.compute(message, size, computed)
        return CRYPTO_memcmp(computed, claimed, KEYED_HASH_SIZE) == 0
