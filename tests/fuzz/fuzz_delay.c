/* What a message's properties say of its delay, under a table of levels that comes first, up to a
 * newline. No delay is longer than it may be, and what a broker adds is no new wish. */
#include "broker/core/send_delay.h"
#include "common/remoting/message.h"
#include "common/remoting/properties.h"
#include "tests/fuzz/fuzz.h"

enum { NOW_MS = 1700000000 };

static void check(const struct settings *settings, struct slice properties,
                  const struct send_delay *delay)
{
    uint64_t longest = delay->level > 0 ? DELAY_MAX_MS : settings->timer_delay_max_ms;
    uint64_t ms = delay->delay.ms;
    ASSERT(!delay->delay.absolute || ms > NOW_MS);
    ASSERT((delay->delay.absolute ? ms - NOW_MS : ms) <= longest);
    ASSERT(delay->level >= 0 && (delay->level == 0 || ms > 0));
    ASSERT(ms == 0 || send_delay_asked(properties));
    if (delay->out_ms == 0) {
        return;
    }
    // A timer that is over is passed on.
    struct buf stored = {0};
    struct send_delay again;
    const char *unwanted[SEND_DELAY_NAMES_MAX];
    size_t count = send_delay_unwanted(delay, unwanted);
    properties_copy_without(&stored, properties, unwanted, count);
    send_delay_append(delay, slice_text("T"), 3, &stored);
    enum status status = send_delay_read(settings, buf_slice(&stored), NOW_MS, &again);
    ASSERT(status == STATUS_OK && again.delay.ms == 0);
    buf_close(&stored);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {slice_of(data, size)};
    struct settings settings = {.timers_enabled = true, .timer_delay_max_ms = 259200000};
    struct send_delay delay;
    if (!delay_levels_parse(fuzz_until(&input, '\n'), &settings.delay_levels)) {
        bool usual = delay_levels_parse(slice_text(DELAY_LEVELS_USUAL), &settings.delay_levels);
        ASSERT(usual);
    }
    enum status status = send_delay_read(&settings, input.rest, NOW_MS, &delay);
    if (status == STATUS_OK) {
        check(&settings, input.rest, &delay);
    } else {
        ASSERT(delay.trouble != NULL);
    }
    return 0;
}
