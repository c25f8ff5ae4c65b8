/* Tag expressions. The broker filters by hash, consumers by text: what a consumer would take, the
 * broker may not hold back. Up to the first newline: the expression; then tags of messages. */
#include "broker/core/tag_filter.h"
#include "common/remoting/message.h"
#include "common/remoting/subscription.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {slice_of(data, size)};
    struct slice expression = fuzz_until(&input, '\n');
    struct slice rest = expression;
    struct slice tag;
    struct tag_filter filter;
    size_t count = 0;
    if (!subscription_is_all(expression)) {
        while (subscription_next_tag(&rest, &tag)) {
            ASSERT(tag.size > 0 && subscription_matches(expression, tag));
            count++;
        }
    }
    if (tag_filter_parse(expression, &filter) != STATUS_OK) {
        ASSERT(filter.hashes == NULL && (count == 0 || count > TAGS_PER_FILTER_MAX));
        return 0;
    }
    ASSERT(filter.all == subscription_is_all(expression));
    while (fuzz_left(&input)) {
        tag = fuzz_until(&input, '\n');
        bool passes = tag_filter_matches(&filter, java_hash_code(tag));
        ASSERT(passes || !subscription_matches(expression, tag));
    }
    tag_filter_close(&filter);
    return 0;
}
