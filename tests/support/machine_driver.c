#include "tests/support/machine_driver.h"

#include "tests/support/test.h"

#include "common/remoting/message.h"
#include "common/remoting/properties.h"

enum { FIRST_TIME_MS = 1700000000, FRAME_HEADER_SIZE = 40 };

static void on_result(void *context, uint32_t ordinal, const struct operation *operation,
                      const struct operation_result *result);
static void machine_start(struct driver *driver);
static void log_cut(struct driver *driver);

void driver_open(struct driver *driver, struct kv *kv)
{
    *driver = (struct driver){0};
    driver->kv = kv == NULL ? kv_open_memory() : kv;
    driver->time_ms = FIRST_TIME_MS;
    driver->position_next = 4096;
    machine_start(driver);
    entry_begin(&driver->entry);
}

void driver_close(struct driver *driver)
{
    machine_close(driver->machine);
    kv_close(driver->kv);
    log_cut(driver);
    free(driver->log);
    buf_close(&driver->entry);
}

struct operation_result driver_apply(struct driver *driver)
{
    driver->time_ms += ENTRY_TIME_STEP_MS;
    entry_finish(&driver->entry, driver->time_ms);
    struct driver_entry entry = {
        .index = ++driver->index_last,
        .position = driver->position_next + FRAME_HEADER_SIZE,
        .size = driver->entry.size,
    };
    entry.payload = buf_take(&driver->entry);
    driver->position_next = entry.position + entry.size;
    driver->log = mem_realloc(driver->log, (driver->log_count + 1) * sizeof *driver->log);
    driver->log[driver->log_count++] = entry;
    entry_begin(&driver->entry);
    driver->result_count = 0;
    machine_apply(driver->machine, entry.index, entry.position,
                  slice_of(entry.payload, entry.size));
    return driver->results[0];
}

void driver_next_segment(struct driver *driver)
{
    driver->position_next = (driver->position_next / SEGMENT_SIZE + 1) * SEGMENT_SIZE;
}

void driver_checkpoint(struct driver *driver, bool durable)
{
    struct kv_batch *batch = machine_checkpoint(driver->machine);
    assert_int_equal(kv_write(driver->kv, batch), STATUS_OK);
    kv_batch_free(batch);
    if (durable) {
        assert_int_equal(kv_flush(driver->kv), STATUS_OK);
        log_cut(driver);
    }
    machine_checkpoint_written(driver->machine);
}

/* What a durable checkpoint has is never applied again. */
static void log_cut(struct driver *driver)
{
    for (size_t i = 0; i < driver->log_count; i++) {
        free(driver->log[i].payload);
    }
    driver->log_count = 0;
}

void driver_reopen(struct driver *driver)
{
    machine_close(driver->machine);
    machine_start(driver);
    for (size_t i = 0; i < driver->log_count; i++) {
        const struct driver_entry *entry = &driver->log[i];
        if (entry->index > machine_applied_index(driver->machine)) {
            driver->result_count = 0;
            machine_apply(driver->machine, entry->index, entry->position,
                          slice_of(entry->payload, entry->size));
        }
    }
}

void driver_restart_unchanged(struct driver *driver)
{
    uint64_t before = machine_hash(driver->machine);
    driver_checkpoint(driver, true);
    assert_true(machine_hash(driver->machine) == before);
    driver_reopen(driver);
    assert_true(machine_hash(driver->machine) == before);
}

uint32_t driver_rows(const struct driver *driver, enum key_family family)
{
    struct key from = key_family_first(family);
    struct key to = key_family_end(family);
    struct kv_iterator *iterator = kv_iterate(driver->kv, key_slice(&from), key_slice(&to));
    struct slice key;
    struct slice value;
    uint32_t count = 0;
    while (kv_iterator_next(iterator, &key, &value)) {
        count++;
    }
    assert_int_equal(kv_iterator_close(iterator), STATUS_OK);
    return count;
}

static void machine_start(struct driver *driver)
{
    struct machine_events events = {.context = driver, .on_result = on_result};
    char *error = NULL;
    if (machine_open(driver->kv, &events, &driver->machine, &error) != STATUS_OK) {
        fail_msg("%s", error);
    }
}

static void on_result(void *context, uint32_t ordinal, const struct operation *operation,
                      const struct operation_result *result)
{
    (void)operation;
    struct driver *driver = context;
    assert_int_equal(ordinal, driver->result_count);
    if (ordinal < sizeof driver->results / sizeof driver->results[0]) {
        driver->results[ordinal] = *result;
    }
    driver->result_count++;
}

void driver_message_encode(const struct driver_message *message, struct buf *out)
{
    static const uint8_t body[1024];
    struct buf properties = {0};
    const struct {
        const char *name;
        const char *value;
    } pairs[] = {
        {PROPERTY_TAGS, message->tags},
        {PROPERTY_KEYS, message->keys},
        {PROPERTY_UNIQUE_KEY, message->unique_key},
        {PROPERTY_PRODUCER_GROUP, message->producer_group},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (pairs[i].value != NULL) {
            properties_append(&properties, 0, pairs[i].name, slice_text(pairs[i].value));
        }
    }
    assert_true(message->body_size <= sizeof body);
    struct message stored = {
        .queue_id = message->queue_id,
        .topic = slice_text(message->topic),
        .body = slice_of(body, message->body_size),
        .properties = buf_slice(&properties),
        .prepared_offset = message->prepared_offset,
    };
    message_encode(&stored, out);
    buf_close(&properties);
}

