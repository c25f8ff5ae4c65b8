#include "broker/core/tag_filter.h"

#include "common/remoting/message.h"
#include "common/remoting/subscription.h"

#include <stdlib.h>

static int compare_hashes(const void *a, const void *b)
{
    int32_t left = *(const int32_t *)a;
    int32_t right = *(const int32_t *)b;
    return (left > right) - (left < right);
}

enum status tag_filter_parse(struct slice expression, struct tag_filter *filter)
{
    *filter = (struct tag_filter){0};
    if (subscription_is_all(expression)) {
        filter->all = true;
        return STATUS_OK;
    }
    int32_t hashes[TAGS_PER_FILTER_MAX];
    uint32_t count = 0;
    struct slice rest = expression;
    struct slice tag;
    while (subscription_next_tag(&rest, &tag)) {
        if (count == TAGS_PER_FILTER_MAX) {
            return STATUS_SUBSCRIPTION_MALFORMED;
        }
        hashes[count++] = java_hash_code(tag);
    }
    if (count == 0) {
        return STATUS_SUBSCRIPTION_MALFORMED;
    }
    qsort(hashes, count, sizeof hashes[0], compare_hashes);
    filter->count = count;
    filter->hashes = mem_alloc(count * sizeof hashes[0]);
    memcpy(filter->hashes, hashes, count * sizeof hashes[0]);
    return STATUS_OK;
}

void tag_filter_close(struct tag_filter *filter)
{
    free(filter->hashes);
    *filter = (struct tag_filter){0};
}

bool tag_filter_matches(const struct tag_filter *filter, int32_t tags_hash)
{
    if (filter->all) {
        return true;
    }
    return filter->count > 0 && bsearch(&tags_hash, filter->hashes, filter->count, sizeof tags_hash,
                                        compare_hashes) != NULL;
}
