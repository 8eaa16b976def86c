/* Latencies in nanoseconds, counted in buckets whose width is at most 1/128 of their value. */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_SUB_BITS = 7,
    HISTOGRAM_BUCKETS = (64 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS,
};

struct histogram {
    uint64_t count, sum, max;
    uint64_t bucket[HISTOGRAM_BUCKETS];
};

static inline int histogram_bucket(uint64_t value)
{
    if (value < 1u << HISTOGRAM_SUB_BITS)
        return (int)value;
    int shift = 63 - __builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return (int)(((uint64_t)(shift + 1) << HISTOGRAM_SUB_BITS) + (value >> shift) - (1u << HISTOGRAM_SUB_BITS));
}

static inline void histogram_add(struct histogram *histogram, uint64_t value)
{
    histogram->bucket[histogram_bucket(value)]++;
    histogram->count++;
    histogram->sum += value;
    if (value > histogram->max)
        histogram->max = value;
}

/* The largest value that a bucket holds. */
static inline uint64_t histogram_bound(int bucket)
{
    if (bucket < 1 << HISTOGRAM_SUB_BITS)
        return (uint64_t)bucket;
    int shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t mantissa = (uint64_t)(bucket & ((1 << HISTOGRAM_SUB_BITS) - 1)) + (1u << HISTOGRAM_SUB_BITS);
    return ((mantissa + 1) << shift) - 1;
}

/* The value that a share of the values (0.99 for the 99th percentile) does not exceed; 0 without values. */
static inline uint64_t histogram_quantile(const struct histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)histogram->count + 0.5);
    uint64_t seen = 0;
    for (int bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->bucket[bucket];
        if (seen && seen >= wanted) {
            uint64_t bound = histogram_bound(bucket);
            return bound < histogram->max ? bound : histogram->max;
        }
    }
    return histogram->max;
}

#endif
