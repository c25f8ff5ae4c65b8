#include "tests/unit/raft-glue/replica_fixture.h"

#include "tests/support/test.h"

#include "common/base/crc32c.h"

#include <stdio.h>

enum { GROUP = 99 };

static uint64_t monotonic_ms(void *context)
{
    return ((struct fixture *)context)->now;
}

static void on_apply(void *context, const struct replica_entry *entry, void *proposal)
{
    struct fixture *f = context;
    assert_true(f->applied_count < FIXTURE_APPLIED_MAX);
    f->applied[f->applied_count++] = entry->index;
    f->own_applied += proposal != NULL;
}

static void on_drop(void *context, void *proposal, enum status why)
{
    struct fixture *f = context;
    (void)proposal;
    f->dropped++;
    f->dropped_why = why;
}

static void on_state(void *context, const struct replica_state *state)
{
    ((struct fixture *)context)->state = *state;
}

static void on_send(void *context, const struct replica_outbound *outbound)
{
    struct fixture *f = context;
    assert_true(f->sent_count < FIXTURE_SENT_MAX);
    f->sent[f->sent_count++] = *outbound;
}

static void start(struct fixture *f)
{
    struct raft_configuration bootstrap = replica_bootstrap(f->voters, f->bootstrap_count);
    struct replica_storage_options storage = {
        .log = {.directory = sim_disk_directory(f->disk),
                .group = GROUP,
                .segment_size = FIXTURE_SEGMENT,
                .cache_size = FIXTURE_SEGMENT},
        .replica = 1,
        .origin = f->origin,
        .origin_state = f->origin_state,
        .bootstrap = &bootstrap,
    };
    char *error = NULL;
    assert_int_equal(replica_storage_open(&f->storage, &storage, &error), STATUS_OK);
    raft_configuration_close(&bootstrap);
    struct replica_options options = {
        .id = 1,
        .voters = f->voters,
        .voter_count = f->voter_count,
        .election_timeout_ms = FIXTURE_E,
        .heartbeat_timeout_ms = FIXTURE_H,
        .applied_index = f->machine_index,
        .seed = 1,
        .start_entries = f->start_entries,
        .storage = &f->storage,
        .machine = {.context = f, .apply = on_apply, .drop = on_drop, .on_state = on_state},
        .ports = {.context = f, .clock = &f->clock, .send = on_send},
    };
    assert_int_equal(replica_start(&options, &f->replica, &error), STATUS_OK);
}

static void begin(struct fixture *f, size_t voters, size_t members)
{
    f->now = 1000;
    f->voter_count = members;
    f->bootstrap_count = voters;
    f->clock = (struct clock){.monotonic_ms = monotonic_ms, .wall_ms = monotonic_ms, .context = f};
    f->disk = sim_disk_new(1);
    for (size_t i = 0; i < members; i++) {
        f->voters[i].id = i + 1;
        snprintf(f->voters[i].address, sizeof f->voters[i].address, "10.0.0.%zu:1", i + 1);
    }
    start(f);
}

void fixture_open(struct fixture *f, size_t voters, size_t members)
{
    *f = (struct fixture){0};
    begin(f, voters, members);
}

void fixture_open_empty(struct fixture *f, size_t voters, const struct term_vote_state *state)
{
    *f = (struct fixture){.origin = REPLICA_ORIGIN_EMPTY, .origin_state = *state};
    begin(f, voters, voters);
}

static void stop(struct fixture *f)
{
    replica_close(f->replica);
    replica_storage_close(&f->storage);
}

void fixture_close(struct fixture *f)
{
    stop(f);
    sim_disk_free(f->disk);
}

void fixture_restart(struct fixture *f)
{
    stop(f);
    sim_disk_crash(f->disk);
    f->applied_count = 0;
    start(f);
}

void fixture_write(struct fixture *f)
{
    struct replica_disk_job job;
    while (replica_disk_take(f->replica, &job)) {
        replica_disk_run(&job);
        replica_disk_done(f->replica, &job);
    }
}

void fixture_pass(struct fixture *f, uint64_t ms, bool write)
{
    uint64_t end = f->now + ms;
    while (f->now < end) {
        f->now++;
        if (f->now >= replica_due_ms(f->replica)) {
            replica_tick(f->replica);
        }
        if (write) {
            fixture_write(f);
        }
    }
}

void fixture_receive(struct fixture *f, uint64_t from, struct raft_message message)
{
    struct replica_inbound inbound = {.from = from, .header = {.message = message}};
    replica_receive(f->replica, &inbound);
}

