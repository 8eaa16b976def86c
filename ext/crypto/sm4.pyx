"""SM4 (GB/T 32907) of single blocks under keys that are used once, by libcrypto."""

from switch.crypto.ecb_context cimport crypt_blocks, ecb_context, set_ecb_key
from switch.crypto.libcrypto cimport EVP_CIPHER_CTX, OPENSSL_cleanse

cdef EVP_CIPHER_CTX *contexts[2]                # of decryption and encryption
contexts[0], contexts[1] = ecb_context(b"SM4-ECB", False), ecb_context(b"SM4-ECB", True)


cdef int sm4_crypt(const uint8_t *key, const uint8_t *source, uint8_t *target, int blocks, bint encrypt) noexcept nogil:
    cdef EVP_CIPHER_CTX *context = contexts[encrypt]
    cdef int size = blocks * SM4_BLOCK_SIZE
    cdef bint done = (set_ecb_key(context, key, encrypt)
                      and crypt_blocks(context, source, target, size, encrypt))
    set_ecb_key(context, NULL, encrypt)
    if done:
        return 0
    OPENSSL_cleanse(target, size)
    return -1
