"""AES of single blocks under keys that are used once."""

from switch.crypto.ecb_context cimport crypt_blocks, ecb_context, set_ecb_key
from switch.crypto.libcrypto cimport EVP_CIPHER_CTX, OPENSSL_cleanse

cdef enum:
    KEY_SIZES = 3             # 16, 24 and 32 bytes

cdef EVP_CIPHER_CTX *contexts[2][KEY_SIZES]     # of decryption and encryption


cdef int make_contexts() except -1:
    cdef int number
    for number, name in enumerate((b"AES-128-ECB", b"AES-192-ECB", b"AES-256-ECB")):
        contexts[0][number] = ecb_context(name, False)
        contexts[1][number] = ecb_context(name, True)
    return 0


make_contexts()


cdef bint is_aes_key_size(int size) noexcept nogil:
    return size == 16 or size == 24 or size == 32


cdef int work(const uint8_t *key, int key_size, const uint8_t *source, uint8_t *target, const uint8_t *between,
              bint encrypt) noexcept nogil:
    """Once, or twice where something is to be mixed in between."""
    cdef EVP_CIPHER_CTX *context
    cdef bint done
    cdef int i
    if not is_aes_key_size(key_size):
        return -1
    context = contexts[encrypt][(key_size >> 3) - 2]
    done = set_ecb_key(context, key, encrypt) and crypt_blocks(context, source, target, AES_BLOCK_SIZE, encrypt)
    if done and between != NULL:
        for i in range(AES_BLOCK_SIZE):
            target[i] ^= between[i]
        done = crypt_blocks(context, target, target, AES_BLOCK_SIZE, encrypt)
    set_ecb_key(context, NULL, encrypt)
    if not done:
        OPENSSL_cleanse(target, AES_BLOCK_SIZE)
        return -1
    return 0


cdef int aes_encrypt(const uint8_t *key, int key_size, const uint8_t *source, uint8_t *target) noexcept nogil:
    return work(key, key_size, source, target, NULL, True)


cdef int aes_twice(const uint8_t *key, int key_size, const uint8_t *source, uint8_t *target, const uint8_t *between,
                   bint encrypt) noexcept nogil:
    return work(key, key_size, source, target, between, encrypt)
