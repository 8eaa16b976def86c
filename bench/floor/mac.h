/* Message authentication codes over libcrypto, for the two sides that the measured switch talks to. */
#ifndef BENCH_MAC_H
#define BENCH_MAC_H

#include <stddef.h>
#include <stdint.h>

struct mac;      /* an algorithm with its key, ready for use */

/* `algorithm` is "aes-cmac" (key of 16, 24 or 32 bytes) or "x9.19" (ISO 9797-1 algorithm 3, padding 1, 16 bytes);
   NULL when the algorithm or the key will not do. */
struct mac *mac_new(const char *algorithm, const char *key_hex);

/* The leftmost 8 bytes of the MAC, as 16 hex digits. */
void mac_write(struct mac *mac, const uint8_t *data, size_t size, uint8_t out[16]);

#endif
