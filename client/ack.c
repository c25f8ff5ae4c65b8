/* What is done with popped messages by their handles: acknowledged, or hidden for another time.
 * Source: AckMessageRequestHeader, BatchAckMessageRequestBody, ChangeInvisibleTimeRequestHeader. */
#include "client/invoke.h"
#include "common/remoting/body_pop.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"
#include "common/remoting/pop_handle.h"

#include <stdlib.h>

enum {
    /* Messages that were popped together lie near to each other. Those that do not are named by
     * their own offset, which raftmq takes as well; Apache RocketMQ never has them. */
    BITS_MAX = 16384,
};

static_assert((int)RAFTMQ_ACKS_MAX <= (int)BATCH_ACKS_MAX, "one request has room");
static_assert((int)POP_HANDLE_SIZE_MAX < (int)RAFTMQ_HANDLE_SIZE, "a handle fits");

/* A handle and what it names. Borrows the text. */
struct named {
    struct slice text;
    struct pop_handle handle;
};

static enum raftmq_status check(const char *group, const char *topic, const char *handle,
                                struct named *named, struct raftmq_error *error)
{
    named->text = slice_text(handle);
    if (!group_name_valid(slice_text(group)) || !topic_name_valid(slice_text(topic))) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT, "the group or topic name is not valid");
    }
    if (!pop_handle_parse(named->text, &named->handle)) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT, "the handle is none of a message");
    }
    return RAFTMQ_OK;
}

/* The topic that the queue and offset of a handle are of. */
static void put_stored_topic(const char *group, const char *topic, char kind, struct buf *out)
{
    if (kind != POP_KIND_TOPIC) {
        buf_put_text(out, RETRY_PREFIX);
        buf_printf(out, "%s%c", group, kind == POP_KIND_RETRY ? '_' : '+');
    }
    buf_put_text(out, topic);
}

/* Send a request about one message. */
static enum raftmq_status tell(struct raftmq_client *client, const char *group, const char *topic,
                               const struct named *named, struct command *request,
                               uint64_t timeout_ms, struct reply *reply, struct raftmq_error *error)
{
    struct buf stored_topic = {0};
    struct buf scratch = {0};
    buf_reserve(&scratch, 64);
    put_stored_topic(group, topic, named->handle.kind, &stored_topic);
    command_add(request, "consumerGroup", slice_text(group));
    command_add(request, "topic", buf_slice(&stored_topic));
    command_add_i64(request, "queueId", named->handle.queue_id, &scratch);
    command_add(request, "extraInfo", named->text);
    command_add_i64(request, "offset", named->handle.offset, &scratch);
    command_add(request, "bname", named->handle.broker);
    enum raftmq_status status = invoke_broker(client, slice_text(topic), named->handle.broker,
                                              request, timeout_ms, NULL, reply, error);
    buf_close(&scratch);
    buf_close(&stored_topic);
    return status;
}

enum raftmq_status raftmq_ack(struct raftmq_client *client, const char *group, const char *topic,
                              const char *handle, uint64_t timeout_ms, struct raftmq_error *error)
{
    struct named named;
    struct command request;
    struct reply reply = {0};
    enum raftmq_status status = check(group, topic, handle, &named, error);
    if (status == RAFTMQ_OK) {
        command_init_request(&request, REQUEST_ACK_MESSAGE, 0);
        status = tell(client, group, topic, &named, &request, timeout_ms, &reply, error);
    }
    reply_close(&reply);
    return status;
}

enum raftmq_status raftmq_change_invisible(struct raftmq_client *client, const char *group,
                                           const char *topic, const char *handle,
                                           uint64_t invisible_ms, uint64_t timeout_ms,
                                           char new_handle[RAFTMQ_HANDLE_SIZE],
                                           struct raftmq_error *error)
{
    struct named named;
    struct command request;
    struct reply reply = {0};
    struct buf scratch = {0};
    int64_t pop_ms;
    int64_t hidden_ms;
    enum raftmq_status status = check(group, topic, handle, &named, error);
    buf_reserve(&scratch, 32);
    if (status == RAFTMQ_OK) {
        command_init_request(&request, REQUEST_CHANGE_MESSAGE_INVISIBLETIME, 0);
        command_add_i64(&request, "invisibleTime",
                        invisible_ms < INT64_MAX ? (int64_t)invisible_ms : INT64_MAX, &scratch);
        status = tell(client, group, topic, &named, &request, timeout_ms, &reply, error);
    }
    if (status == RAFTMQ_OK &&
        (command_i64(&reply.command, "popTime", true, &pop_ms) != STATUS_OK ||
         command_i64(&reply.command, "invisibleTime", true, &hidden_ms) != STATUS_OK ||
         command_i32(&reply.command, "reviveQid", true, &named.handle.revive_queue) != STATUS_OK ||
         pop_ms < 0 || hidden_ms < 0)) {
        status = error_set(error, RAFTMQ_MALFORMED, "the answer lacks what the new handle needs");
    }
    if (status == RAFTMQ_OK) {
        struct buf text = {0};
        named.handle.offset_first = named.handle.offset;
        named.handle.pop_ms = (uint64_t)pop_ms;
        named.handle.invisible_ms = (uint64_t)hidden_ms;
        pop_handle_format(&named.handle, &text);
        ASSERT(text.size < RAFTMQ_HANDLE_SIZE); // Its broker's name was in the old one.
        memcpy(new_handle, text.data, text.size);
        new_handle[text.size] = '\0';
        buf_close(&text);
    }
    reply_close(&reply);
    buf_close(&scratch);
    return status;
}

