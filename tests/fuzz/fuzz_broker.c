/* A leader and a follower, and clients at both, under a script of requests: see broker_world.h for
 * what must hold.
 *
 * Each step is a byte that picks it and the bytes it takes; names come from small sets, so that
 * steps meet. A third of the steps are raw: any code, any fields, any body. */
#include "common/remoting/properties.h"
#include "tests/fuzz/broker_world.h"
#include "tests/fuzz/fuzz.h"

#include <inttypes.h>
#include <stdio.h>

enum { STEPS_MAX = 80, TEXTS_SIZE = 1024, POLL_MAX_MS = 1000 };

static const char *const topics[] = {"T", "U", "%RETRY%G", "TBW102"};
static const char *const groups[] = {"G", "P", "H", ""};

/* The request being made: fields borrow from texts. */
struct draft {
    struct command command;
    struct buf texts;
    struct buf body;
};

struct step {
    struct world *world;
    struct fuzz_input *input;
    size_t pipe;
    struct draft draft;
};

static void begin(struct step *step, int32_t code)
{
    command_init_request(&step->draft.command, code, 0);
    buf_clear(&step->draft.texts);
    buf_clear(&step->draft.body);
    buf_reserve(&step->draft.texts, TEXTS_SIZE); // Fields borrow: it must not move.
}

static void add_number(struct step *step, const char *name, int64_t value)
{
    command_add_i64(&step->draft.command, name, value, &step->draft.texts);
}

static void add_text(struct step *step, const char *name, const char *value)
{
    command_add(&step->draft.command, name, slice_text(value));
}

static const char *some_topic(struct step *step)
{
    return topics[fuzz_u8(step->input) % 4];
}

static const char *some_group(struct step *step)
{
    return groups[fuzz_u8(step->input) % 4];
}

/* Mostly a small number, at times one at an edge. */
static int64_t some_number(struct step *step)
{
    static const int64_t edges[] = {-1, INT32_MAX, INT64_MAX, INT64_MIN, 1024, 4096, 65536, -2};
    uint8_t byte = fuzz_u8(step->input);
    return byte < 224 ? byte % 8 : edges[byte % 8];
}

static void ask(struct step *step, bool must_answer, bool send)
{
    step->draft.command.body = buf_slice(&step->draft.body);
    world_ask(step->world, step->pipe, &step->draft.command, must_answer, send);
}

/* The body of a send begins with its number, by which it is known again. */
static void put_marker(struct step *step)
{
    buf_put_be32(&step->draft.body, (uint32_t)step->world->asked_count);
    struct slice more = fuzz_take(step->input, fuzz_u8(step->input) % 32);
    buf_put_slice(&step->draft.body, more);
}

static void step_send(struct step *step, bool half)
{
    uint8_t how = fuzz_u8(step->input);
    char properties[128];
    begin(step, 310);
    bool delayed = (how & 8) != 0;
    const char *delay = (how & 16) != 0 ? "DELAY\0011\002" : "TIMER_DELAY_MS\001300\002";
    snprintf(properties, sizeof properties, "%s%s%s%s%s\001K%u\002UNIQ_KEY\001U%u\002",
             half ? "TRAN_MSG\001true\002PGROUP\001P\002" : "", delayed ? delay : "",
             (how & 1) != 0 ? "TAGS\001a\002" : "", (how & 2) != 0 ? "WAIT\001true\002" : "",
             PROPERTY_KEYS, how >> 5, half ? how >> 4 : (unsigned)step->world->asked_count);
    add_text(step, "a", "P");
    add_text(step, "b", some_topic(step));
    add_text(step, "c", (how & 4) != 0 ? "TBW102" : "none");
    add_number(step, "d", 4);
    add_number(step, "e", some_number(step));
    add_number(step, "f", half ? SYS_FLAG_PREPARED : 0);
    add_number(step, "g", 1700000000001);
    add_number(step, "h", 0);
    command_add(&step->draft.command, "i",
                slice_of(memcpy(buf_extend(&step->draft.texts, sizeof properties), properties,
                                sizeof properties),
                         strlen(properties)));
    add_number(step, "j", 0);
    put_marker(step);
    ask(step, true, half || !delayed); // What is delayed has no queue offset yet.
}

