#include "tests/support/broker_harness.h"

#include "tests/support/test.h"

#include <stdio.h>
#include <stdlib.h>

static uint64_t clock_now(void *context)
{
    return ((struct harness *)context)->now_ms;
}

/* --- Ports -------------------------------------------------------------------------------- */

static uint64_t end_position(const struct harness *harness)
{
    const struct harness_span *last = &harness->spans[harness->span_count - 1];
    return last->position + (harness->log_bytes.size - last->at);
}

static enum status port_propose(void *context, uint8_t *payload, size_t size, void *proposal)
{
    struct harness_replica *replica = context;
    struct harness *harness = replica->harness;
    if (replica->broker.state.role != REPLICA_LEADER) {
        return STATUS_NOT_LEADER;
    }
    if (harness->entry_count == harness->entry_capacity) {
        harness->entry_capacity = harness->entry_capacity == 0 ? 64 : 2 * harness->entry_capacity;
        harness->entries =
            mem_realloc(harness->entries, harness->entry_capacity * sizeof *harness->entries);
    }
    buf_put_text(&harness->log_bytes, "a frame's header, of some size.."); // Not at position 0.
    struct harness_entry *entry = &harness->entries[harness->entry_count++];
    *entry = (struct harness_entry){
        .position = end_position(harness),
        .payload = {.data = payload, .size = size, .capacity = size},
        .proposer = replica,
        .proposal = proposal,
    };
    buf_put(&harness->log_bytes, payload, size);
    return STATUS_OK;
}

static bool port_has_room(void *context)
{
    return ((struct harness_replica *)context)->room;
}

static bool port_quorum_fresh(void *context)
{
    return ((struct harness_replica *)context)->fresh;
}

static bool port_knows_all(void *context)
{
    const struct harness_replica *replica = context;
    return broker_leads(&replica->broker) && replica->fresh && !replica->behind;
}

static enum status copy_out(const struct harness *harness, uint64_t position, size_t size,
                            uint8_t *to)
{
    size_t span = harness->span_count - 1;
    while (position < harness->spans[span].position) {
        span--;
    }
    size_t at = harness->spans[span].at + (size_t)(position - harness->spans[span].position);
    if (at + size > harness->log_bytes.size) {
        return STATUS_NOT_FOUND;
    }
    memcpy(to, harness->log_bytes.data + at, size);
    return STATUS_OK;
}

static enum status port_read_now(void *context, uint64_t position, size_t size, uint8_t *to)
{
    struct harness *harness = ((struct harness_replica *)context)->harness;
    return harness->block_reads ? STATUS_BUSY : copy_out(harness, position, size, to);
}

static void port_read(void *context, struct position_read *read)
{
    struct harness *harness = ((struct harness_replica *)context)->harness;
    assert_true(harness->blocked_count < HARNESS_READS_MAX);
    harness->blocked[harness->blocked_count++] = read;
}

void harness_next_segment(struct harness *harness)
{
    assert_true(harness->span_count < HARNESS_SPANS_MAX);
    uint64_t position = (end_position(harness) / SEGMENT_SIZE + 1) * SEGMENT_SIZE;
    harness->spans[harness->span_count++] =
        (struct harness_span){position, harness->log_bytes.size};
}

void harness_run_reads(struct harness *harness)
{
    while (harness->blocked_count > 0) {
        struct position_read *read = harness->blocked[--harness->blocked_count];
        read->done(read, copy_out(harness, read->position, read->size, read->to));
    }
}

void harness_run_read(struct harness *harness)
{
    struct position_read *read = harness->blocked[0];
    assert_true(harness->blocked_count > 0);
    harness->blocked_count--;
    memmove(harness->blocked, harness->blocked + 1,
            harness->blocked_count * sizeof harness->blocked[0]);
    read->done(read, copy_out(harness, read->position, read->size, read->to));
}

static void port_transfer(void *context, uint64_t target_id,
                          void (*done)(void *done_context, enum status status), void *done_context)
{
    struct harness_replica *replica = context;
    replica->transferred_to = target_id;
    done(done_context, replica->transfer_status);
}

static void port_suspect(void *context, uint64_t position)
{
    ((struct harness_replica *)context)->suspected = position;
}

static bool member_ready(void *context, uint64_t member_id)
{
    (void)member_id;
    return ((struct harness_replica *)context)->peer_ready;
}

