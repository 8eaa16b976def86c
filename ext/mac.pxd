"""Message authentication codes over libcrypto."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    MAC_KEY_MAX = 32          # bytes
    MAC_SIZE_MAX = 16         # bytes of the longest MAC that an algorithm yields

cdef enum MacAlgorithm:       # order of switch.keys' names for them; a test compares the two
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


cdef class MacEngine:
    """Contexts of libcrypto, allocated once and used for every message of one thread."""

    cdef int compute(self, const MacKey *key, const MacPart *parts, int part_count, uint8_t *mac) noexcept nogil
    """The MAC of the parts joined; its size in bytes (8 or 16) or -1 when libcrypto refuses."""

    cdef int verify(self, const MacKey *key, const MacPart *parts, int part_count,
                    const uint8_t *mac, int mac_size) noexcept nogil
    """1 when the leftmost ``mac_size`` bytes agree (compared in constant time), 0 when not, -1 as above."""
