"""SipHash-2-4 with 64 bits of output (Aumasson and Bernstein, 2012): a keyed hash for short identifiers.

Without the key nobody can tell which identifier a hash stands for, nor choose identifiers whose hashes collide.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy


cdef struct SipKey:
    uint64_t low
    uint64_t high


cdef inline uint64_t rotated(uint64_t word, int bits) noexcept nogil:
    return (word << bits) | (word >> (64 - bits))


cdef inline void sip_rounds(uint64_t *v, int rounds) noexcept nogil:
    while rounds > 0:
        v[0] += v[1]
        v[2] += v[3]
        v[1] = rotated(v[1], 13) ^ v[0]
        v[3] = rotated(v[3], 16) ^ v[2]
        v[0] = rotated(v[0], 32)
        v[2] += v[1]
        v[0] += v[3]
        v[1] = rotated(v[1], 17) ^ v[2]
        v[3] = rotated(v[3], 21) ^ v[0]
        v[2] = rotated(v[2], 32)
        rounds -= 1


cdef inline uint64_t siphash(const SipKey *key, const uint8_t *data, size_t size) noexcept nogil:
    cdef uint64_t v[4]
    cdef uint64_t word
    cdef size_t left = size
    v[0] = key.low ^ <uint64_t>0x736F6D6570736575
    v[1] = key.high ^ <uint64_t>0x646F72616E646F6D
    v[2] = key.low ^ <uint64_t>0x6C7967656E657261
    v[3] = key.high ^ <uint64_t>0x7465646279746573
    while left >= 8:
        memcpy(&word, data, 8)
        v[3] ^= word
        sip_rounds(v, 2)
        v[0] ^= word
        data += 8
        left -= 8
    word = 0
    memcpy(&word, data, left)
    word |= <uint64_t>(size & 0xFF) << 56
    v[3] ^= word
    sip_rounds(v, 2)
    v[0] ^= word
    v[2] ^= 0xFF
    sip_rounds(v, 4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]
