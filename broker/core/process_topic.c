/* Topics: create and change (17, 18), delete (215), read (21, 351, 305).
 *
 * The answer comes once the change is applied. Source: AdminBrokerProcessor, TopicConfigManager. */
#include "broker/core/auto_create.h"
#include "broker/core/broker.h"
#include "broker/core/convert.h"
#include "broker/core/processors.h"
#include "broker/core/several.h"
#include "broker/core/topic_attributes.h"
#include "broker/core/topic_changes.h"
#include "broker/core/topic_tables.h"
#include "common/remoting/body_list.h"
#include "common/remoting/names.h"

#include <stdlib.h>

/* Those that exist by themselves, and those named after cluster and group. */
static bool is_reserved(const struct broker *broker, struct slice name)
{
    return topic_is_system(name) || slice_equals(name, name_slice(&broker->group->name)) ||
           slice_equals(name, name_slice(&broker->settings->cluster));
}

static enum status check_spec(const struct broker *broker, struct request *request,
                              const struct topic_spec *spec)
{
    if (!topic_name_valid(spec->name)) {
        return request_fail(request, STATUS_TOPIC_INVALID,
                            "a topic name has 1 to %d characters of A-Z a-z 0-9 _ - %% |",
                            TOPIC_NAME_MAX);
    }
    if (is_reserved(broker, spec->name)) {
        return request_fail(request, STATUS_TOPIC_INVALID, "%.*s is a system topic",
                            SLICE_ARGS(spec->name));
    }
    if (spec->attributes.size > TOPIC_ATTRIBUTES_MAX) {
        return request_fail(request, STATUS_INVALID_ARGUMENT,
                            "the attributes of a topic may have %d bytes together",
                            TOPIC_ATTRIBUTES_MAX);
    }
    if (spec->unique_window_s > 0 &&
        (topic_is_retry(spec->name) || topic_is_dead_letter(spec->name))) {
        return request_fail(request, STATUS_INVALID_ARGUMENT,
                            "what is tried again keeps its UNIQ_KEY, so %.*s can have no "
                            "unique.key.window",
                            SLICE_ARGS(spec->name));
    }
    bool queues = spec->read_queue_count >= 0 && spec->write_queue_count >= 0 &&
                  spec->read_queue_count <= QUEUES_PER_TOPIC_MAX &&
                  spec->write_queue_count <= QUEUES_PER_TOPIC_MAX &&
                  spec->read_queue_count + spec->write_queue_count > 0;
    if (!queues || spec->perm < 0 || spec->perm > (PERM_READ | PERM_WRITE | PERM_INHERIT)) {
        return request_fail(request, STATUS_INVALID_ARGUMENT,
                            "readQueueNums and writeQueueNums must be 0 to %d and not both 0, perm "
                            "0 to 7",
                            QUEUES_PER_TOPIC_MAX);
    }
    return STATUS_OK;
}

static enum status propose(struct broker *broker, const struct topic_spec *spec,
                           const struct waiter *waiter)
{
    struct buf *entry;
    enum status status = proposer_begin(&broker->proposer, 512 + spec->attributes.size, &entry);
    if (status == STATUS_OK) {
        const struct operation_topic_put put = {.config = *spec};
        entry_put_topic_put(entry, &put);
        const struct waiter noted = topic_change_waiter(broker, spec->name, waiter);
        proposer_add(&broker->proposer, &noted);
        status = STATUS_PENDING;
    }
    return status;
}

enum status process_put_topic(struct broker *broker, struct request *request)
{
    const struct command *command = request->command;
    struct topic_spec spec = {.perm = PERM_READ | PERM_WRITE};
    struct slice filter = {0};
    enum status status = command_text(command, "topic", TOPIC_NAME_DERIVED_MAX, &spec.name);
    if (status == STATUS_OK) {
        status = command_i32(command, "readQueueNums", true, &spec.read_queue_count);
    }
    if (status == STATUS_OK) {
        status = command_i32(command, "writeQueueNums", true, &spec.write_queue_count);
    }
    if (status == STATUS_OK) {
        status = command_i32(command, "perm", false, &spec.perm);
    }
    if (status == STATUS_OK) {
        status = command_i32(command, "topicSysFlag", false, &spec.sys_flag);
    }
    if (status == STATUS_OK) {
        status = command_bool(command, "order", &spec.order);
    }
    if (status != STATUS_OK) {
        return request_fail(request, status,
                            "topic, readQueueNums and writeQueueNums are required");
    }
    spec.multi_tag =
        command_find(command, "topicFilterType", &filter) && slice_equals_text(filter, "MULTI_TAG");
    if (topic_change_under_way(broker, spec.name)) {
        return request_fail(request, STATUS_BUSY, "topic %.*s is being changed, try again",
                            SLICE_ARGS(spec.name));
    }
    struct buf attributes = {0};
    struct slice text = {0};
    const struct topic *known = machine_topic_find(broker->machine, spec.name);
    spec.attributes = known == NULL ? (struct slice){0} : buf_slice(&known->attributes);
    if (command_find(command, "attributes", &text) && text.size > 0) {
        status = topic_attributes_change(spec.attributes, text, &attributes);
        spec.attributes = buf_slice(&attributes);
    }
    if (status != STATUS_OK) {
        buf_close(&attributes);
        return request_fail(request, STATUS_INVALID_ARGUMENT,
                            "attributes are +key=value,-key with keys queue.type, cleanup.policy, "
                            "message.type, reserve.time, unique.key.window (1 to %d seconds)",
                            UNIQUE_WINDOW_MAX_S);
    }
    spec.unique_window_s = topic_attributes_unique_window(spec.attributes);
    status = check_spec(broker, request, &spec);
    if (status == STATUS_OK) {
        const struct waiter waiter = {.done = reply_with_status, .to = request->to};
        status = propose(broker, &spec, &waiter);
    }
    buf_close(&attributes);
    return status;
}

