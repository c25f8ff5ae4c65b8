#include "broker/core/convert.h"

#include "broker/core/topic_attributes.h"
#include "common/remoting/json_text.h"

struct topic_config topic_config_of(const struct topic *topic, struct body *body)
{
    struct topic_config config = {
        .name = name_slice(&topic->name),
        .read_queues = topic->read_queue_count,
        .write_queues = topic->write_queue_count,
        .perm = topic->perm,
        .sys_flag = topic->sys_flag,
        .order = topic->order,
        .multi_tag = topic->multi_tag,
    };
    if (topic->attributes.size > 0) {
        config.attributes =
            topic_attributes_read(buf_slice(&topic->attributes), body, &config.attribute_count);
    }
    return config;
}

struct topic_spec topic_spec_of(const struct topic_config *config, struct buf *attributes)
{
    if (config->attribute_count > 0) {
        struct json_writer json = {.out = attributes};
        json_begin(&json, '{');
        for (size_t i = 0; i < config->attribute_count; i++) {
            json_key_slice(&json, config->attributes[i].name);
            json_text(&json, config->attributes[i].value);
        }
        json_end(&json, '}');
    }
    return (struct topic_spec){
        .name = config->name,
        .read_queue_count = config->read_queues,
        .write_queue_count = config->write_queues,
        .perm = config->perm,
        .sys_flag = config->sys_flag,
        .order = config->order,
        .multi_tag = config->multi_tag,
        .attributes = buf_slice(attributes),
        .unique_window_s = topic_attributes_unique_window(buf_slice(attributes)),
    };
}

struct group_config group_config_of(const struct group_spec *spec)
{
    struct group_config config = group_config_default(spec->name);
    config.consume_enable = spec->consume_enable;
    config.consume_from_min_enable = spec->consume_from_min_enable;
    config.consume_broadcast_enable = spec->consume_broadcast_enable;
    config.consume_orderly = spec->consume_orderly;
    config.retry_queues = spec->retry_queue_count;
    config.retry_times_max = spec->retry_max_times;
    config.broker_id = spec->broker_id;
    config.broker_id_when_slow = spec->broker_id_when_slow;
    config.notify_changes = spec->notify_changes;
    config.sys_flag = spec->sys_flag;
    config.consume_timeout_min = spec->consume_timeout_minutes;
    return config;
}

struct group_spec group_spec_of(const struct group_config *config)
{
    return (struct group_spec){
        .name = config->name,
        .consume_enable = config->consume_enable,
        .consume_from_min_enable = config->consume_from_min_enable,
        .consume_broadcast_enable = config->consume_broadcast_enable,
        .consume_orderly = config->consume_orderly,
        .retry_queue_count = config->retry_queues,
        .retry_max_times = config->retry_times_max,
        .broker_id = config->broker_id,
        .broker_id_when_slow = config->broker_id_when_slow,
        .notify_changes = config->notify_changes,
        .sys_flag = config->sys_flag,
        .consume_timeout_minutes = config->consume_timeout_min,
    };
}

struct group_spec group_spec_default(struct slice name)
{
    const struct group_config config = group_config_default(name);
    return group_spec_of(&config);
}
