"""DES block chaining in the permuted domain.

DES begins with a bit permutation (IP) and ends with its inverse (FP). Within a chain of blocks FP of one and IP of the
next cancel out, so a MAC needs IP of the message's blocks only, which the processor computes beside the rounds of the
block before. That is why this costs less than libcrypto's own ``DES_cbc_cksum``, on libcrypto's own rounds.
"""

from libc.stdint cimport uint8_t, uint32_t
from switch.crypto.libcrypto cimport DES_LONG


cdef inline DES_LONG load_le32(const uint8_t *at) noexcept nogil:
    return <DES_LONG>at[0] | (<DES_LONG>at[1] << 8) | (<DES_LONG>at[2] << 16) | (<DES_LONG>at[3] << 24)


cdef inline void store_le32(uint8_t *at, DES_LONG word) noexcept nogil:
    at[0] = word & 0xFF
    at[1] = (word >> 8) & 0xFF
    at[2] = (word >> 16) & 0xFF
    at[3] = (word >> 24) & 0xFF


cdef inline void swap_bits(DES_LONG *a, DES_LONG *b, int shift, DES_LONG mask) noexcept nogil:
    """Exchange the bits of ``b`` under ``mask`` with those of ``a`` that stand ``shift`` higher."""
    cdef DES_LONG difference = ((a[0] >> shift) ^ b[0]) & mask
    b[0] ^= difference
    a[0] ^= difference << shift


cdef inline void des_enter(const uint8_t *block, DES_LONG *half) noexcept nogil:
    """A block's two halves after IP (FIPS 46-3), as ``DES_encrypt2`` takes them."""
    cdef DES_LONG left = load_le32(block)
    cdef DES_LONG right = load_le32(block + 4)
    swap_bits(&right, &left, 4, 0x0F0F0F0F)
    swap_bits(&left, &right, 16, 0x0000FFFF)
    swap_bits(&right, &left, 2, 0x33333333)
    swap_bits(&left, &right, 8, 0x00FF00FF)
    swap_bits(&right, &left, 1, 0x55555555)
    half[0] = left
    half[1] = right


cdef inline void des_leave(const DES_LONG *half, uint8_t *block) noexcept nogil:
    """The block whose halves after IP are these: the steps of ``des_enter`` backwards."""
    cdef DES_LONG left = half[0]
    cdef DES_LONG right = half[1]
    swap_bits(&right, &left, 1, 0x55555555)
    swap_bits(&left, &right, 8, 0x00FF00FF)
    swap_bits(&right, &left, 2, 0x33333333)
    swap_bits(&left, &right, 16, 0x0000FFFF)
    swap_bits(&right, &left, 4, 0x0F0F0F0F)
    store_le32(block, left)
    store_le32(block + 4, right)


# Encrypt or decrypt ``blocks`` blocks one by one (ECB) under a key of 8 (DES), 16 or 24 bytes (3DES); 0, or -1 for
# another key size. ``source`` and ``target`` may be the same. The expanded key is wiped.
cdef int des_crypt(const uint8_t *key, int key_size, const uint8_t *source, uint8_t *target, int blocks,
                   bint encrypt) noexcept nogil
