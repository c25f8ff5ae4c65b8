#include "tests/fuzz/broker_world.h"

#include "common/remoting/message.h"
#include "common/remoting/properties.h"

#include <stdlib.h>

enum {
    FRAME_BEFORE_ENTRY = 32,  /* The harness's stand-in for a frame's header. */
    END_OF_WAITING_MS = 1500, /* Longer than leaderWaitMs and the script's longest poll. */
    ENTRIES_PER_READ = 64,
};

static struct harness_replica *replica_of(struct world *world, size_t pipe)
{
    return &world->harness->replicas[pipe % WORLD_REPLICAS];
}

void world_open(struct world *world)
{
    *world = (struct world){.harness = harness_new(WORLD_REPLICAS)};
    harness_link(&world->harness->replicas[1]);
    for (size_t i = 0; i < WORLD_PIPES; i++) {
        world_toggle_pipe(world, i);
    }
}

void world_toggle_pipe(struct world *world, size_t number)
{
    struct harness_pipe *pipe = world->pipes[number];
    if (pipe == NULL) {
        world->pipes[number] = harness_connect(replica_of(world, number), 5000 + (uint32_t)number);
        return;
    }
    for (int32_t i = 0; i < world->asked_count; i++) {
        world->asked[i].pipe = world->asked[i].pipe == pipe ? NULL : world->asked[i].pipe;
    }
    harness_disconnect(pipe);
    world->pipes[number] = NULL;
}

void world_ask(struct world *world, size_t pipe, struct command *command, bool must_answer,
               bool send)
{
    struct buf frame = {0};
    struct buf scratch = {0};
    struct command decoded;
    if (world->pipes[pipe] == NULL || world->asked_count == WORLD_ASKED_MAX) {
        return;
    }
    command->opaque = world->asked_count;
    world->asked[world->asked_count++] = (struct asked){
        .pipe = world->pipes[pipe],
        .code = command->code,
        .must_answer = must_answer && !command_is_oneway(command),
        .send = send,
    };
    command_encode(command, &frame);
    enum status status = command_decode(buf_slice(&frame), &scratch, &decoded);
    ASSERT(status == STATUS_OK);
    broker_on_command(&replica_of(world, pipe)->broker, world->pipes[pipe]->channel, &decoded);
    buf_close(&frame);
    buf_close(&scratch);
}

/* --- Answers ------------------------------------------------------------------------------ */

static bool field(const struct command *command, const char *name, int64_t *value)
{
    return command_i64(command, name, true, value) == STATUS_OK;
}

static void learn_half(struct world *world, int64_t position, int64_t offset)
{
    if (world->half_count < WORLD_HALVES_MAX) {
        world->halves[world->half_count++] = (struct half_known){position, offset};
    }
}

static void learn_ack(struct world *world, int32_t opaque, const struct command *answer)
{
    struct machine *machine = harness_leader(world->harness)->machine;
    struct slice topic;
    int64_t queue = 0;
    struct acked acked = {.marker = opaque};
    if (world->acked_count == WORLD_ACKED_MAX || !field(answer, "queueOffset", &acked.offset) ||
        !field(answer, "queueId", &queue) || !command_find(answer, "msgId", &topic)) {
        return;
    }
    acked.queue_id = (int32_t)queue;
    // Which topic it was is in the message: its position is the id's.
    struct host host;
    int64_t position = 0;
    struct message message;
    size_t size = 0;
    const struct buf *log = &world->harness->log_bytes;
    enum status status = offset_message_id_parse(topic, &host, &position);
    ASSERT(status == STATUS_OK && position >= 0 && (size_t)position < log->size);
    status = message_decode(slice_from(buf_slice(log), (size_t)position), &message, &size);
    ASSERT(status == STATUS_OK);
    struct slice prepared;
    if (properties_find(message.properties, PROPERTY_TRANSACTION_PREPARED, &prepared)) {
        learn_half(world, position, acked.offset);
        return;
    }
    const struct topic *now = machine_topic_find(machine, message.topic);
    if (now != NULL && name_set(&acked.topic, message.topic)) {
        acked.topic_id = now->id;
        world->acked[world->acked_count++] = acked;
    }
}

static void take_answers(struct world *world, struct harness_pipe *pipe)
{
    struct command command;
    while (harness_receive(pipe, &command)) {
        int64_t position = 0;
        int64_t offset = 0;
        if (!command_is_response(&command)) {
            if (command.code == 39 && field(&command, "commitLogOffset", &position) &&
                field(&command, "tranStateTableOffset", &offset)) {
                learn_half(world, position, offset);
            }
            continue;
        }
        ASSERT(command.opaque >= 0 && command.opaque < world->asked_count);
        struct asked *asked = &world->asked[command.opaque];
        ASSERT(asked->pipe == pipe);
        ASSERT(++asked->answers == 1);
        ASSERT(command.code == 0 || command.remark.size > 0 || command.body.size == 0);
        if (asked->send && command.code == 0) {
            learn_ack(world, command.opaque, &command);
        }
    }
}

