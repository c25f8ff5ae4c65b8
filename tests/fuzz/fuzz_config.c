/* Configuration files: what was read and printed reads back as the same. */
#include "common/base/config.h"
#include "tests/fuzz/fuzz.h"

static const struct config_key keys[] = {
    {"brokerName", CONFIG_TEXT, "broker-a", 0, 0, "A text."},
    {"listenPort", CONFIG_INTEGER, "10911", 1, 65535, "A port."},
    {"offset", CONFIG_INTEGER, "0", INT64_MIN, INT64_MAX, "Any number."},
    {"autoCreateTopicEnable", CONFIG_BOOLEAN, "true", 0, 0, "A choice."},
};
enum { KEYS = sizeof keys / sizeof keys[0] };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = config_new(keys, KEYS, NULL);
    struct config *again = config_new(keys, KEYS, NULL);
    struct buf once = {0};
    struct buf twice = {0};
    enum status status = config_load_text(config, "fuzz", slice_of(data, size));
    int64_t port = config_integer(config, "listenPort");
    ASSERT(port >= 1 && port <= 65535);
    config_print(config, &once);
    enum status printed = config_load_text(again, "fuzz", buf_slice(&once));
    ASSERT(printed == STATUS_OK);
    config_print(again, &twice);
    ASSERT(slice_equals(buf_slice(&once), buf_slice(&twice)));
    (void)status; // Bad lines are refused, good ones hold.
    config_free(config);
    config_free(again);
    buf_close(&once);
    buf_close(&twice);
    return 0;
}
