/* Latencies: counts by size, each bucket at most 1/64 wide of what it holds, from 1 ns to 18
 * minutes (larger ones count as that). Fixed memory, exact to two digits at every percentile. */
#ifndef ADMIN_HISTOGRAM_H
#define ADMIN_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_SUB_BITS = 6,
    HISTOGRAM_POWERS = 41 - HISTOGRAM_SUB_BITS,
    HISTOGRAM_BUCKETS = (HISTOGRAM_POWERS + 1) << HISTOGRAM_SUB_BITS,
};

/* A zeroed histogram is empty and valid. */
struct histogram {
    uint64_t count;
    uint64_t sum_ns;
    uint64_t max_ns;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t ns);
void histogram_merge(struct histogram *into, const struct histogram *from);

/* The value below or at which `fraction` (0 … 1) of all lie; 0 if there are none. */
uint64_t histogram_percentile(const struct histogram *histogram, double fraction);

#endif
