"""The calls of OpenSSL's libcrypto (3.0 or later) that the hot path makes.

Single DES is reached through the low-level ``DES_*`` calls: libcrypto's EVP offers it only in the legacy provider,
which is not loaded by default. AES and SM4 go through EVP, which picks the processor's own AES instructions.
"""

cdef extern from *:
    """
    #define OPENSSL_SUPPRESS_DEPRECATED
    #include <openssl/crypto.h>
    #include <openssl/des.h>
    #include <openssl/evp.h>
    #include <openssl/params.h>
    #include <openssl/rand.h>
    """

cdef extern from "openssl/des.h" nogil:
    ctypedef unsigned int DES_LONG
    ctypedef unsigned char DES_cblock[8]
    ctypedef struct DES_key_schedule:
        pass
    enum:
        DES_ENCRYPT
        DES_DECRYPT

    void DES_set_key_unchecked(DES_cblock *key, DES_key_schedule *schedule) noexcept
    void DES_ecb_encrypt(DES_cblock *source, DES_cblock *target, DES_key_schedule *schedule, int enc) noexcept
    void DES_ecb3_encrypt(DES_cblock *source, DES_cblock *target, DES_key_schedule *schedule_1,
                          DES_key_schedule *schedule_2, DES_key_schedule *schedule_3, int enc) noexcept
    # One block as two little-endian words, without the initial and the final permutation.
    void DES_encrypt2(DES_LONG *data, DES_key_schedule *schedule, int enc) noexcept

cdef extern from "openssl/evp.h" nogil:
    ctypedef struct EVP_CIPHER:
        pass
    ctypedef struct EVP_CIPHER_CTX:
        pass
    ctypedef struct ENGINE:
        pass

    EVP_CIPHER *EVP_CIPHER_fetch(void *library, const char *algorithm, const char *properties) noexcept
    void EVP_CIPHER_free(EVP_CIPHER *cipher) noexcept
    EVP_CIPHER_CTX *EVP_CIPHER_CTX_new() noexcept
    void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX *context) noexcept
    int EVP_CIPHER_CTX_set_padding(EVP_CIPHER_CTX *context, int padding) noexcept
    int EVP_EncryptInit_ex(EVP_CIPHER_CTX *context, const EVP_CIPHER *cipher, ENGINE *engine,
                           const unsigned char *key, const unsigned char *iv) noexcept
    int EVP_EncryptUpdate(EVP_CIPHER_CTX *context, unsigned char *out, int *out_size,
                          const unsigned char *data, int size) noexcept
    int EVP_EncryptFinal_ex(EVP_CIPHER_CTX *context, unsigned char *out, int *out_size) noexcept
    int EVP_DecryptInit_ex(EVP_CIPHER_CTX *context, const EVP_CIPHER *cipher, ENGINE *engine,
                           const unsigned char *key, const unsigned char *iv) noexcept
    int EVP_DecryptUpdate(EVP_CIPHER_CTX *context, unsigned char *out, int *out_size,
                          const unsigned char *data, int size) noexcept
    int EVP_DecryptFinal_ex(EVP_CIPHER_CTX *context, unsigned char *out, int *out_size) noexcept
    int EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *context, int what, int size, void *data) noexcept
    enum:
        EVP_CTRL_AEAD_GET_TAG
        EVP_CTRL_AEAD_SET_TAG

cdef extern from "openssl/params.h" nogil:
    ctypedef struct OSSL_PARAM:
        pass

    OSSL_PARAM OSSL_PARAM_construct_utf8_string(const char *key, char *buffer, size_t size) noexcept
    OSSL_PARAM OSSL_PARAM_construct_end() noexcept

cdef extern from "openssl/evp.h" nogil:
    ctypedef struct EVP_MAC:
        pass
    ctypedef struct EVP_MAC_CTX:
        pass

    EVP_MAC *EVP_MAC_fetch(void *library, const char *algorithm, const char *properties) noexcept
    void EVP_MAC_free(EVP_MAC *algorithm) noexcept
    EVP_MAC_CTX *EVP_MAC_CTX_new(EVP_MAC *algorithm) noexcept
    void EVP_MAC_CTX_free(EVP_MAC_CTX *context) noexcept
    int EVP_MAC_init(EVP_MAC_CTX *context, const unsigned char *key, size_t size, const OSSL_PARAM *parameters) noexcept
    int EVP_MAC_update(EVP_MAC_CTX *context, const unsigned char *data, size_t size) noexcept
    int EVP_MAC_final(EVP_MAC_CTX *context, unsigned char *out, size_t *out_size, size_t room) noexcept

cdef extern from "openssl/crypto.h" nogil:
    void OPENSSL_cleanse(void *data, size_t size) noexcept
    int CRYPTO_memcmp(const void *a, const void *b, size_t size) noexcept

cdef extern from "openssl/rand.h" nogil:
    int RAND_bytes(unsigned char *out, int size) noexcept
