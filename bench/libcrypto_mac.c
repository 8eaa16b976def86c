/* What libcrypto's cheapest correct calls cost for a MAC, with nothing around them: the peer of ext/crypto/mac.pyx.
 *
 * Keys are given as `count` keys of `key_size` bytes each, taken in turn. With one key it is expanded once, before the
 * loop; with several each message begins by expanding its own, for which libcrypto offers no other way without keeping a
 * context for each key.
 */

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/cmac.h>
#include <openssl/des.h>
#include <openssl/evp.h>
#include <string.h>

typedef struct {
    const unsigned char *keys;
    int key_size;
    int count;
    const unsigned char *data;
    int size;
    int rounds;
    unsigned char *mac;
} Work;

static const unsigned char *key_of(const Work *work, int round)
{
    return work->keys + (size_t)work->key_size * (round % work->count);
}

static void expand(const Work *work, int round, DES_key_schedule *schedule)
{
    for (int part = 0; 8 * part < work->key_size; part++) {
        DES_set_key_unchecked((const_DES_cblock *)(key_of(work, round) + 8 * part), &schedule[part]);
    }
}

/* X9.9 with a key of 8 bytes, X9.19 with one of 16; padding 1. */
int des_mac(const Work *work)
{
    DES_key_schedule schedule[2];
    unsigned char start[8] = {0};
    expand(work, 0, schedule);
    for (int round = 0; round < work->rounds; round++) {
        if (work->count > 1) {
            expand(work, round, schedule);
        }
        DES_cbc_cksum(work->data, (DES_cblock *)work->mac, work->size, &schedule[0], (const_DES_cblock *)start);
        if (work->key_size == 16) {
            DES_ecb_encrypt((const_DES_cblock *)work->mac, (DES_cblock *)work->mac, &schedule[1], DES_DECRYPT);
            DES_ecb_encrypt((const_DES_cblock *)work->mac, (DES_cblock *)work->mac, &schedule[0], DES_ENCRYPT);
        }
    }
    return 0;
}

int aes_cmac(const Work *work)
{
    CMAC_CTX *context = CMAC_CTX_new();
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, "AES-128-CBC", NULL);
    size_t written;
    int status = 0;
    if (context == NULL || cipher == NULL || !CMAC_Init(context, work->keys, work->key_size, cipher, NULL)) {
        status = -1;
    }
    for (int round = 0; status == 0 && round < work->rounds; round++) {
        const int begun = work->count > 1 ? CMAC_Init(context, key_of(work, round), work->key_size, NULL, NULL)
                                          : CMAC_Init(context, NULL, 0, NULL, NULL);
        if (!begun || !CMAC_Update(context, work->data, work->size) || !CMAC_Final(context, work->mac, &written)) {
            status = -1;
        }
    }
    CMAC_CTX_free(context);
    EVP_CIPHER_free(cipher);
    return status;
}

static void write_hex(const unsigned char *data, int size, unsigned char *text)
{
    for (int i = 0; i < size; i++) {
        text[2 * i] = "0123456789ABCDEF"[data[i] >> 4];
        text[2 * i + 1] = "0123456789ABCDEF"[data[i] & 15];
    }
}

/* libcrypto has no such MAC: XOR and hex are ours, the two encryptions its cheapest ones. */
int cup_ecb(const Work *work)
{
    DES_key_schedule schedule;
    expand(work, 0, &schedule);
    for (int round = 0; round < work->rounds; round++) {
        unsigned char folded[8] = {0};
        unsigned char text[16];
        if (work->count > 1) {
            expand(work, round, &schedule);
        }
        for (int i = 0; i < work->size; i++) {
            folded[i & 7] ^= work->data[i];
        }
        write_hex(folded, 8, text);
        DES_ecb_encrypt((const_DES_cblock *)text, (DES_cblock *)folded, &schedule, DES_ENCRYPT);
        for (int i = 0; i < 8; i++) {
            folded[i] ^= text[8 + i];
        }
        DES_ecb_encrypt((const_DES_cblock *)folded, (DES_cblock *)folded, &schedule, DES_ENCRYPT);
        write_hex(folded, 4, work->mac);
    }
    return 0;
}
