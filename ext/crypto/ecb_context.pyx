"""Contexts of libcrypto for single blocks (ECB) under keys that are used once, made when a module is loaded.

libcrypto reaches the processor's AES instructions through EVP alone. A context holds a cipher of one key size and one
direction; a key that is set anew overwrites the one before in place, so that nothing is allocated for a block.
"""

from switch.crypto.libcrypto cimport (
    EVP_CIPHER, EVP_CIPHER_CTX_new, EVP_CIPHER_CTX_set_padding, EVP_CIPHER_fetch, EVP_CIPHER_free, EVP_DecryptInit_ex,
    EVP_DecryptUpdate, EVP_EncryptInit_ex, EVP_EncryptUpdate,
)

cdef uint8_t no_key[32]


cdef EVP_CIPHER_CTX *ecb_context(bytes name, bint encrypts) except NULL:
    cdef EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL)
    cdef EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new()
    cdef int status = 0
    if cipher == NULL:
        raise RuntimeError(f"libcrypto has no {name.decode()}")
    if context != NULL and encrypts:
        status = EVP_EncryptInit_ex(context, cipher, NULL, no_key, NULL)
    elif context != NULL:
        status = EVP_DecryptInit_ex(context, cipher, NULL, no_key, NULL)
    EVP_CIPHER_free(cipher)
    if status != 1:
        raise MemoryError(f"libcrypto gives no context for {name.decode()}")
    EVP_CIPHER_CTX_set_padding(context, 0)
    return context


cdef bint set_ecb_key(EVP_CIPHER_CTX *context, const uint8_t *key, bint encrypts) noexcept nogil:
    if key == NULL:
        key = no_key
    if encrypts:
        return EVP_EncryptInit_ex(context, NULL, NULL, key, NULL) == 1
    return EVP_DecryptInit_ex(context, NULL, NULL, key, NULL) == 1


cdef bint crypt_blocks(EVP_CIPHER_CTX *context, const uint8_t *source, uint8_t *target, int size,
                       bint encrypts) noexcept nogil:
    cdef int written = 0
    if encrypts:
        return EVP_EncryptUpdate(context, target, &written, source, size) == 1 and written == size
    return EVP_DecryptUpdate(context, target, &written, source, size) == 1 and written == size
