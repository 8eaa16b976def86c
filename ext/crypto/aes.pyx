"""AES of single blocks under keys that are used once.

libcrypto reaches the processor's AES instructions through EVP alone. A context holds a cipher of one key size and one
direction; those are made when the module is loaded, and a key that is set anew overwrites the one before in place, so
that nothing is allocated for a block.
"""

from switch.crypto.libcrypto cimport (
    EVP_CIPHER, EVP_CIPHER_CTX, EVP_CIPHER_CTX_new, EVP_CIPHER_CTX_set_padding, EVP_CIPHER_fetch, EVP_CIPHER_free,
    EVP_DecryptInit_ex, EVP_DecryptUpdate, EVP_EncryptInit_ex, EVP_EncryptUpdate, OPENSSL_cleanse,
)

cdef enum:
    KEY_SIZES = 3             # 16, 24 and 32 bytes

cdef EVP_CIPHER_CTX *contexts[2][KEY_SIZES]     # of decryption and encryption; they live as long as the process
cdef uint8_t no_key[32]


cdef int make_contexts() except -1:
    cdef EVP_CIPHER *cipher
    cdef EVP_CIPHER_CTX *context
    cdef int number, encrypts, status
    for number, name in enumerate((b"AES-128-ECB", b"AES-192-ECB", b"AES-256-ECB")):
        cipher = EVP_CIPHER_fetch(NULL, name, NULL)
        if cipher == NULL:
            raise RuntimeError(f"libcrypto has no {name.decode()}")
        for encrypts in range(2):
            context = EVP_CIPHER_CTX_new()
            status = context != NULL
            if status and encrypts:
                status = EVP_EncryptInit_ex(context, cipher, NULL, no_key, NULL)
            elif status:
                status = EVP_DecryptInit_ex(context, cipher, NULL, no_key, NULL)
            if status != 1:
                raise MemoryError(f"libcrypto gives no context for {name.decode()}")
            EVP_CIPHER_CTX_set_padding(context, 0)
            contexts[encrypts][number] = context
        EVP_CIPHER_free(cipher)
    return 0


make_contexts()


cdef bint is_aes_key_size(int size) noexcept nogil:
    return size == 16 or size == 24 or size == 32


cdef inline bint set_key(EVP_CIPHER_CTX *context, const uint8_t *key, bint encrypt) noexcept nogil:
    if encrypt:
        return EVP_EncryptInit_ex(context, NULL, NULL, key, NULL) == 1
    return EVP_DecryptInit_ex(context, NULL, NULL, key, NULL) == 1


cdef inline bint run(EVP_CIPHER_CTX *context, const uint8_t *source, uint8_t *target, bint encrypt) noexcept nogil:
    cdef int written = 0
    if encrypt:
        return EVP_EncryptUpdate(context, target, &written, source, AES_BLOCK_SIZE) == 1 and written == AES_BLOCK_SIZE
    return EVP_DecryptUpdate(context, target, &written, source, AES_BLOCK_SIZE) == 1 and written == AES_BLOCK_SIZE


cdef int work(const uint8_t *key, int key_size, const uint8_t *source, uint8_t *target, const uint8_t *between,
              bint encrypt) noexcept nogil:
    """Once, or twice where something is to be mixed in between."""
    cdef EVP_CIPHER_CTX *context
    cdef bint done
    cdef int i
    if not is_aes_key_size(key_size):
        return -1
    context = contexts[encrypt][(key_size >> 3) - 2]
    done = set_key(context, key, encrypt) and run(context, source, target, encrypt)
    if done and between != NULL:
        for i in range(AES_BLOCK_SIZE):
            target[i] ^= between[i]
        done = run(context, target, target, encrypt)
    set_key(context, no_key, encrypt)
    if not done:
        OPENSSL_cleanse(target, AES_BLOCK_SIZE)
        return -1
    return 0


cdef int aes_encrypt(const uint8_t *key, int key_size, const uint8_t *source, uint8_t *target) noexcept nogil:
    return work(key, key_size, source, target, NULL, True)


cdef int aes_twice(const uint8_t *key, int key_size, const uint8_t *source, uint8_t *target, const uint8_t *between,
                   bint encrypt) noexcept nogil:
    return work(key, key_size, source, target, between, encrypt)