/* Where a message is, or was said to be. */
static int64_t some_position(struct step *step)
{
    struct machine *machine = harness_leader(step->world->harness)->machine;
    const struct queue *queue = machine_queue_find(machine, slice_text(some_topic(step)), 0);
    int64_t number = some_number(step);
    struct index_entry entry;
    uint32_t count = 0;
    if (queue != NULL && number >= queue->offset_first && number < queue->offset_next) {
        enum status status = machine_queue_read(machine, queue, number, 1, &entry, &count);
        ASSERT(status == STATUS_OK && count == 1);
        return (int64_t)entry.position;
    }
    return step->world->half_count > 0 ? step->world->halves[0].position : number;
}

static void step_send_back(struct step *step)
{
    begin(step, 36);
    add_text(step, "group", some_group(step));
    add_number(step, "offset", some_position(step));
    add_number(step, "delayLevel", some_number(step));
    add_number(step, "maxReconsumeTimes", some_number(step));
    ask(step, true, false);
}

static void step_end(struct step *step)
{
    uint8_t how = fuzz_u8(step->input);
    const struct world *world = step->world;
    struct half_known half = {some_number(step), some_number(step)};
    if (world->half_count > 0) {
        half = world->halves[(how >> 2) % world->half_count];
    }
    int32_t decision = (how & 1) != 0 ? 8 : 12;
    begin(step, 37);
    add_text(step, "producerGroup", (how & 2) != 0 ? "P" : some_group(step));
    add_number(step, "tranStateTableOffset", half.offset);
    add_number(step, "commitLogOffset", half.position);
    add_number(step, "commitOrRollback", decision);
    add_text(step, "fromTransactionCheck", (how & 0x80) != 0 ? "true" : "false");
    ask(step, true, false);
}

static void step_pull(struct step *step)
{
    uint8_t how = fuzz_u8(step->input);
    begin(step, 11);
    add_text(step, "consumerGroup", some_group(step));
    add_text(step, "topic", some_topic(step));
    add_number(step, "queueId", some_number(step));
    add_number(step, "queueOffset", some_number(step));
    add_number(step, "maxMsgNums", some_number(step));
    add_number(step, "sysFlag", how % 8);
    add_number(step, "commitOffset", some_number(step));
    add_number(step, "suspendTimeoutMillis", fuzz_u8(step->input) * (POLL_MAX_MS / 256));
    bool sql = (how & 0x40) != 0;
    const char *tags = (how & 0x80) != 0 ? "a || b" : "*";
    const char *conditions = (how & 0x80) != 0 ? "TAGS = 'a' OR KEYS IS NULL" : "TRUE";
    add_text(step, "subscription", sql ? conditions : tags);
    add_number(step, "subVersion", 0);
    add_text(step, "expressionType", sql ? "SQL92" : "TAG");
    ask(step, true, false);
}

/* Messages to pop or to look at, or an end to a delivery of a moment before. */
static void step_pop(struct step *step)
{
    static const int32_t looks[] = {200050, 200050, 200052, 200054};
    uint8_t how = fuzz_u8(step->input);
    bool pop = how % 2 == 0;
    char handle[128];
    begin(step, pop ? looks[how >> 3 & 3] : how % 4 == 1 ? 200051 : 200053);
    add_text(step, "consumerGroup", some_group(step));
    add_text(step, "topic", some_topic(step));
    int64_t queue_id = some_number(step);
    int64_t offset = fuzz_u8(step->input) % 8;
    add_number(step, "queueId", (how & 4) != 0 ? -1 : queue_id);
    add_number(step, "maxMsgNums", 1 + how % 32);
    add_number(step, "invisibleTime", some_number(step));
    add_number(step, "pollTime", fuzz_u8(step->input) * (POLL_MAX_MS / 256));
    add_number(step, "bornTime", 0);
    add_number(step, "initMode", how >> 7);
    add_text(step, "expType", (how & 0x40) != 0 ? "SQL92" : "TAG");
    add_text(step, "exp", (how & 0x40) != 0 ? "TAGS = 'a'" : (how & 0x20) != 0 ? "a" : "*");
    snprintf(handle, sizeof handle, "0 %" PRIu64 " 1 0 0 broker-a %" PRId64 " %" PRId64,
             step->world->harness->now_ms - 50 * (uint64_t)(how >> 4), queue_id, offset);
    command_add(&step->draft.command, "extraInfo",
                slice_of(step->draft.texts.data + step->draft.texts.size, strlen(handle)));
    buf_put_text(&step->draft.texts, handle);
    add_number(step, "offset", offset);
    ask(step, true, false);
}

