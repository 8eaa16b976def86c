"""Message authentication codes over libcrypto."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from switch.crypto.libcrypto cimport DES_key_schedule, EVP_CIPHER, EVP_CIPHER_CTX

cdef enum:
    MAC_KEY_MAX = 32          # bytes
    MAC_SIZE_MAX = 16         # bytes of the longest MAC that an algorithm yields
    MAC_SIZE_MIN = 4          # bytes of the shortest MAC that verify accepts

cdef enum MacAlgorithm:       # order of ALGORITHMS, the names that configurations use; a test compares the two
    MAC_NONE
    MAC_X9_9                  # ISO 9797-1 algorithm 1, DES-CBC; padding 1 unless said otherwise
    MAC_X9_19                 # ISO 9797-1 algorithm 3, retail MAC
    MAC_CUP_ECB               # China UnionPay POS: XOR of blocks, hex, two encryptions; yields 8 ASCII hex digits
    MAC_CUP_SM4               # the same with SM4 blocks of 16 bytes
    MAC_AES_CMAC

cdef enum MacPadding:
    MAC_PADDING_1             # zeros up to a block
    MAC_PADDING_2             # 0x80, then zeros

cdef struct MacKey:
    uint8_t algorithm
    uint8_t padding
    uint8_t size              # of the key in bytes: 8, 16, 24, 32
    uint8_t key[MAC_KEY_MAX]

cdef struct MacPart:          # one stretch of the bytes that are authenticated
    const uint8_t *data
    size_t size

cdef struct DesSlot:          # one expanded DES key of one, two or three parts
    uint8_t size              # of the key in bytes; 0 while the slot is empty
    uint8_t key[24]
    DES_key_schedule schedule[3]

cdef struct BlockSlot:        # one expanded key of a 16-byte block cipher
    EVP_CIPHER_CTX *context   # CBC; made when the slot is first used, kept for every later key of the slot
    uint8_t size              # of the key in bytes; 0 while the slot is empty
    uint8_t key[MAC_KEY_MAX]
    uint8_t chain[16]         # the last block that the context put out, which it mixes into its next one
    uint8_t subkey_1[16]      # NIST SP 800-38B, K1 and K2
    uint8_t subkey_2[16]

cdef enum:                    # families of 16-byte block keys, each with a table of slots
    FAMILY_AES_128
    FAMILY_AES_192
    FAMILY_AES_256
    FAMILY_SM4
    FAMILY_COUNT


cdef class MacEngine:
    """Contexts of libcrypto and expanded keys, allocated once and used for every message of one thread.

    Terminals keep raw keys only. The engine keeps the expanded form of those it used last, in direct-mapped tables of
    bounded size; a key that is not there is expanded again. All of it is wiped when the engine goes.
    """
    cdef uint32_t slot_bits                          # of a table's 2 ** n slots
    cdef uint64_t salt                               # makes slot numbers say nothing about keys
    cdef DesSlot *des_slots
    cdef BlockSlot *block_slots[FAMILY_COUNT]        # NULL until a key of the family is used
    cdef EVP_CIPHER *ciphers[FAMILY_COUNT]

    cdef int compute(self, const MacKey *key, const MacPart *parts, int part_count, uint8_t *mac) noexcept nogil
    """The MAC of the parts joined, into ``mac`` of MAC_SIZE_MAX bytes; its size in bytes (8 or 16; 0 for MAC_NONE) or
    -1 when the key's size does not suit its algorithm or libcrypto refuses."""

    cdef int verify(self, const MacKey *key, const MacPart *parts, int part_count,
                    const uint8_t *mac, int mac_size) noexcept nogil
    """1 when the leftmost ``mac_size`` bytes agree (compared in constant time), 0 when not, -1 as above. Less than
    MAC_SIZE_MIN bytes, and MAC_NONE, never agree."""

    cdef int compute_des(self, const MacKey *key, const MacPart *parts, int part_count, uint8_t *mac) noexcept nogil
    cdef int compute_block(self, const MacKey *key, const MacPart *parts, int part_count, uint8_t *mac) noexcept nogil
    cdef DesSlot *des_slot(self, const uint8_t *key, int size) noexcept nogil
    cdef BlockSlot *block_slot(self, int family, const uint8_t *key, int size) noexcept nogil


cdef class Mac:
    """One algorithm with its key and padding, for Python callers."""
    cdef MacKey key


# Fill a key from Python values; ValueError for an unknown algorithm, or a key size or padding that does not suit it.
# The message holds no key material.
cdef int set_mac_key(MacKey *target, str algorithm, bytes key, int padding) except -1