static uint64_t member_preferred(void *context)
{
    return ((struct harness_replica *)context)->group.preferred_id;
}

static size_t member_followers(void *context, uint64_t position, struct follower *to)
{
    const struct harness_replica *replica = context;
    const struct harness *harness = replica->harness;
    size_t count = 0;
    (void)position;
    for (size_t i = 0; i < harness->replica_count; i++) {
        if (&harness->replicas[i] != replica) {
            to[count++] = (struct follower){i + 1, !replica->unready[i]};
        }
    }
    return count;
}

static bool member_hears_leader(void *context)
{
    return !((struct harness_replica *)context)->forsaken;
}

static bool member_client_host(void *context, uint64_t member_id, struct host *host)
{
    (void)context;
    (void)member_id;
    (void)host;
    return false;
}

static bool member_belongs(void *context)
{
    (void)context;
    return true;
}

static void member_drain(void *context, bool draining)
{
    ((struct harness_replica *)context)->draining = draining;
}

static enum status member_recover(void *context, uint64_t last_index)
{
    struct harness_replica *replica = context;
    replica->recovered_at = last_index;
    return replica->change_status;
}

static enum status member_change(void *context, uint64_t member_id, enum member_action action,
                                 const char **why)
{
    struct harness_replica *replica = context;
    replica->changed_member = member_id;
    replica->changed_action = action;
    *why = replica->change_status == STATUS_OK ? NULL : "the replica says no";
    return replica->change_status;
}

static void port_storage(void *context, struct storage_view *view)
{
    const struct harness_replica *replica = context;
    *view = replica->storage;
    view->log_end = end_position(replica->harness);
}

static void port_describe(void *context, struct buf *out)
{
    (void)context;
    buf_put_text(out, "{}");
}

static struct buf *port_leader_out(void *context)
{
    struct harness_replica *replica = context;
    return replica->to_leader == NULL ? NULL : &replica->to_leader->written;
}

static void port_leader_flush(void *context)
{
    (void)context;
}

static void port_register_soon(void *context)
{
    ((struct harness_replica *)context)->registrations++;
}

static void port_ask_nameserver(void *context, struct command *request, nameserver_cb *done,
                                void *done_context)
{
    const struct harness_replica *replica = context;
    struct command response;
    command_init_response(&response, request, 0);
    response.body = slice_text(replica->route);
    done(done_context, replica->route == NULL ? NULL : &response);
}

static void port_turn_again(void *context)
{
    ((struct harness_replica *)context)->turns_wanted++;
}

static struct buf *transport_out(void *transport)
{
    return transport == NULL ? NULL : &((struct harness_pipe *)transport)->written;
}

static void transport_flush(void *transport)
{
    (void)transport;
}

static bool transport_congested(void *transport)
{
    return transport == NULL || ((struct harness_pipe *)transport)->congested;
}

/* --- Life --------------------------------------------------------------------------------- */

static void load_settings(struct harness_replica *replica, size_t id, size_t count)
{
    char nodes[256] = "nodes=";
    char node_id[32];
    for (size_t i = 1; i <= count; i++) {
        size_t used = strlen(nodes);
        snprintf(nodes + used, sizeof nodes - used, "%zu@10.0.0.%zu:10911:20911;", i, i);
    }
    snprintf(node_id, sizeof node_id, "nodeId=%zu", id);
    const char *const overrides[] = {nodes, node_id, "brokerClusterName=C1", "leaderWaitMs=1000"};
    log_init(&replica->log, stderr, LOG_ERROR, "harness");
    enum status status = settings_load(&replica->settings, NULL, overrides, 4, &replica->log);
    assert_int_equal(status, STATUS_OK);
    replica->group = replica->settings.groups[0];
}

