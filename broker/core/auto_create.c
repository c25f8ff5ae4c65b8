#include "broker/core/auto_create.h"

#include "broker/core/broker.h"
#include "broker/core/convert.h"
#include "common/remoting/names.h"

const struct group_spec *auto_create_group(struct broker *broker, struct slice name,
                                           struct group_spec *fallback)
{
    const struct group *group = machine_group_find(broker->machine, name);
    if (group != NULL) {
        return &group->config;
    }
    bool system = group_is_system(name);
    if ((!broker->settings->auto_create_group && !system) || !group_name_valid(name)) {
        return NULL;
    }
    *fallback = group_spec_default(name);
    struct buf *entry;
    // Proposed once per look until it is applied: creating it twice changes nothing.
    if (!system && proposer_begin(&broker->proposer, 256, &entry) == STATUS_OK) {
        const struct operation_group_put put = {.config = *fallback, .create_only = true};
        entry_put_group_put(entry, &put);
        proposer_add(&broker->proposer, &(struct waiter){0});
    }
    return fallback;
}

static int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

bool auto_topic_spec(const struct broker *broker, struct slice topic, struct slice default_topic,
                     int32_t default_queue_count, struct topic_spec *config)
{
    *config = (struct topic_spec){.name = topic};
    if (topic_is_retry(topic)) {
        *config = derived_topic_spec(topic, 1);
        return true;
    }
    const struct settings *settings = broker->settings;
    const struct topic *pattern = machine_topic_find(broker->machine, default_topic);
    // The first leader of a new group has proposed TBW102, but a send may come before it is there.
    int32_t count_max = settings->default_queue_count;
    int32_t perm = PERM_READ | PERM_WRITE | PERM_INHERIT;
    if (pattern != NULL) {
        count_max = pattern->write_queue_count;
        perm = pattern->perm;
    }
    bool usual = slice_equals_text(default_topic, TOPIC_DEFAULT);
    bool enabled = usual ? settings->auto_create_topic : pattern != NULL;
    if (!enabled || (perm & PERM_INHERIT) == 0) {
        return false;
    }
    int32_t count = default_queue_count > 0 ? default_queue_count : settings->default_queue_count;
    count = smaller(count, count_max);
    config->read_queue_count = count;
    config->write_queue_count = count;
    config->perm = perm & ~PERM_INHERIT;
    return count > 0;
}

struct topic_spec derived_topic_spec(struct slice topic, int32_t queue_count)
{
    return (struct topic_spec){
        .name = topic,
        .read_queue_count = queue_count,
        .write_queue_count = queue_count,
        .perm = PERM_READ | PERM_WRITE,
    };
}

void auto_create_topic(struct broker *broker, const struct topic_spec *config)
{
    struct buf *entry;
    if (machine_topic_find(broker->machine, config->name) != NULL ||
        proposer_begin(&broker->proposer, 512, &entry) != STATUS_OK) {
        return;
    }
    const struct operation_topic_put put = {.config = *config, .create_only = true};
    entry_put_topic_put(entry, &put);
    proposer_add(&broker->proposer, &(struct waiter){0});
}

void auto_create_retry_topic(struct broker *broker, const struct group_spec *group)
{
    struct name name;
    if (group->retry_queue_count <= 0 || !topic_retry_of(group->name, &name)) {
        return;
    }
    const struct topic_spec config =
        derived_topic_spec(name_slice(&name), group->retry_queue_count);
    auto_create_topic(broker, &config);
}