/* --- Many at once ------------------------------------------------------------------------- */

/* The acknowledgements of a call, and what one request is made of. */
struct many {
    struct raftmq_client *client;
    const char *group;
    const char *topic;
    uint64_t timeout_ms;
    size_t count;
    struct named *named; /* By broker, then what one entry can have together. */
    struct batch_ack entries[RAFTMQ_ACKS_MAX];
};

static int compare_numbers(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

/* What must be equal for two to be told of by one entry, and after that their offsets. */
static int compare_entries(const struct pop_handle *a, const struct pop_handle *b)
{
    const int64_t pairs[][2] = {
        {a->kind, b->kind},
        {a->queue_id, b->queue_id},
        {a->revive_queue, b->revive_queue},
        {(int64_t)a->pop_ms, (int64_t)b->pop_ms},
        {(int64_t)a->invisible_ms, (int64_t)b->invisible_ms},
        {a->offset_first, b->offset_first},
    };
    int order = slice_compare(a->broker, b->broker);
    for (size_t i = 0; order == 0 && i < sizeof pairs / sizeof pairs[0]; i++) {
        order = compare_numbers(pairs[i][0], pairs[i][1]);
    }
    return order;
}

static int compare_named(const void *a, const void *b)
{
    const struct pop_handle *one = &((const struct named *)a)->handle;
    const struct pop_handle *other = &((const struct named *)b)->handle;
    int order = compare_entries(one, other);
    return order != 0 ? order : compare_numbers(one->offset, other->offset);
}

/* One entry for the handles from `first` on that go together; where the next one begins. */
static size_t make_entry(const struct many *many, size_t first, struct arena *arena,
                         struct batch_ack *entry)
{
    const struct pop_handle *handle = &many->named[first].handle;
    bool near =
        handle->offset >= handle->offset_first && handle->offset - handle->offset_first < BITS_MAX;
    int64_t base = near ? handle->offset_first : handle->offset;
    uint8_t *bits = arena_alloc(arena, BITS_MAX / 8);
    size_t size = 0;
    size_t at = first;
    for (; at < many->count; at++) {
        const struct pop_handle *other = &many->named[at].handle;
        if (compare_entries(handle, other) != 0 || other->offset - base >= BITS_MAX) {
            break;
        }
        size_t bit = (size_t)(other->offset - base);
        bits[bit / 8] = (uint8_t)(bits[bit / 8] | 1U << bit % 8);
        size = bit / 8 + 1;
    }
    *entry = (struct batch_ack){
        .group = slice_text(many->group),
        .topic = slice_text(many->topic), // Unlike in a request about one message.
        .retry = slice_of(&handle->kind, 1),
        .offset_first = base,
        .queue_id = handle->queue_id,
        .revive_queue = handle->revive_queue,
        .pop_ms = (int64_t)handle->pop_ms,
        .invisible_ms = (int64_t)handle->invisible_ms,
        .bits = slice_of(bits, size),
    };
    return at;
}

/* One request to the broker of the handle at `*next`, and past all that it tells of. */
static enum raftmq_status tell_many(struct many *many, size_t *next, struct raftmq_error *error)
{
    struct slice broker = many->named[*next].handle.broker;
    struct batch_ack_request acks = {.broker = broker, .acks = many->entries};
    struct arena arena = {0};
    struct buf body = {0};
    struct command request;
    struct reply reply = {0};
    size_t bits = 0;
    while (*next < many->count && slice_equals(many->named[*next].handle.broker, broker) &&
           bits + BITS_MAX <= BATCH_ACK_BITS_MAX) {
        struct batch_ack *entry = &many->entries[acks.count++];
        *next = make_entry(many, *next, &arena, entry);
        bits += entry->bits.size * 8;
    }
    batch_ack_encode(&acks, &body);
    command_init_request(&request, REQUEST_BATCH_ACK_MESSAGE, 0);
    command_add(&request, "bname", broker);
    request.body = buf_slice(&body);
    enum raftmq_status status = invoke_broker(many->client, slice_text(many->topic), broker,
                                              &request, many->timeout_ms, NULL, &reply, error);
    reply_close(&reply);
    buf_close(&body);
    arena_close(&arena);
    return status;
}

enum raftmq_status raftmq_ack_all(struct raftmq_client *client, const char *group,
                                  const char *topic, const char *const *handles, size_t count,
                                  uint64_t timeout_ms, struct raftmq_error *error)
{
    if (count == 0 || count > RAFTMQ_ACKS_MAX) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT, "1 to %d handles can be acknowledged",
                         RAFTMQ_ACKS_MAX);
    }
    struct many *many = mem_zalloc(sizeof *many);
    enum raftmq_status status = RAFTMQ_OK;
    many->client = client;
    many->group = group;
    many->topic = topic;
    many->timeout_ms = timeout_ms;
    many->count = count;
    many->named = mem_alloc(count * sizeof *many->named);
    for (size_t i = 0; status == RAFTMQ_OK && i < count; i++) {
        status = check(group, topic, handles[i], &many->named[i], error);
    }
    if (status == RAFTMQ_OK) {
        qsort(many->named, count, sizeof *many->named, compare_named);
        for (size_t next = 0; next < count;) {
            struct raftmq_error failure;
            enum raftmq_status told = tell_many(many, &next, &failure);
            if (status == RAFTMQ_OK && error != NULL) {
                *error = failure; // The first one, or that all is well.
            }
            status = status == RAFTMQ_OK ? told : status;
        }
    }
    free(many->named);
    free(many);
    return status;
}
