"""SM4 (GB/T 32907) of single blocks under keys that are used once, by libcrypto.

The contexts of both directions are made when the module is loaded, and a key that is set anew overwrites the one before
in place, so that nothing is allocated for a block.
"""

from switch.crypto.libcrypto cimport (
    EVP_CIPHER, EVP_CIPHER_CTX, EVP_CIPHER_CTX_new, EVP_CIPHER_CTX_set_padding, EVP_CIPHER_fetch, EVP_CIPHER_free,
    EVP_DecryptInit_ex, EVP_DecryptUpdate, EVP_EncryptInit_ex, EVP_EncryptUpdate, OPENSSL_cleanse,
)

cdef EVP_CIPHER_CTX *contexts[2]                # of decryption and encryption; they live as long as the process
cdef uint8_t no_key[SM4_BLOCK_SIZE]


cdef int make_contexts() except -1:
    cdef EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, b"SM4-ECB", NULL)
    cdef EVP_CIPHER_CTX *context
    cdef int encrypts, status
    if cipher == NULL:
        raise RuntimeError("libcrypto has no SM4-ECB")
    for encrypts in range(2):
        context = EVP_CIPHER_CTX_new()
        status = context != NULL
        if status and encrypts:
            status = EVP_EncryptInit_ex(context, cipher, NULL, no_key, NULL)
        elif status:
            status = EVP_DecryptInit_ex(context, cipher, NULL, no_key, NULL)
        if status != 1:
            raise MemoryError("libcrypto gives no context for SM4-ECB")
        EVP_CIPHER_CTX_set_padding(context, 0)
        contexts[encrypts] = context
    EVP_CIPHER_free(cipher)
    return 0


make_contexts()


cdef int sm4_crypt(const uint8_t *key, const uint8_t *source, uint8_t *target, int blocks, bint encrypt) noexcept nogil:
    cdef EVP_CIPHER_CTX *context = contexts[encrypt]
    cdef int size = blocks * SM4_BLOCK_SIZE
    cdef int written = 0
    cdef bint done
    if encrypt:
        done = (EVP_EncryptInit_ex(context, NULL, NULL, key, NULL) == 1
                and EVP_EncryptUpdate(context, target, &written, source, size) == 1)
        EVP_EncryptInit_ex(context, NULL, NULL, no_key, NULL)
    else:
        done = (EVP_DecryptInit_ex(context, NULL, NULL, key, NULL) == 1
                and EVP_DecryptUpdate(context, target, &written, source, size) == 1)
        EVP_DecryptInit_ex(context, NULL, NULL, no_key, NULL)
    if done and written == size:
        return 0
    OPENSSL_cleanse(target, size)
    return -1
