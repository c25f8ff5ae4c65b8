/* Messages as the client library takes them out of a pull's answer: each is decoded or refused, and
 * the walk always ends. */
#include "client/received.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data, size);
    while (rest.size > 0) {
        struct received received = {0};
        size_t before = rest.size;
        enum status status = received_decode(&rest, slice_text("broker-a"), &received);
        ASSERT(status == STATUS_OK || status == STATUS_MALFORMED);
        ASSERT(rest.size < before);
        if (status == STATUS_OK) {
            ASSERT(received.message.topic != NULL);
        }
        received_close(&received);
    }
    return 0;
}
