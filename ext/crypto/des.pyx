"""DES and 3DES of single blocks under keys that are used once: PIN blocks, key wrapping, key check values."""

from libc.stdint cimport uint8_t

from switch.crypto.libcrypto cimport (
    DES_DECRYPT, DES_ENCRYPT, DES_cblock, DES_ecb3_encrypt, DES_ecb_encrypt, DES_key_schedule, DES_set_key_unchecked,
    OPENSSL_cleanse,
)


cdef int des_crypt(const uint8_t *key, int key_size, const uint8_t *source, uint8_t *target, int blocks,
                   bint encrypt) noexcept nogil:
    cdef DES_key_schedule schedule[3]
    cdef int enc = DES_ENCRYPT if encrypt else DES_DECRYPT
    cdef int i
    if key_size != 8 and key_size != 16 and key_size != 24:
        return -1
    for i in range(0, key_size, 8):
        DES_set_key_unchecked(<DES_cblock *>(key + i), &schedule[i >> 3])
    if key_size == 16:
        schedule[2] = schedule[0]
    for i in range(0, 8 * blocks, 8):
        if key_size == 8:
            DES_ecb_encrypt(<DES_cblock *>(source + i), <DES_cblock *>(target + i), &schedule[0], enc)
        else:
            DES_ecb3_encrypt(<DES_cblock *>(source + i), <DES_cblock *>(target + i), &schedule[0], &schedule[1],
                             &schedule[2], enc)
    OPENSSL_cleanse(schedule, sizeof(schedule))
    return 0


cdef bytes crypt(bytes key, bytes data, bint encrypt):
    cdef bytearray out = bytearray(len(data))
    if len(data) % 8:
        raise ValueError(f"DES works on blocks of 8 bytes, not on {len(data)} bytes")
    if des_crypt(key, <int>len(key), data, out, <int>(len(data) // 8), encrypt) < 0:
        raise ValueError(f"a DES key has 8, 16 or 24 bytes, not {len(key)}")
    return bytes(out)


def encrypt_blocks(bytes key not None, bytes data not None):
    return crypt(key, data, True)


def decrypt_blocks(bytes key not None, bytes data not None):
    return crypt(key, data, False)