static void replica_open(struct harness *harness, size_t id)
{
    struct harness_replica *replica = &harness->replicas[id - 1];
    char *error = NULL;
    replica->harness = harness;
    replica->room = true;
    replica->fresh = true;
    replica->transfer_status = STATUS_TIMED_OUT;
    load_settings(replica, id, harness->replica_count);
    replica->ports = (struct broker_ports){
        .context = replica,
        .clock = &harness->clock,
        .propose = port_propose,
        .has_room = port_has_room,
        .quorum_fresh = port_quorum_fresh,
        .knows_all = port_knows_all,
        .read_now = port_read_now,
        .read = port_read,
        .transfer = port_transfer,
        .suspect = port_suspect,
        .members = {replica, member_change, member_ready, member_preferred, member_followers,
                    member_hears_leader, member_client_host, member_belongs, member_recover,
                    member_drain},
        .storage = port_storage,
        .describe = port_describe,
        .leader_out = port_leader_out,
        .leader_flush = port_leader_flush,
        .register_soon = port_register_soon,
        .ask_nameserver = port_ask_nameserver,
        .turn_again = port_turn_again,
        .transport = {transport_out, transport_flush, transport_congested},
    };
    broker_init(&replica->broker, &replica->settings, &replica->group, &replica->ports,
                &replica->log, (struct random){id});
    replica->kv = kv_open_memory();
    const struct machine_events events = broker_machine_events(&replica->broker);
    enum status status = machine_open(replica->kv, &events, &replica->machine, &error);
    assert_int_equal(status, STATUS_OK);
    replica->broker.machine = replica->machine;
}

void harness_reopen(struct harness_replica *replica)
{
    const struct machine_events events = broker_machine_events(&replica->broker);
    struct kv_batch *batch = machine_checkpoint(replica->machine);
    char *error = NULL;
    assert_int_equal(kv_write(replica->kv, batch), STATUS_OK);
    machine_checkpoint_written(replica->machine);
    kv_batch_free(batch);
    machine_close(replica->machine);
    assert_int_equal(machine_open(replica->kv, &events, &replica->machine, &error), STATUS_OK);
    replica->broker.machine = replica->machine;
}

struct harness *harness_new(size_t replicas)
{
    struct harness *harness = mem_zalloc(sizeof *harness);
    harness->clock = (struct clock){clock_now, clock_now, harness};
    harness->now_ms = 1700000000000;
    harness->replica_count = replicas;
    harness->span_count = 1;
    for (size_t id = 1; id <= replicas; id++) {
        replica_open(harness, id);
    }
    for (size_t i = replicas; i-- > 0;) {
        const struct replica_state state = {
            .role = i == 0 ? REPLICA_LEADER : REPLICA_FOLLOWER,
            .term = 1,
            .leader_id = 1,
        };
        broker_on_state(&harness->replicas[i].broker, &state);
    }
    harness_commit(harness);
    return harness;
}

void harness_free(struct harness *harness)
{
    for (size_t i = 0; i < harness->replica_count; i++) {
        struct harness_replica *replica = &harness->replicas[i];
        if (replica->to_leader != NULL) {
            broker_channel_close(&harness_leader(harness)->broker, replica->at_leader->channel);
        }
    }
    for (size_t i = harness->entry_count; i-- > harness->committed;) {
        struct harness_entry *entry = &harness->entries[i];
        broker_drop(&entry->proposer->broker, entry->proposal, STATUS_SHUTTING_DOWN);
        buf_close(&entry->payload);
    }
    for (size_t i = 0; i < harness->replica_count; i++) {
        struct harness_replica *replica = &harness->replicas[i];
        broker_close(&replica->broker);
        machine_close(replica->machine);
        kv_close(replica->kv);
        settings_close(&replica->settings);
        if (replica->to_leader != NULL) {
            harness_pipe_free(replica->to_leader);
            harness_pipe_free(replica->at_leader);
        }
    }
    free(harness->entries);
    buf_close(&harness->log_bytes);
    free(harness);
}

void harness_turn(struct harness *harness)
{
    for (size_t i = 0; i < harness->replica_count; i++) {
        broker_turn_end(&harness->replicas[i].broker);
    }
}

/* Apply on the others first: the answer is the leader's, which knows that a majority has it. */
static void apply_entry(struct harness *harness, struct harness_entry *entry, uint64_t index)
{
    const struct replica_entry committed = {
        .index = index,
        .term = 1,
        .position = entry->position,
        .payload = buf_slice(&entry->payload),
    };
    for (size_t i = harness->replica_count; i-- > 0;) {
        struct harness_replica *replica = &harness->replicas[i];
        void *proposal = entry->proposer == replica ? entry->proposal : NULL;
        broker_apply(&replica->broker, &committed, proposal);
    }
    buf_close(&entry->payload);
}

void harness_commit(struct harness *harness)
{
    do {
        harness_turn(harness);
        harness_exchange(harness);
        harness_turn(harness);
        while (harness->committed < harness->entry_count) {
            // The array may move while applying: a waiter may propose.
            struct harness_entry entry = harness->entries[harness->committed];
            harness->committed++;
            apply_entry(harness, &entry, harness->committed);
        }
        harness_turn(harness);
        harness_exchange(harness);
    } while (harness->committed < harness->entry_count);
}

