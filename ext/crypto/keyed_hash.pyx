"""HMAC-SHA-256 by libcrypto, which keeps what it has made of the key from message to message."""

cimport cython

from switch.crypto.libcrypto cimport (
    EVP_MAC, EVP_MAC_CTX_free, EVP_MAC_CTX_new, EVP_MAC_fetch, EVP_MAC_final, EVP_MAC_free, EVP_MAC_init,
    EVP_MAC_update, OSSL_PARAM, OSSL_PARAM_construct_end, OSSL_PARAM_construct_utf8_string,
)


@cython.final
cdef class KeyedHash:

    def __cinit__(self, bytes key not None):
        cdef EVP_MAC *algorithm
        cdef OSSL_PARAM parameters[2]
        if not key:
            raise ValueError("a keyed hash needs a key")
        parameters[0] = OSSL_PARAM_construct_utf8_string("digest", b"SHA256", 0)
        parameters[1] = OSSL_PARAM_construct_end()
        algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL)
        if algorithm != NULL:
            self._context = EVP_MAC_CTX_new(algorithm)
            EVP_MAC_free(algorithm)
        if self._context == NULL or EVP_MAC_init(
                self._context, <const unsigned char *><const char *>key, len(key), parameters) != 1:
            raise MemoryError("libcrypto has no HMAC-SHA-256")

    def __dealloc__(self):
        EVP_MAC_CTX_free(self._context)

    cdef int compute(self, const uint8_t *message, size_t size, uint8_t *hash) except -1:
        cdef size_t written
        if (EVP_MAC_init(self._context, NULL, 0, NULL) != 1
                or EVP_MAC_update(self._context, message, size) != 1
                or EVP_MAC_final(self._context, hash, &written, KEYED_HASH_SIZE) != 1):
            raise RuntimeError("libcrypto could not compute a keyed hash")
        return 0