static void propose_all(struct broker *broker, const struct request *request,
                        const struct topic_table *table, struct buf *attributes)
{
    struct several *several = mem_alloc(sizeof *several);
    several_begin(several, &request->to, several_answer);
    enum status status = STATUS_PENDING;
    for (size_t i = 0; status == STATUS_PENDING && i < table->count; i++) {
        buf_clear(attributes);
        const struct topic_spec spec = topic_spec_of(&table->topics[i], attributes);
        const struct waiter waiter = several_waiter(several);
        status = propose(broker, &spec, &waiter);
        if (status != STATUS_PENDING) {
            several_result(broker, several, status);
        }
    }
    several_proposed(broker, several, STATUS_OK);
}

enum status process_put_topics(struct broker *broker, struct request *request)
{
    struct body body = {0};
    struct topic_table table;
    struct buf attributes = {0};
    enum status status = topic_config_list_decode(request->command->body, &body, &table);
    if (status != STATUS_OK) {
        return request_fail(request, status, "the body is no list of topic configurations");
    }
    for (size_t i = 0; status == STATUS_OK && i < table.count; i++) {
        struct topic_spec spec = topic_spec_of(&table.topics[i], &attributes);
        status = check_spec(broker, request, &spec);
        buf_clear(&attributes);
    }
    if (status == STATUS_OK) {
        propose_all(broker, request, &table, &attributes);
        status = STATUS_PENDING;
    }
    buf_close(&attributes);
    body_close(&body);
    return status;
}

enum status process_delete_topic(struct broker *broker, struct request *request)
{
    struct slice name;
    struct buf *entry;
    enum status status = command_text(request->command, "topic", TOPIC_NAME_DERIVED_MAX, &name);
    if (status != STATUS_OK) {
        return status;
    }
    if (is_reserved(broker, name)) {
        return request_fail(request, STATUS_TOPIC_INVALID, "%.*s is a system topic",
                            SLICE_ARGS(name));
    }
    status = proposer_begin(&broker->proposer, 256, &entry);
    if (status != STATUS_OK) {
        return status;
    }
    entry_put_topic_delete(entry, name);
    // Deleting what is not there is no error: the caller wanted it gone.
    const struct waiter waiter = {.done = reply_deleted, .to = request->to};
    const struct waiter noted = topic_change_waiter(broker, name, &waiter);
    proposer_add(&broker->proposer, &noted);
    return STATUS_PENDING;
}

enum status process_get_topic(struct broker *broker, struct request *request)
{
    struct slice name;
    enum status status = command_text(request->command, "topic", TOPIC_NAME_DERIVED_MAX, &name);
    if (status != STATUS_OK) {
        return status;
    }
    const struct topic *topic = machine_topic_find(broker->machine, name);
    if (topic == NULL) {
        return request_fail(request, STATUS_TOPIC_UNKNOWN, "topic %.*s does not exist on %s",
                            SLICE_ARGS(name), broker->group->name.text);
    }
    struct body body = {0};
    const struct topic_config config = topic_config_of(topic, &body);
    topic_config_encode(&config, &request->body);
    body_close(&body);
    return STATUS_OK;
}

enum status process_all_topics(struct broker *broker, struct request *request)
{
    struct topic_tables tables;
    topic_tables_open(broker, &tables);
    topic_table_encode(&tables.table, &request->body);
    topic_tables_close(&tables);
    return STATUS_OK;
}

enum status process_system_topics(struct broker *broker, struct request *request)
{
    const struct map *topics = machine_topics(broker->machine);
    struct slice *names = mem_alloc((topics->count + 1) * sizeof *names);
    size_t count = 0;
    MAP_FOREACH(node, topics)
    {
        struct slice name = name_slice(&CONTAINER_OF(node, struct topic, node)->name);
        if (is_reserved(broker, name)) {
            names[count++] = name;
        }
    }
    const struct name_list list = {.count = count, .names = names};
    topic_list_encode(&list, slice_of(NULL, 0), &request->body);
    free(names);
    return STATUS_OK;
}
