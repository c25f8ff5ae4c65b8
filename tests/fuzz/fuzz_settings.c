/* A broker's settings: lines "key=value" as they come from the command line. What is accepted makes
 * sense together and can be printed. */
#include "broker/core/settings.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

enum { LINES_MAX = 24 };

static void assert_sensible(const struct settings *settings)
{
    ASSERT(settings->group_count > 0 && settings->group_count <= GROUPS_PER_NODE_MAX);
    ASSERT(settings->nameserver_count <= NAMESERVERS_MAX);
    ASSERT(settings->message_body_max > 0 && settings->message_body_max <= MESSAGE_BODY_MAX);
    for (size_t i = 0; i < settings->group_count; i++) {
        const struct group_settings *group = &settings->groups[i];
        ASSERT(group->member_count > 0 && group->member_count <= MEMBERS_MAX);
        ASSERT(group_settings_member(group, settings->node_id) != NULL);
        for (size_t at = 1; at < group->member_count; at++) {
            ASSERT(group->members[at - 1].id < group->members[at].id);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {slice_of(data, size)};
    char *lines[LINES_MAX] = {0};
    size_t count = 0;
    while (fuzz_left(&input) && count < LINES_MAX) {
        lines[count++] = mem_copy_text(fuzz_until(&input, '\n'));
    }
    struct settings settings;
    struct buf text = {0};
    if (settings_load(&settings, NULL, (const char *const *)lines, count, NULL) == STATUS_OK) {
        assert_sensible(&settings);
        settings_print(&settings, &text);
        settings_close(&settings);
    }
    buf_close(&text);
    for (size_t i = 0; i < count; i++) {
        free(lines[i]);
    }
    return 0;
}