void fixture_append(struct fixture *f, uint64_t from, uint64_t term, uint64_t prev,
                    uint64_t prev_term, uint64_t commit, const struct fixture_entry *entries,
                    unsigned count)
{
    struct wire_entry wire[WIRE_ENTRIES_MAX];
    struct log_entry before;
    uint64_t end = 0;
    if (segment_log_entry(f->storage.log, prev, &before)) {
        end = before.position + log_frame_size(before.payload_size);
    }
    size_t room = 1;
    for (unsigned i = 0; i < count; i++) {
        room += entries[i].payload.size;
    }
    struct block *body = block_new(room); // The log keeps pointing into it.
    uint8_t *to = body->data;
    for (unsigned i = 0; i < count; i++) {
        size_t size = entries[i].payload.size;
        memcpy(to, entries[i].payload.data, size);
        wire[i].payload = slice_of(to, size);
        to += size;
        wire[i].frame = (struct log_frame){
            .index = prev + 1 + i,
            .term = entries[i].term,
            .type = entries[i].type,
            .position = segment_place(end, log_frame_size(size), FIXTURE_SEGMENT),
            .payload_size = (uint32_t)size,
            .payload_crc = crc32c(0, entries[i].payload.data, size),
        };
        end = wire[i].frame.position + log_frame_size(size);
    }
    struct replica_inbound inbound = {
        .from = from, .body = count > 0 ? body : NULL, .entries = wire};
    inbound.header.message = (struct raft_message){.type = RAFT_APPEND_ENTRIES};
    inbound.header.message.append_entries = (struct raft_append_entries){
        .term = term,
        .prev_log_index = prev,
        .prev_log_term = prev_term,
        .leader_commit = commit,
        .n_entries = count,
    };
    replica_receive(f->replica, &inbound);
    block_release(body);
}

void fixture_append_result(struct fixture *f, uint64_t from, uint64_t last)
{
    struct raft_message message = {.type = RAFT_APPEND_ENTRIES_RESULT};
    message.append_entries_result = (struct raft_append_entries_result){
        .version = 2,
        .term = raft_current_term(&f->replica->raft),
        .last_log_index = last,
        .features = 1,
    };
    fixture_receive(f, from, message);
}

static void vote(struct fixture *f, uint64_t from, bool pre_vote)
{
    struct raft_message message = {.type = RAFT_REQUEST_VOTE_RESULT};
    message.request_vote_result = (struct raft_request_vote_result){
        .version = 2,
        .term = raft_current_term(&f->replica->raft),
        .vote_granted = true,
        .pre_vote = pre_vote,
        .features = 1,
    };
    fixture_receive(f, from, message);
}

void fixture_elect(struct fixture *f)
{
    while (replica_raft_state(f->replica) != RAFT_CANDIDATE) {
        fixture_pass(f, 1, true);
    }
    for (uint64_t id = 2; id <= f->bootstrap_count; id++) {
        vote(f, id, true);
        fixture_write(f);
    }
    for (uint64_t id = 2; id <= f->bootstrap_count; id++) {
        vote(f, id, false);
        fixture_write(f);
    }
    assert_int_equal(replica_raft_state(f->replica), RAFT_LEADER);
}

enum status fixture_propose(struct fixture *f, size_t size)
{
    uint8_t *payload = mem_zalloc(size);
    enum status status = replica_propose(f->replica, payload, size, f);
    if (status != STATUS_OK) {
        free(payload);
    }
    return status;
}

struct fixture_entry fixture_command(uint64_t term)
{
    return (struct fixture_entry){
        .term = term, .type = LOG_FRAME_COMMAND, .payload = slice_text("payload")};
}

struct raft_message fixture_vote_request(uint64_t from, uint64_t term, uint64_t last,
                                         uint64_t last_term)
{
    struct raft_message message = {.type = RAFT_REQUEST_VOTE};
    message.request_vote = (struct raft_request_vote){
        .version = 2,
        .term = term,
        .candidate_id = from,
        .last_log_index = last,
        .last_log_term = last_term,
    };
    return message;
}

uint64_t fixture_term(const struct fixture *f)
{
    return raft_current_term(&f->replica->raft);
}

const struct replica_outbound *fixture_sent(const struct fixture *f, enum raft_message_type type)
{
    for (size_t i = f->sent_count; i > 0; i--) {
        if (f->sent[i - 1].message.type == type) {
            return &f->sent[i - 1];
        }
    }
    return NULL;
}

struct slice fixture_membership(const struct fixture *f, const int *roles, size_t count)
{
    static uint8_t bytes[512];
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    for (size_t i = 0; i < count; i++) {
        if (roles[i] >= 0) {
            assert_int_equal(
                raft_configuration_add(&configuration, i + 1, f->voters[i].address, roles[i]), 0);
        }
    }
    struct raft_buffer encoded = configuration_encode(&configuration);
    raft_configuration_close(&configuration);
    assert_true(encoded.len <= sizeof bytes);
    memcpy(bytes, encoded.base, encoded.len);
    raft_free(encoded.base);
    return slice_of(bytes, encoded.len);
}