void driver_message(struct driver *driver, const struct driver_message *message)
{
    driver_batch(driver, message, 1);
}

void driver_batch(struct driver *driver, const struct driver_message *message, uint32_t count)
{
    size_t begin = entry_operation_begin(&driver->entry, OPERATION_MESSAGE);
    for (uint32_t i = 0; i < count; i++) {
        driver_message_encode(message, &driver->entry);
    }
    entry_operation_end(&driver->entry, begin);
}

void driver_half(struct driver *driver, const struct driver_message *message,
                 uint64_t first_check_ms)
{
    size_t begin = entry_operation_begin(&driver->entry, OPERATION_HALF);
    buf_put_le64(&driver->entry, first_check_ms);
    buf_put_le32(&driver->entry, 0);
    driver_message_encode(message, &driver->entry);
    entry_operation_end(&driver->entry, begin);
}

void driver_half_delayed(struct driver *driver, const struct driver_message *message,
                         const struct delay *delay)
{
    enum { FIRST_CHECK_MS = 6000 };
    size_t begin = entry_operation_begin(&driver->entry, OPERATION_HALF_DELAYED);
    buf_put_le64(&driver->entry, FIRST_CHECK_MS);
    entry_put_delay(&driver->entry, delay);
    driver_message_encode(message, &driver->entry);
    entry_operation_end(&driver->entry, begin);
}

void driver_delayed(struct driver *driver, const struct driver_message *message,
                    const struct delay *delay)
{
    struct driver_message marked = *message;
    marked.prepared_offset = DELAYED_PREPARED_OFFSET;
    size_t begin = entry_operation_begin(&driver->entry, OPERATION_DELAYED);
    entry_put_delay(&driver->entry, delay);
    driver_message_encode(&marked, &driver->entry);
    entry_operation_end(&driver->entry, begin);
}

void driver_topic(struct driver *driver, const char *name, int32_t queues)
{
    struct operation_topic_put put = {
        .config =
            {
                .name = slice_text(name),
                .read_queue_count = queues,
                .write_queue_count = queues,
                .perm = 6,
            },
    };
    entry_put_topic_put(&driver->entry, &put);
}

struct operation_result driver_put_topic(struct driver *driver, const char *name, int32_t queues)
{
    driver_topic(driver, name, queues);
    return driver_apply(driver);
}

struct operation_result driver_send(struct driver *driver, const struct driver_message *message)
{
    driver_message(driver, message);
    return driver_apply(driver);
}

struct operation_result driver_send_half(struct driver *driver, const char *topic, int32_t queue_id,
                                         const char *group, const char *unique_key)
{
    struct driver_message message = {
        .topic = topic,
        .queue_id = queue_id,
        .producer_group = group,
        .unique_key = unique_key,
    };
    driver_half(driver, &message, 6000);
    return driver_apply(driver);
}

struct operation_result driver_end(struct driver *driver, const struct operation_result *half,
                                   const char *group, enum decision decision)
{
    struct operation_end end = {
        .half_position = half->message.position,
        .half_offset = half->message.queue_offset,
        .decision = decision,
        .producer_group = slice_text(group),
    };
    entry_put_end(&driver->entry, &end);
    return driver_apply(driver);
}

struct operation_result driver_settle(struct driver *driver, uint64_t position,
                                      enum decision decision)
{
    entry_put_settle(&driver->entry, &(struct operation_settle){position, decision});
    return driver_apply(driver);
}

struct operation_result driver_expire(struct driver *driver, uint64_t position)
{
    entry_put_expire(&driver->entry, &(struct operation_expire){.half_position = position});
    return driver_apply(driver);
}

struct operation_result driver_send_delayed(struct driver *driver, const char *topic,
                                            int32_t queue_id, const struct delay *delay)
{
    driver_delayed(driver, &(struct driver_message){.topic = topic, .queue_id = queue_id}, delay);
    return driver_apply(driver);
}

struct operation_result driver_fire(struct driver *driver, uint64_t position)
{
    entry_put_fire(&driver->entry, &(struct operation_fire){position});
    return driver_apply(driver);
}

struct operation_result driver_cut(struct driver *driver, uint64_t segment)
{
    entry_put_cut(&driver->entry, &(struct operation_cut){segment * SEGMENT_SIZE});
    return driver_apply(driver);
}

struct operation_result driver_commit_offset(struct driver *driver, const char *group,
                                             const char *topic, int32_t queue_id, int64_t offset,
                                             bool reset)
{
    struct operation_offsets offsets;
    offsets.count = 1;
    offsets.commits[0] =
        (struct offset_commit){slice_text(group), slice_text(topic), queue_id, offset, reset};
    entry_put_offsets(&driver->entry, &offsets);
    return driver_apply(driver);
}

int64_t driver_next(const struct driver *driver, const char *topic, int32_t queue_id)
{
    const struct queue *queue = machine_queue_find(driver->machine, slice_text(topic), queue_id);
    assert_non_null(queue);
    return queue->offset_next;
}

struct index_entry driver_read(struct driver *driver, const char *topic, int32_t queue_id,
                               int64_t offset)
{
    const struct queue *queue = machine_queue_find(driver->machine, slice_text(topic), queue_id);
    assert_non_null(queue);
    struct index_entry entry;
    uint32_t count = 0;
    assert_int_equal(machine_queue_read(driver->machine, queue, offset, 1, &entry, &count),
                     STATUS_OK);
    assert_int_equal(count, 1);
    return entry;
}