void harness_advance(struct harness *harness, uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += BROKER_TICK_MS) {
        harness->now_ms += BROKER_TICK_MS;
        for (size_t i = 0; i < harness->replica_count; i++) {
            broker_tick(&harness->replicas[i].broker);
        }
        harness_commit(harness);
    }
}

/* --- Connections -------------------------------------------------------------------------- */

static struct harness_pipe *pipe_new(struct harness_replica *replica, struct host host)
{
    struct harness_pipe *pipe = mem_zalloc(sizeof *pipe);
    pipe->replica = replica;
    pipe->channel = broker_channel_open(&replica->broker, pipe, host);
    return pipe;
}

struct harness_pipe *harness_connect(struct harness_replica *replica, uint32_t port)
{
    return pipe_new(replica, (struct host){0x7F000001, port});
}

void harness_disconnect(struct harness_pipe *pipe)
{
    broker_channel_close(&pipe->replica->broker, pipe->channel);
    harness_pipe_free(pipe);
}

void harness_pipe_free(struct harness_pipe *pipe)
{
    buf_close(&pipe->written);
    buf_close(&pipe->scratch);
    free(pipe);
}

void harness_send(struct harness_pipe *pipe, int32_t code, int32_t opaque, int32_t flag,
                  struct slice body, ...)
{
    struct command command;
    struct buf frame = {0};
    struct buf scratch = {0};
    struct command decoded;
    va_list args;
    command_init_request(&command, code, opaque);
    command.flag = flag;
    command.body = body;
    va_start(args, body);
    for (const char *name; (name = va_arg(args, const char *)) != NULL;) {
        command_add(&command, name, slice_text(va_arg(args, const char *)));
    }
    va_end(args);
    command_encode(&command, &frame);
    enum status status = command_decode(buf_slice(&frame), &scratch, &decoded);
    assert_int_equal(status, STATUS_OK);
    broker_on_command(&pipe->replica->broker, pipe->channel, &decoded);
    buf_close(&frame);
    buf_close(&scratch);
}

bool harness_receive(struct harness_pipe *pipe, struct command *command)
{
    size_t size;
    if (pipe->written.size - pipe->read < FRAME_PREFIX_SIZE) {
        return false;
    }
    assert_int_equal(frame_measure(pipe->written.data + pipe->read, &size), STATUS_OK);
    assert_true(size <= pipe->written.size - pipe->read);
    buf_clear(&pipe->scratch);
    buf_reserve(&pipe->scratch, HARNESS_SCRATCH_SIZE);
    enum status status =
        command_decode(slice_of(pipe->written.data + pipe->read, size), &pipe->scratch, command);
    assert_int_equal(status, STATUS_OK);
    pipe->read += size;
    return true;
}

void harness_link(struct harness_replica *replica)
{
    struct harness *harness = replica->harness;
    replica->to_leader = mem_zalloc(sizeof *replica->to_leader);
    replica->at_leader = pipe_new(harness_leader(harness), (struct host){0x0A000009, 40000});
    broker_on_leader_connected(&replica->broker);
    harness_exchange(harness);
}

static void forget_read(struct harness_pipe *pipe)
{
    if (pipe->read == pipe->written.size) {
        buf_clear(&pipe->written);
        pipe->read = 0;
    }
}

static bool carry(struct harness_replica *replica)
{
    struct command command;
    bool moved = false;
    if (replica->to_leader == NULL) {
        return false;
    }
    while (harness_receive(replica->to_leader, &command)) {
        broker_on_command(&harness_leader(replica->harness)->broker, replica->at_leader->channel,
                          &command);
        moved = true;
    }
    forget_read(replica->to_leader);
    while (harness_receive(replica->at_leader, &command)) {
        broker_on_leader_command(&replica->broker, replica->broker.leader_connection, &command);
        moved = true;
    }
    return moved;
}

void harness_exchange(struct harness *harness)
{
    bool moved;
    do {
        moved = false;
        for (size_t i = 1; i < harness->replica_count; i++) {
            moved |= carry(&harness->replicas[i]);
        }
    } while (moved);
}

void harness_message(struct slice body, struct message *message)
{
    size_t size;
    assert_int_equal(message_decode(body, message, &size), STATUS_OK);
}