/* Requests about a topic, a queue, a group: they share their fields' names. */
static void step_about(struct step *step)
{
    static const int32_t codes[] = {14,  15,  17,   29,   30,   31,   32,   33,  38,
                                    200, 202, 203,  204,  207,  208,  215,  300, 351,
                                    352, 12,  7101, 7102, 7103, 7110, 7111, 7112};
    begin(step, codes[fuzz_u8(step->input) % (sizeof codes / sizeof codes[0])]);
    struct draft *draft = &step->draft;
    const char *topic = some_topic(step);
    const char *group = some_group(step);
    add_text(step, "topic", topic);
    add_text(step, "consumerGroup", group);
    add_text(step, "group", group);
    add_text(step, "groupName", group);
    add_text(step, "producerGroup", group);
    int64_t number = some_number(step);
    add_number(step, "queueId", number);
    add_number(step, "commitOffset", some_number(step));
    add_number(step, "offset", number);
    add_number(step, "timestamp", some_number(step));
    add_number(step, "readQueueNums", number);
    add_number(step, "writeQueueNums", some_number(step));
    add_number(step, "perm", some_number(step));
    add_number(step, "maxNum", some_number(step));
    add_number(step, "beginTimestamp", 0);
    add_number(step, "endTimestamp", INT64_MAX);
    add_text(step, "key", "K1");
    add_text(step, "state", (number & 1) != 0 ? "pending" : "committed");
    add_text(step, "action", (number & 1) != 0 ? "commit" : "recheck");
    int64_t position = step->world->half_count == 0 ? number : step->world->halves[0].position;
    add_number(step, "position", position);
    add_number(step, "target", number);
    add_number(step, "memberId", number);
    add_text(step, "on", (number & 1) != 0 ? "true" : "false");
    if (draft->command.code == 200) {
        buf_printf(&draft->body, "{\"groupName\":\"%s\",\"retryQueueNums\":%" PRId64 "}", group,
                   number);
    }
    ask(step, true, false);
}

static void step_heartbeat(struct step *step)
{
    uint8_t how = fuzz_u8(step->input);
    begin(step, (how & 1) != 0 ? 35 : 34);
    add_text(step, "clientID", "c1");
    add_text(step, "producerGroup", "P");
    add_text(step, "consumerGroup", "G");
    buf_printf(&step->draft.body,
               "{\"clientID\":\"c%d\",\"producerDataSet\":[{\"groupName\":\"P\"}],"
               "\"consumerDataSet\":[{\"groupName\":\"%s\",\"consumeType\":\"CONSUME_PASSIVELY\","
               "\"subscriptionDataSet\":[{\"topic\":\"%s\",\"subString\":\"a\"}]}]}",
               how >> 6, some_group(step), some_topic(step));
    ask(step, true, false);
}

static void step_batch(struct step *step)
{
    begin(step, 320);
    add_text(step, "a", "P");
    add_text(step, "b", some_topic(step));
    add_text(step, "c", "TBW102");
    add_number(step, "d", 4);
    add_number(step, "e", some_number(step));
    add_number(step, "f", 0);
    add_number(step, "g", 1);
    add_number(step, "h", 0);
    add_text(step, "m", "true");
    for (uint8_t i = fuzz_u8(step->input) % 5; i > 0; i--) {
        struct slice body = fuzz_take(step->input, fuzz_u8(step->input) % 16);
        buf_put_be32(&step->draft.body, (uint32_t)(22 + body.size));
        memset(buf_extend(&step->draft.body, 12), 0, 12);
        buf_put_be32(&step->draft.body, (uint32_t)body.size);
        buf_put_slice(&step->draft.body, body);
        buf_put_be16(&step->draft.body, 0);
    }
    ask(step, true, false);
}

