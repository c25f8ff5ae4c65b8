#include "client/allocate.h"

#include "common/base/check.h"

void allocate_averagely(size_t queues, size_t members, size_t place, size_t *first, size_t *count)
{
    ASSERT(place < members);
    size_t share = queues / members;
    size_t larger = queues % members; // So many members, the first ones, take one more.
    *count = share + (place < larger ? 1 : 0);
    *first = place * share + (place < larger ? place : larger);
}
