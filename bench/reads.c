/* What one read costs that waits for the one before it: the price of a look-up that finds nothing in the caches.
 *
 * `reads_prepare` lays a ring through memory, one cache line a step, in an order that no prefetcher guesses; `reads_walk`
 * takes so many steps of it.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { CACHE_LINE = 64, HUGE_PAGE = 2 * 1024 * 1024 };

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    return *state;
}

void **reads_prepare(size_t bytes) {
    size_t lines = bytes / CACHE_LINE;
    uint64_t state = 88172645463325252u;
    size_t *order = malloc(lines * sizeof *order);
    char *memory = NULL;
    if (!order || posix_memalign((void **)&memory, HUGE_PAGE, bytes)) abort();
    madvise(memory, bytes, MADV_HUGEPAGE);
    for (size_t i = 0; i < lines; i++) order[i] = i;
    for (size_t i = lines - 1; i > 0; i--) { /* Sattolo: one ring through all lines */
        size_t other = next_random(&state) % i, kept = order[i];
        order[i] = order[other], order[other] = kept;
    }
    for (size_t i = 0; i < lines; i++) *(void **)(memory + i * CACHE_LINE) = memory + order[i] * CACHE_LINE;
    free(order);
    return (void **)memory;
}

void **reads_walk(void **at, size_t steps) {
    while (steps--) at = *at;
    return at;
}

void reads_release(void **ring) { free(ring); }
