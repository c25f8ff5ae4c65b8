/* fastjson's dialect made strict. Whether words are numbers and escapes are whole is left to the
 * strict parser; but what it then accepts is bounded, and stays as it is when made strict again. */
#include "common/remoting/dialect.h"
#include "tests/fuzz/fuzz.h"

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf once = {0};
    struct buf twice = {0};
    if (dialect_to_json(slice_of(data, size), &once) == STATUS_OK) {
        ASSERT(once.size <= 7 * size);
        json_t *tree = json_loadb((const char *)once.data, once.size, JSON_DECODE_ANY, NULL);
        if (tree != NULL) {
            enum status status = dialect_to_json(buf_slice(&once), &twice);
            ASSERT(status == STATUS_OK && slice_equals(buf_slice(&once), buf_slice(&twice)));
        }
        json_decref(tree);
    }
    buf_close(&once);
    buf_close(&twice);
    return 0;
}
