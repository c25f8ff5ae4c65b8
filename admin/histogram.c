#include "admin/histogram.h"

#include <stddef.h>

enum { SUB_COUNT = 1 << HISTOGRAM_SUB_BITS };

/* Below SUB_COUNT each value has its own bucket; above, each power of two has SUB_COUNT of them. */
static size_t bucket_of(uint64_t ns)
{
    if (ns < SUB_COUNT) {
        return (size_t)ns;
    }
    unsigned power = 63 - (unsigned)__builtin_clzll(ns) - HISTOGRAM_SUB_BITS;
    size_t bucket = ((size_t)(power + 1) << HISTOGRAM_SUB_BITS) + (ns >> power) - SUB_COUNT;
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The largest value of a bucket. */
static uint64_t bucket_top(size_t bucket)
{
    if (bucket < SUB_COUNT) {
        return bucket;
    }
    size_t power = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t part = (bucket & (SUB_COUNT - 1)) + SUB_COUNT;
    return ((part + 1) << power) - 1;
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
    histogram->buckets[bucket_of(ns)]++;
    histogram->count++;
    histogram->sum_ns += ns;
    histogram->max_ns = ns > histogram->max_ns ? ns : histogram->max_ns;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        into->buckets[i] += from->buckets[i];
    }
    into->count += from->count;
    into->sum_ns += from->sum_ns;
    into->max_ns = from->max_ns > into->max_ns ? from->max_ns : into->max_ns;
}

uint64_t histogram_percentile(const struct histogram *histogram, double fraction)
{
    uint64_t wanted = (uint64_t)((double)histogram->count * fraction + 0.5);
    wanted = wanted == 0 ? 1 : wanted;
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen >= wanted) {
            uint64_t top = bucket_top(i);
            return top < histogram->max_ns ? top : histogram->max_ns;
        }
    }
    return histogram->max_ns;
}