void world_settle(struct world *world)
{
    harness_commit(world->harness);
    for (size_t i = 0; i < WORLD_PIPES; i++) {
        if (world->pipes[i] != NULL) {
            take_answers(world, world->pipes[i]);
        }
    }
    if (world->committed == world->harness->committed) {
        return;
    }
    world->committed = world->harness->committed;
    ASSERT(machine_hash(world->harness->replicas[0].machine) ==
           machine_hash(world->harness->replicas[1].machine));
}

/* --- The end ------------------------------------------------------------------------------ */

static int compare_positions(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* A queue has an entry for each of its offsets, in the order of the log; appends the places of the
 * messages' bytes to bodies. */
static void check_queue(struct world *world, struct queue *queue, struct buf *bodies)
{
    struct machine *machine = harness_leader(world->harness)->machine;
    uint64_t before = 0;
    int64_t offset = queue->offset_first;
    while (offset < queue->offset_next) {
        struct index_entry entries[ENTRIES_PER_READ];
        uint32_t count = 0;
        enum status status =
            machine_queue_read(machine, queue, offset, ENTRIES_PER_READ, entries, &count);
        ASSERT(status == STATUS_OK && count > 0);
        for (uint32_t i = 0; i < count; i++) {
            ASSERT(entries[i].position > before);
            ASSERT(entries[i].body_position + entries[i].size <= world->harness->log_bytes.size);
            before = entries[i].position;
            buf_put(bodies, &entries[i].body_position, sizeof entries[i].body_position);
        }
        offset += count;
    }
    ASSERT(offset == queue->offset_next);
}

/* Nothing is visible twice. */
static void check_queues(struct world *world)
{
    struct buf bodies = {0};
    const struct map *topics = machine_topics(harness_leader(world->harness)->machine);
    MAP_FOREACH(node, topics)
    {
        struct topic *topic = CONTAINER_OF(node, struct topic, node);
        for (uint32_t i = 0; i < topic->queue_count; i++) {
            check_queue(world, &topic->queues[i], &bodies);
        }
    }
    size_t count = bodies.size / sizeof(uint64_t);
    uint64_t *positions = (uint64_t *)(void *)bodies.data;
    if (count > 0) {
        qsort(positions, count, sizeof *positions, compare_positions);
    }
    for (size_t i = 1; i < count; i++) {
        ASSERT(positions[i - 1] != positions[i]);
    }
    buf_close(&bodies);
}

static void check_acked(struct world *world)
{
    struct machine *machine = harness_leader(world->harness)->machine;
    for (size_t i = 0; i < world->acked_count; i++) {
        const struct acked *acked = &world->acked[i];
        const struct topic *topic = machine_topic_find(machine, name_slice(&acked->topic));
        if (topic == NULL || topic->id != acked->topic_id) {
            continue; // Deleted since.
        }
        ASSERT((uint32_t)acked->queue_id < topic->queue_count);
        struct index_entry entry;
        struct message message;
        uint32_t count = 0;
        size_t size = 0;
        enum status status = machine_queue_read(machine, &topic->queues[acked->queue_id],
                                                acked->offset, 1, &entry, &count);
        ASSERT(status == STATUS_OK && count == 1);
        struct slice log = buf_slice(&world->harness->log_bytes);
        status = message_decode(slice_from(log, entry.body_position), &message, &size);
        ASSERT(status == STATUS_OK && size == entry.size && message.body.size >= 4);
        ASSERT((int32_t)be32_get(message.body.data) == acked->marker);
    }
}

/* A machine that applies the log from nothing comes to the same state. */
static void check_replay(struct world *world)
{
    struct harness *harness = world->harness;
    const struct machine_events events = {0};
    struct kv *kv = kv_open_memory();
    struct machine *machine = NULL;
    char *error = NULL;
    enum status status = machine_open(kv, &events, &machine, &error);
    ASSERT(status == STATUS_OK);
    for (size_t i = 0; i < harness->committed; i++) {
        uint64_t position = harness->entries[i].position;
        uint64_t end = i + 1 < harness->entry_count
                           ? harness->entries[i + 1].position - FRAME_BEFORE_ENTRY
                           : harness->log_bytes.size;
        machine_apply(machine, i + 1, position,
                      slice_of(harness->log_bytes.data + position, end - position));
    }
    ASSERT(machine_hash(machine) == machine_hash(harness_leader(harness)->machine));
    machine_close(machine);
    kv_close(kv);
}

void world_close(struct world *world)
{
    struct harness *harness = world->harness;
    for (size_t i = 0; i < WORLD_REPLICAS; i++) {
        harness->replicas[i].room = true;
        harness->replicas[i].fresh = true;
        harness->replicas[i].broker.disk_full = false;
    }
    harness->block_reads = false;
    harness_run_reads(harness);
    harness_advance(harness, END_OF_WAITING_MS);
    harness_run_reads(harness);
    world_settle(world);
    for (int32_t i = 0; i < world->asked_count; i++) {
        const struct asked *asked = &world->asked[i];
        ASSERT(asked->pipe == NULL || !asked->must_answer || asked->answers == 1);
    }
    check_queues(world);
    check_acked(world);
    check_replay(world);
    for (size_t i = 0; i < WORLD_PIPES; i++) {
        if (world->pipes[i] != NULL) {
            world_toggle_pipe(world, i);
        }
    }
    harness_free(harness);
}
