#include "common/remoting/names.h"

#include "common/base/limits.h"

static const char *const system_topics[] = {
    TOPIC_DEFAULT,   TOPIC_SCHEDULE, TOPIC_BENCHMARK, TOPIC_HALF,         TOPIC_HALF_OP,
    TOPIC_CHECK_MAX, TOPIC_TRACE,    TOPIC_SELF_TEST, TOPIC_OFFSET_MOVED, "CHECKPOINT_TOPIC",
};

static const char *const closed_topics[] = {
    TOPIC_SCHEDULE, TOPIC_HALF, TOPIC_HALF_OP, TOPIC_CHECK_MAX, TOPIC_SELF_TEST, TOPIC_OFFSET_MOVED,
};

static const char *const system_groups[] = {
    "DEFAULT_PRODUCER",          "DEFAULT_CONSUMER",      GROUP_TOOLS,
    "SCHEDULE_CONSUMER",         "FILTERSRV_CONSUMER",    "__MONITOR_CONSUMER",
    GROUP_CLIENT_INNER_PRODUCER, "SELF_TEST_P_GROUP",     "SELF_TEST_C_GROUP",
    "CID_ONS-HTTP-PROXY",        "CID_ONSAPI_PERMISSION", "CID_ONSAPI_OWNER",
    "CID_ONSAPI_PULL",
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static bool among(struct slice name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equals_text(name, names[i])) {
            return true;
        }
    }
    return false;
}

static bool characters_valid(struct slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '%' || c == '|')) {
            return false;
        }
    }
    return name.size > 0;
}

bool topic_name_valid(struct slice topic)
{
    bool derived = topic_is_retry(topic) || topic_is_dead_letter(topic);
    size_t size_max = derived ? TOPIC_NAME_DERIVED_MAX : TOPIC_NAME_MAX;
    return topic.size <= size_max && characters_valid(topic);
}

bool group_name_valid(struct slice group)
{
    return group.size <= TOPIC_NAME_DERIVED_MAX - (sizeof RETRY_PREFIX - 1) &&
           characters_valid(group);
}

bool topic_is_retry(struct slice topic)
{
    return slice_starts_with(topic, RETRY_PREFIX);
}

bool topic_is_dead_letter(struct slice topic)
{
    return slice_starts_with(topic, DEAD_LETTER_PREFIX);
}

bool topic_is_system(struct slice topic)
{
    return slice_starts_with(topic, "rmq_sys_") ||
           among(topic, system_topics, COUNT(system_topics));
}

bool topic_closed_to_clients(struct slice topic)
{
    return among(topic, closed_topics, COUNT(closed_topics));
}

bool group_is_system(struct slice group)
{
    return slice_starts_with(group, "CID_RMQ_SYS_") ||
           among(group, system_groups, COUNT(system_groups));
}

static bool prefixed(const char *prefix, struct slice group, struct name *topic)
{
    char text[NAME_MAX_SIZE];
    size_t size = strlen(prefix);
    if (group.size == 0 || group.size > TOPIC_NAME_DERIVED_MAX - size) {
        return false;
    }
    memcpy(text, prefix, size);
    memcpy(text + size, group.data, group.size);
    return name_set(topic, slice_of(text, size + group.size));
}

bool topic_retry_of(struct slice group, struct name *topic)
{
    return prefixed(RETRY_PREFIX, group, topic);
}

bool topic_dead_letter_of(struct slice group, struct name *topic)
{
    return prefixed(DEAD_LETTER_PREFIX, group, topic);
}

struct slice topic_group(struct slice topic)
{
    if (topic_is_retry(topic)) {
        return slice_from(topic, sizeof RETRY_PREFIX - 1);
    }
    if (topic_is_dead_letter(topic)) {
        return slice_from(topic, sizeof DEAD_LETTER_PREFIX - 1);
    }
    return (struct slice){0};
}
