/* Consumer groups: create and change (200), delete (207), read (201, 352).
 * Source: AdminBrokerProcessor, SubscriptionGroupManager. */
#include "broker/core/auto_create.h"
#include "broker/core/broker.h"
#include "broker/core/convert.h"
#include "broker/core/processors.h"
#include "common/remoting/names.h"

#include <stdlib.h>

enum { RETRY_QUEUES_MAX = 1024 };

enum status group_config_check(struct request *request, const struct group_config *config)
{
    if (!group_name_valid(config->name)) {
        return request_fail(request, STATUS_GROUP_INVALID,
                            "a group name has characters of A-Z a-z 0-9 _ - %% | and fits with "
                            "%%RETRY%% before it into a topic name");
    }
    if (config->retry_queues < 0 || config->retry_queues > RETRY_QUEUES_MAX) {
        return request_fail(request, STATUS_INVALID_ARGUMENT, "retryQueueNums must be 0 to %d",
                            RETRY_QUEUES_MAX);
    }
    return STATUS_OK;
}

enum status process_put_group(struct broker *broker, struct request *request)
{
    struct body body = {0};
    struct group_config config;
    struct buf *entry;
    enum status status = group_config_decode(request->command->body, &body, &config);
    if (status != STATUS_OK) {
        return request_fail(request, status, "the body is no SubscriptionGroupConfig");
    }
    status = group_config_check(request, &config);
    if (status == STATUS_OK) {
        status = proposer_begin(&broker->proposer, 512, &entry);
    }
    if (status == STATUS_OK) {
        const struct operation_group_put put = {.config = group_spec_of(&config)};
        entry_put_group_put(entry, &put);
        const struct waiter waiter = {.done = reply_with_status, .to = request->to};
        proposer_add(&broker->proposer, &waiter);
        status = STATUS_PENDING;
    }
    body_close(&body);
    return status;
}

enum status process_delete_group(struct broker *broker, struct request *request)
{
    struct operation_group_delete del = {0};
    struct buf *entry;
    enum status status = command_text(request->command, "groupName", GROUP_NAME_MAX, &del.name);
    if (status == STATUS_OK) {
        status = command_bool(request->command, "cleanOffset", &del.clean_offsets);
    }
    if (status == STATUS_OK) {
        status = proposer_begin(&broker->proposer, 512, &entry);
    }
    if (status != STATUS_OK) {
        return status;
    }
    entry_put_group_delete(entry, &del);
    const struct waiter waiter = {.done = reply_deleted, .to = request->to};
    proposer_add(&broker->proposer, &waiter);
    return STATUS_PENDING;
}

enum status process_get_group(struct broker *broker, struct request *request)
{
    struct slice name;
    struct group_spec fallback;
    enum status status = command_text(request->command, "group", GROUP_NAME_MAX, &name);
    if (status != STATUS_OK) {
        return status;
    }
    const struct group_spec *spec = auto_create_group(broker, name, &fallback);
    if (spec == NULL) {
        return request_fail(request, STATUS_GROUP_UNKNOWN, "consumer group %.*s does not exist",
                            SLICE_ARGS(name));
    }
    const struct group_config config = group_config_of(spec);
    group_config_encode(&config, &request->body);
    return STATUS_OK;
}

enum status process_all_groups(struct broker *broker, struct request *request)
{
    const struct map *groups = machine_groups(broker->machine);
    const struct machine_version version = machine_groups_version(broker->machine);
    struct group_config *configs = mem_alloc((groups->count + 1) * sizeof *configs);
    struct group_table table = {
        .version = {.state = (int64_t)broker->state.term,
                    .timestamp_ms = (int64_t)version.time_ms,
                    .counter = (int64_t)version.counter},
        .groups = configs,
    };
    MAP_FOREACH(node, groups)
    {
        const struct group *group = CONTAINER_OF(node, struct group, node);
        configs[table.count++] = group_config_of(&group->config);
    }
    group_table_encode(&table, &request->body);
    free(configs);
    return STATUS_OK;
}
