/* The single-DES functions are deprecated, but the replacement needs the legacy provider, which is often absent. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "mac.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/des.h>
#include <openssl/evp.h>
#include <openssl/params.h>

enum { KEY_SIZE_MAX = 32, DES_BLOCK = 8, MAC_BYTES = 8 };

struct mac {
    EVP_MAC_CTX *cmac;                    /* NULL for X9.19 */
    DES_key_schedule left, right;
};

static int parse_hex(const char *text, uint8_t *out)
{
    size_t digits = strlen(text);
    if (digits % 2 || digits > 2 * KEY_SIZE_MAX)
        return -1;
    for (size_t i = 0; i < digits / 2; i++) {
        char pair[3] = {text[2 * i], text[2 * i + 1], 0};
        char *end;
        out[i] = (uint8_t)strtoul(pair, &end, 16);
        if (*end)
            return -1;
    }
    return (int)(digits / 2);
}

static EVP_MAC_CTX *new_cmac(const uint8_t *key, int size)
{
    const char *cipher = size == 16 ? "AES-128-CBC" : size == 24 ? "AES-192-CBC" : "AES-256-CBC";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, (char *)cipher, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *algorithm = EVP_MAC_fetch(NULL, "CMAC", NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(algorithm);
    EVP_MAC_free(algorithm);
    if (context && EVP_MAC_init(context, key, (size_t)size, parameters) != 1) {
        EVP_MAC_CTX_free(context);
        return NULL;
    }
    return context;
}

struct mac *mac_new(const char *algorithm, const char *key_hex)
{
    uint8_t key[KEY_SIZE_MAX];
    int size = parse_hex(key_hex, key);
    struct mac *mac = calloc(1, sizeof *mac);
    if (mac && !strcmp(algorithm, "aes-cmac") && (size == 16 || size == 24 || size == 32)) {
        mac->cmac = new_cmac(key, size);
        if (mac->cmac)
            return mac;
    } else if (mac && !strcmp(algorithm, "x9.19") && size == 16) {
        DES_set_key_unchecked((const_DES_cblock *)key, &mac->left);
        DES_set_key_unchecked((const_DES_cblock *)(key + DES_BLOCK), &mac->right);
        return mac;
    }
    free(mac);
    return NULL;
}

static void compute_x9_19(struct mac *mac, const uint8_t *data, size_t size, uint8_t out[MAC_BYTES])
{
    DES_cblock chain = {0};
    while (size > 0) {
        size_t count = size < DES_BLOCK ? size : DES_BLOCK;
        for (size_t i = 0; i < count; i++)
            chain[i] ^= data[i];
        DES_ecb_encrypt(&chain, &chain, &mac->left, DES_ENCRYPT);
        data += count;
        size -= count;
    }
    DES_ecb_encrypt(&chain, &chain, &mac->right, DES_DECRYPT);
    DES_ecb_encrypt(&chain, &chain, &mac->left, DES_ENCRYPT);
    memcpy(out, chain, DES_BLOCK);
}

static void compute_cmac(struct mac *mac, const uint8_t *data, size_t size, uint8_t out[MAC_BYTES])
{
    uint8_t whole[EVP_MAX_MD_SIZE];
    size_t whole_size;
    if (EVP_MAC_init(mac->cmac, NULL, 0, NULL) != 1 || EVP_MAC_update(mac->cmac, data, size) != 1 ||
        EVP_MAC_final(mac->cmac, whole, &whole_size, sizeof whole) != 1)
        abort();
    memcpy(out, whole, MAC_BYTES);
}

void mac_write(struct mac *mac, const uint8_t *data, size_t size, uint8_t out[16])
{
    static const uint8_t HEX[] = "0123456789ABCDEF";
    uint8_t binary[MAC_BYTES];
    if (mac->cmac)
        compute_cmac(mac, data, size, binary);
    else
        compute_x9_19(mac, data, size, binary);
    for (int i = 0; i < MAC_BYTES; i++) {
        out[2 * i] = HEX[binary[i] >> 4];
        out[2 * i + 1] = HEX[binary[i] & 15];
    }
}