/* Any code; fields "name=value&…" up to a newline; body up to the byte 0xFF. */
static void step_raw(struct step *step)
{
    static const int32_t codes[] = {10,  11,  12,   14,   15,   17,   18,   34, 46, 200,
                                    310, 320, 7100, 7112, 7150, 7151, 7152, 26, 28, 201};
    uint8_t code = fuzz_u8(step->input);
    uint8_t how = fuzz_u8(step->input);
    begin(step, code < 200 ? codes[code % (sizeof codes / sizeof codes[0])] : code);
    struct fuzz_input fields = {fuzz_until(step->input, '\n')};
    while (fuzz_left(&fields) && step->draft.command.field_count < HEADER_FIELDS_MAX) {
        struct fuzz_input pair = {fuzz_until(&fields, '&')};
        struct slice name = fuzz_until(&pair, '=');
        step->draft.command.fields[step->draft.command.field_count++] =
            (struct field){name, pair.rest};
    }
    buf_put_slice(&step->draft.body, fuzz_until(step->input, 0xFF));
    step->draft.command.flag = how % 8 == 1 ? COMMAND_FLAG_ONEWAY : 0;
    step->draft.command.serialize_type = how % 2 == 0 ? SERIALIZE_JSON : SERIALIZE_BINARY;
    ask(step, false, false);
}

/* What happens round a broker: time, disk, connections, checkpoints. */
static void step_circumstance(struct step *step)
{
    uint8_t how = fuzz_u8(step->input);
    struct harness *harness = step->world->harness;
    struct harness_replica *replica = &harness->replicas[how >> 7];
    switch (how % 8) {
    case 0:
        world_toggle_pipe(step->world, step->pipe);
        break;
    case 1:
        harness->block_reads = !harness->block_reads;
        break;
    case 2:
        replica->broker.disk_full = !replica->broker.disk_full;
        break;
    case 3:
        replica->fresh = !replica->fresh;
        break;
    case 4: {
        struct kv_batch *batch = machine_checkpoint(replica->machine);
        enum status status = kv_write(replica->kv, batch);
        ASSERT(status == STATUS_OK);
        kv_batch_free(batch);
        machine_checkpoint_written(replica->machine);
        break;
    }
    case 5:
        harness_advance(harness, 50 * (how >> 3));
        break;
    default:
        harness->now_ms += (uint64_t)(how >> 3) * 1000; // Clocks jump, and then tick.
        harness_advance(harness, 50);
        break;
    }
}

static void run(struct step *step)
{
    uint8_t what = fuzz_u8(step->input);
    step->pipe = (what >> 4) % WORLD_PIPES;
    switch (what % 16) {
    case 0:
    case 1:
        step_send(step, false);
        break;
    case 2:
        step_send(step, true);
        break;
    case 3:
        step_end(step);
        break;
    case 4:
        step_pull(step);
        break;
    case 5:
    case 6:
        step_about(step);
        break;
    case 7:
        step_pop(step);
        break;
    case 8:
        step_heartbeat(step);
        break;
    case 9:
        step_batch(step);
        break;
    case 10:
    case 11:
        step_circumstance(step);
        break;
    case 12:
        step_send_back(step);
        break;
    default:
        step_raw(step);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {slice_of(data, size)};
    struct world world;
    struct step step = {.world = &world, .input = &input};
    world_open(&world);
    for (size_t i = 0; i < STEPS_MAX && fuzz_left(&input); i++) {
        run(&step);
        if (world.harness->blocked_count > 16) {
            harness_run_reads(world.harness);
        }
        world_settle(&world);
    }
    world_close(&world);
    buf_close(&step.draft.texts);
    buf_close(&step.draft.body);
    return 0;
}
