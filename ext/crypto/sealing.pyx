"""AES-256-GCM over libcrypto (NIST SP 800-38D), for batches of the journal."""

cimport cython
from libc.string cimport memcpy
from switch.crypto.libcrypto cimport (
    EVP_CTRL_AEAD_GET_TAG, EVP_CTRL_AEAD_SET_TAG, EVP_CIPHER_CTX_ctrl, EVP_CIPHER_CTX_free, EVP_CIPHER_CTX_new,
    EVP_CIPHER_fetch, EVP_CIPHER_free, EVP_DecryptFinal_ex, EVP_DecryptInit_ex, EVP_DecryptUpdate, EVP_EncryptFinal_ex,
    EVP_EncryptInit_ex, EVP_EncryptUpdate, OPENSSL_cleanse,
)


@cython.final
@cython.no_gc
cdef class Sealer:

    def __cinit__(self):
        self._cipher = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL)
        self._context = EVP_CIPHER_CTX_new()
        if self._cipher == NULL or self._context == NULL:
            raise MemoryError("libcrypto gives no context for AES-256-GCM")

    def __dealloc__(self):
        OPENSSL_cleanse(self._key, SEAL_KEY_BYTES)
        EVP_CIPHER_CTX_free(self._context)
        EVP_CIPHER_free(self._cipher)

    cdef void set_key(self, const uint8_t *key) noexcept nogil:
        memcpy(self._key, key, SEAL_KEY_BYTES)

    cdef int seal(self, const uint8_t *nonce, const uint8_t *extra, uint32_t extra_size, const uint8_t *clear,
                  uint32_t size, uint8_t *sealed, uint8_t *tag) noexcept nogil:
        cdef int written = 0
        if (EVP_EncryptInit_ex(self._context, self._cipher, NULL, self._key, nonce) != 1
                or EVP_EncryptUpdate(self._context, NULL, &written, extra, <int>extra_size) != 1
                or EVP_EncryptUpdate(self._context, sealed, &written, clear, <int>size) != 1
                or written != <int>size
                or EVP_EncryptFinal_ex(self._context, sealed + size, &written) != 1
                or EVP_CIPHER_CTX_ctrl(self._context, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_BYTES, tag) != 1):
            return -1
        return 0

    cdef int unseal(self, const uint8_t *nonce, const uint8_t *extra, uint32_t extra_size, const uint8_t *sealed,
                    uint32_t size, const uint8_t *tag, uint8_t *clear) noexcept nogil:
        cdef int written = 0
        if (EVP_DecryptInit_ex(self._context, self._cipher, NULL, self._key, nonce) != 1
                or EVP_DecryptUpdate(self._context, NULL, &written, extra, <int>extra_size) != 1
                or EVP_DecryptUpdate(self._context, clear, &written, sealed, <int>size) != 1
                or written != <int>size
                or EVP_CIPHER_CTX_ctrl(self._context, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_BYTES, <void *>tag) != 1
                or EVP_DecryptFinal_ex(self._context, clear + size, &written) != 1):
            return -1
        return 0
