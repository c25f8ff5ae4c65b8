/* Each rule of docs/decisions/0002-driving-c-raft.md, shown on one real replica: what happens
 * without it is told there. */
#include "tests/support/test.h"

#include "tests/unit/raft-glue/replica_fixture.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void r1_no_message_leaves_before_term_and_vote_are_durable(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    fixture_receive(&f, 2, fixture_vote_request(2, 5, 1, 1));
    assert_int_equal(f.sent_count, 0);
    // Nor does a message of a later update.
    fixture_append(&f, 2, 5, 7, 5, 1, NULL, 0);
    assert_int_equal(f.sent_count, 0);
    fixture_write(&f);
    assert_int_equal(f.sent_count, 2);
    assert_int_equal(f.sent[0].message.type, RAFT_REQUEST_VOTE_RESULT);
    assert_true(f.sent[0].message.request_vote_result.vote_granted);
    assert_int_equal(f.sent[1].message.type, RAFT_APPEND_ENTRIES_RESULT);
    fixture_restart(&f);
    assert_int_equal(fixture_term(&f), 5);
    assert_int_equal(raft_voted_for(&f.replica->raft), 2);
    fixture_close(&f);
}

static void r3_a_change_is_recorded_under_its_own_index(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 4);
    const int roles[] = {RAFT_VOTER, RAFT_VOTER, RAFT_VOTER, RAFT_STANDBY};
    struct fixture_entry entries[] = {
        fixture_command(1),
        {.term = 1, .type = LOG_FRAME_CHANGE, .payload = fixture_membership(&f, roles, 4)},
        fixture_command(1),
    };
    fixture_append(&f, 2, 1, 1, 1, 1, entries, 3);
    assert_int_equal(segment_log_last_index(f.storage.log), 4);
    assert_int_equal(f.replica->raft.configuration_uncommitted_index, 3);
    fixture_write(&f);
    fixture_append(&f, 2, 1, 4, 1, 4, NULL, 0);
    assert_int_equal(f.replica->raft.configuration_uncommitted_index, 0);
    assert_int_equal(f.replica->raft.configuration_committed_index, 3);
    fixture_close(&f);
}

static void r4_an_older_change_is_settled_before_a_newer_one_is_fed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 4);
    const int standby[] = {RAFT_VOTER, RAFT_VOTER, RAFT_VOTER, RAFT_STANDBY};
    const int voter[] = {RAFT_VOTER, RAFT_VOTER, RAFT_VOTER, RAFT_VOTER};
    struct fixture_entry first = {
        .term = 1, .type = LOG_FRAME_CHANGE, .payload = fixture_membership(&f, standby, 4)};
    fixture_append(&f, 2, 1, 1, 1, 1, &first, 1);
    struct fixture_entry second = {
        .term = 1, .type = LOG_FRAME_CHANGE, .payload = fixture_membership(&f, voter, 4)};
    fixture_append(&f, 2, 1, 2, 1, 1, &second, 1);
    assert_int_equal(f.replica->raft.configuration_committed_index, 2);
    assert_int_equal(f.replica->raft.configuration_uncommitted_index, 3);
    fixture_write(&f);
    // A new leader without the second: back to the first, not to the beginning.
    struct fixture_entry other = fixture_command(2);
    fixture_append(&f, 3, 2, 2, 1, 1, &other, 1);
    assert_int_equal(f.replica->raft.configuration.n, 4);
    assert_int_equal(f.replica->raft.configuration.servers[3].role, RAFT_STANDBY);
    fixture_write(&f);
    fixture_close(&f);
}

static void r5_a_change_waits_for_an_entry_of_the_leaders_own_term(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 4);
    fixture_elect(&f);
    // C-Raft's whole log is committed, so it appends no barrier of its own: we do.
    struct log_entry entry;
    assert_true(segment_log_entry(f.storage.log, 2, &entry));
    assert_int_equal(entry.type, LOG_FRAME_BARRIER);
    const char *address = f.voters[3].address;
    assert_int_equal(replica_change(f.replica, 4, address, RAFT_STANDBY), STATUS_BUSY);
    assert_int_equal(replica_change(f.replica, 4, address, RAFT_STANDBY), STATUS_BUSY);
    assert_int_equal(segment_log_last_index(f.storage.log), 2); // Not one barrier per try.
    fixture_write(&f);
    fixture_append_result(&f, 2, 2);
    assert_int_equal(replica_change(f.replica, 4, address, RAFT_STANDBY), STATUS_OK);
    assert_true(segment_log_entry(f.storage.log, 3, &entry));
    assert_int_equal(entry.type, LOG_FRAME_CHANGE);
    assert_int_equal(replica_change(f.replica, 4, address, RAFT_VOTER), STATUS_BUSY);
    fixture_write(&f);
    fixture_close(&f);
}

static void r6_a_lone_voter_starts_in_a_new_term(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 1, 1);
    uint64_t term = fixture_term(&f);
    assert_int_equal(term, 2);
    assert_int_equal(replica_raft_state(f.replica), RAFT_LEADER);
    fixture_restart(&f);
    assert_int_equal(fixture_term(&f), term + 1);
    // And it was durable before the start.
    fixture_restart(&f);
    assert_int_equal(fixture_term(&f), term + 2);
    fixture_close(&f);
}

static void r6_a_lone_voter_that_lost_leadership_takes_a_new_term(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 1, 2);
    fixture_write(&f);
    struct raft_message request = fixture_vote_request(2, 9, 1, 1);
    request.request_vote.disrupt_leader = true;
    fixture_receive(&f, 2, request);
    assert_int_equal(replica_raft_state(f.replica), RAFT_FOLLOWER);
    assert_int_equal(fixture_term(&f), 9);
    fixture_write(&f);
    struct raft_message now = {.type = RAFT_TIMEOUT_NOW};
    now.timeout_now =
        (struct raft_timeout_now){.version = 1, .term = 9, .last_log_index = 1, .last_log_term = 1};
    fixture_receive(&f, 2, now);
    assert_int_equal(replica_raft_state(f.replica), RAFT_FOLLOWER);
    fixture_pass(&f, 2 * FIXTURE_E, false);
    assert_int_equal(replica_raft_state(f.replica), RAFT_FOLLOWER); // Not before it is durable.
    fixture_write(&f);
    assert_int_equal(replica_raft_state(f.replica), RAFT_LEADER);
    assert_int_equal(fixture_term(&f), 10);
    fixture_close(&f);
}

static void r7_a_stale_append_is_answered_without_a_claim(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    fixture_append(&f, 2, 5, 1, 1, 1, NULL, 0);
    fixture_write(&f);
    f.sent_count = 0;
    struct fixture_entry entry = fixture_command(1);
    fixture_append(&f, 3, 4, 1, 1, 1, &entry, 1);
    const struct replica_outbound *answer = fixture_sent(&f, RAFT_APPEND_ENTRIES_RESULT);
    assert_non_null(answer);
    assert_int_equal(answer->to, 3);
    assert_int_equal(answer->message.append_entries_result.term, 5);
    assert_int_equal(answer->message.append_entries_result.rejected, 0);
    assert_int_equal(answer->message.append_entries_result.last_log_index, 0);
    assert_int_equal(segment_log_last_index(f.storage.log), 1);
    fixture_close(&f);
}

static void r8_a_vote_result_reaches_only_a_candidate(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    fixture_append(&f, 2, 5, 1, 1, 1, NULL, 0);
    fixture_write(&f);
    uint64_t stepped = f.replica->raft.now;
    struct raft_message result = {.type = RAFT_REQUEST_VOTE_RESULT};
    result.request_vote_result = (struct raft_request_vote_result){.version = 2, .term = 6};
    f.now += 5;
    fixture_receive(&f, 3, result);
    assert_int_equal(f.replica->raft.now, stepped); // raft_step() was not even called.
    assert_int_equal(fixture_term(&f), 5);
    assert_int_equal(replica_raft_state(f.replica), RAFT_FOLLOWER);
    fixture_close(&f);
}

static void r9_a_denied_pre_vote_tells_of_a_higher_term(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    fixture_append(&f, 2, 7, 1, 1, 1, NULL, 0);
    fixture_write(&f);
    struct raft_message request = fixture_vote_request(3, 4, 1, 1);
    request.request_vote.pre_vote = true;
    fixture_receive(&f, 3, request);
    const struct replica_outbound *answer = fixture_sent(&f, RAFT_REQUEST_VOTE_RESULT);
    assert_non_null(answer);
    assert_false(answer->message.request_vote_result.vote_granted);
    assert_int_equal(answer->message.request_vote_result.term, 7);
    fixture_close(&f);
}

static void r10_a_superseded_write_is_not_reported(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    struct fixture_entry old[] = {fixture_command(1), fixture_command(1), fixture_command(1)};
    fixture_append(&f, 2, 1, 1, 1, 1, old, 3);
    struct replica_disk_job job;
    assert_true(replica_disk_take(f.replica, &job));
    struct fixture_entry new[] = {fixture_command(2), fixture_command(2)};
    fixture_append(&f, 3, 2, 2, 1, 1, new, 2);
    replica_disk_run(&job);
    f.sent_count = 0;
    replica_disk_done(f.replica, &job);
    assert_int_equal(f.replica->reported, 2);
    assert_int_equal(f.replica->raft.last_stored, 2);
    fixture_write(&f);
    assert_int_equal(f.replica->reported, 4);
    assert_int_equal(f.replica->raft.last_stored, 4);
    const struct replica_outbound *answer = fixture_sent(&f, RAFT_APPEND_ENTRIES_RESULT);
    assert_int_equal(answer->message.append_entries_result.last_log_index, 4);
    fixture_close(&f);
}

static void r11_what_is_committed_is_applied_only_when_it_is_durable_here(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    struct fixture_entry entries[] = {fixture_command(1), fixture_command(1)};
    fixture_append(&f, 2, 1, 1, 1, 3, entries, 2);
    assert_int_equal(replica_commit_index(f.replica), 3);
    assert_int_equal(f.applied_count, 0);
    fixture_write(&f);
    assert_int_equal(f.applied_count, 2);
    assert_int_equal(f.applied[1], 3);
    fixture_close(&f);
}

static void r12_the_commit_index_is_capped_and_never_goes_back(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    struct fixture_entry entries[] = {fixture_command(1), fixture_command(1), fixture_command(1)};
    fixture_append(&f, 2, 1, 1, 1, 10, entries, 3);
    fixture_write(&f);
    assert_int_equal(replica_commit_index(f.replica), 4);
    fixture_append(&f, 2, 1, 1, 1, 10, entries, 1); // Sent again, as an acknowledgement was lost.
    assert_int_equal(replica_commit_index(f.replica), 4);
    assert_int_equal(raft_commit_index(&f.replica->raft), 4);
    fixture_close(&f);
}

enum { MANY = COMPACT_EVERY + 100 };

/* Receive entries 2 .. MANY of term 1, all committed and durable. */
static void receive_many(struct fixture *f)
{
    for (uint64_t prev = 1; prev < MANY;) {
        struct fixture_entry entries[WIRE_ENTRIES_MAX];
        unsigned count = 0;
        while (count < WIRE_ENTRIES_MAX && prev + count < MANY) {
            entries[count++] = fixture_command(1);
        }
        fixture_append(f, 2, 1, prev, 1, prev + count, entries, count);
        fixture_write(f);
        f->sent_count = 0;
        prev += count;
    }
    assert_int_equal(replica_applied_index(f->replica), MANY);
}

static void r13_an_append_below_the_floor_is_anchored_at_the_snapshot(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    receive_many(&f);
    f.replica->floor = MANY - 50; // As after a removal of the log's front.
    replica_machine_durable(f.replica, MANY - 20);
    fixture_append(&f, 2, 1, MANY, 1, MANY, NULL, 0);
    assert_int_equal(f.replica->snapshot_index, MANY - 20);
    assert_int_equal(f.replica->raft.trail.offset, MANY - 50);
    f.sent_count = 0;
    struct fixture_entry entries[62];
    for (unsigned i = 0; i < 62; i++) {
        entries[i] = fixture_command(1);
    }
    // From far below the floor up to two entries that are new.
    fixture_append(&f, 2, 1, MANY - 60, 1, MANY, entries, 62);
    fixture_write(&f);
    assert_int_equal(segment_log_last_index(f.storage.log), MANY + 2);
    const struct replica_outbound *answer = fixture_sent(&f, RAFT_APPEND_ENTRIES_RESULT);
    assert_int_equal(answer->message.append_entries_result.rejected, 0);
    assert_int_equal(answer->message.append_entries_result.last_log_index, MANY + 2);
    fixture_close(&f);
}

static void r14_r15_install_snapshot_never_reaches_c_raft(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    struct raft_message message = {.type = RAFT_INSTALL_SNAPSHOT};
    message.install_snapshot =
        (struct raft_install_snapshot){.version = 1, .term = 3, .last_index = 50, .last_term = 2};
    fixture_receive(&f, 2, message);
    assert_int_equal(fixture_term(&f), 1);
    assert_int_equal(raft_last_index(&f.replica->raft), 1);
    assert_int_equal(replica_behind(f.replica),
                     50); // What we have stays; a copy is made beside it.
    fixture_close(&f);
}

static void r7_r15_a_snapshot_that_is_stale_or_known_changes_nothing(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    struct fixture_entry entry = fixture_command(4);
    fixture_append(&f, 2, 4, 1, 1, 2, &entry, 1);
    fixture_write(&f);
    f.sent_count = 0;
    struct raft_message message = {.type = RAFT_INSTALL_SNAPSHOT};
    message.install_snapshot =
        (struct raft_install_snapshot){.version = 1, .term = 3, .last_index = 50, .last_term = 2};
    fixture_receive(&f, 3, message);
    assert_int_equal(
        fixture_sent(&f, RAFT_APPEND_ENTRIES_RESULT)->message.append_entries_result.term, 4);
    message.install_snapshot =
        (struct raft_install_snapshot){.version = 1, .term = 4, .last_index = 2, .last_term = 4};
    fixture_receive(&f, 2, message);
    assert_int_equal(replica_behind(f.replica), 0);
    fixture_close(&f);
}

static void a_follower_below_the_log_is_offered_a_copy(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    receive_many(&f);
    f.replica->floor = MANY - 50; // As after a cut.
    replica_machine_durable(f.replica, MANY - 20);
    fixture_append(&f, 2, 1, MANY, 1, MANY, NULL, 0);
    fixture_elect(&f);
    f.sent_count = 0;
    // Its log ends at 5: C-Raft goes back there with each rejection, and has nothing for it.
    struct raft_message message = {.type = RAFT_APPEND_ENTRIES_RESULT};
    message.append_entries_result = (struct raft_append_entries_result){.version = 2,
                                                                        .term = fixture_term(&f),
                                                                        .rejected = MANY,
                                                                        .last_log_index = 5,
                                                                        .features = 1};
    fixture_receive(&f, 3, message);
    fixture_pass(&f, FIXTURE_E / 2, true);
    const struct replica_outbound *offer = fixture_sent(&f, RAFT_INSTALL_SNAPSHOT);
    assert_non_null(offer);
    assert_int_equal(offer->to, 3);
    assert_int_equal(offer->message.install_snapshot.last_index, MANY - 20);
    struct wire_header header = {.message = offer->message};
    uint8_t bytes[WIRE_HEADER_SIZE];
    wire_header_encode(&header, bytes);
    assert_int_equal(wire_header_decode(slice_of(bytes, sizeof bytes), &header), STATUS_OK);
    assert_int_equal(header.message.install_snapshot.last_index, MANY - 20);
    assert_int_equal(header.message.install_snapshot.last_term, 1);
    fixture_close(&f);
}

static void r16_a_snapshot_point_only_moves_forward(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    receive_many(&f);
    replica_machine_durable(f.replica, MANY - 10);
    fixture_append(&f, 2, 1, MANY, 1, MANY, NULL, 0);
    assert_int_equal(f.replica->raft.trail.snapshot.index, MANY - 10);
    assert_int_equal(f.replica->raft.trail.offset, 0); // The log still reaches back to 1.
    replica_machine_durable(f.replica, MANY - 30);
    fixture_append(&f, 2, 1, MANY, 1, MANY, NULL, 0);
    replica_machine_durable(f.replica, MANY);
    fixture_append(&f, 2, 1, MANY, 1, MANY, NULL, 0);
    assert_int_equal(f.replica->raft.trail.snapshot.index, MANY - 10); // Not yet worth another.
    fixture_close(&f);
}

static void r17_a_change_alters_one_server_and_keeps_the_order(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 4);
    fixture_elect(&f);
    assert_int_equal(fixture_propose(&f, 8), STATUS_OK);
    fixture_write(&f);
    fixture_append_result(&f, 2, segment_log_last_index(f.storage.log));
    assert_int_equal(replica_change(f.replica, 2, f.voters[1].address, RAFT_STANDBY), STATUS_OK);
    const struct raft_configuration *configuration = &f.replica->raft.configuration;
    assert_int_equal(configuration->n, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(configuration->servers[i].id, i + 1);
        assert_int_equal(configuration->servers[i].role, i == 1 ? RAFT_STANDBY : RAFT_VOTER);
    }
    // What changes nothing, or would take another one's address, is refused.
    assert_int_equal(replica_change(f.replica, 3, f.voters[2].address, RAFT_VOTER),
                     STATUS_INVALID_ARGUMENT);
    fixture_write(&f);
    fixture_append_result(&f, 3, segment_log_last_index(f.storage.log));
    assert_int_equal(replica_change(f.replica, 4, f.voters[2].address, RAFT_STANDBY),
                     STATUS_INVALID_ARGUMENT);
    fixture_close(&f);
}

static void r18_timeouts_fire_when_due_and_not_twice_within_two_milliseconds(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    fixture_write(&f);
    assert_true(replica_due_ms(f.replica) >= f.now + FIXTURE_E);
    replica_tick(f.replica); // Not due: nothing happens.
    assert_int_equal(replica_raft_state(f.replica), RAFT_FOLLOWER);
    f.now = replica_due_ms(f.replica);
    replica_tick(f.replica);
    assert_int_equal(replica_raft_state(f.replica), RAFT_CANDIDATE);
    // Even if C-Raft's timer lies in the past.
    f.now += 10 * FIXTURE_E;
    replica_tick(f.replica);
    uint64_t fired = f.replica->raft.election_timer_start;
    f.replica->raft.election_timer_start = 0;
    assert_true(raft_timeout(&f.replica->raft) < f.now);
    assert_int_equal(replica_due_ms(f.replica), f.now + TIMEOUT_GAP_MS);
    f.replica->raft.election_timer_start = fired;
    fixture_close(&f);
}

static void a_leader_without_a_majority_steps_down_soon(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    fixture_elect(&f);
    fixture_write(&f);
    fixture_append_result(&f, 2, segment_log_last_index(f.storage.log));
    fixture_append_result(&f, 3, segment_log_last_index(f.storage.log));
    uint64_t heard = f.now;
    while (replica_raft_state(f.replica) == RAFT_LEADER) {
        // Under load, which postpones heartbeats.
        assert_int_equal(fixture_propose(&f, 8), STATUS_OK);
        fixture_pass(&f, 1, true);
        f.sent_count = 0;
    }
    assert_in_range(f.now - heard, FIXTURE_E, FIXTURE_E + FIXTURE_E / 4 + 2);
    fixture_close(&f);
}

static void a_quorum_is_fresh_while_a_majority_answers(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 5, 5);
    assert_false(replica_quorum_fresh(f.replica));
    fixture_elect(&f);
    fixture_write(&f);
    assert_false(replica_quorum_fresh(f.replica)); // Votes are no answers to a leader.
    fixture_append_result(&f, 2, 2);
    fixture_append_result(&f, 2, 2);
    assert_false(replica_quorum_fresh(f.replica)); // Two of five.
    f.now += FIXTURE_E / 2;
    fixture_append_result(&f, 5, 2);
    assert_true(replica_quorum_fresh(f.replica));
    f.now += FIXTURE_E / 2 - 1;
    assert_true(replica_quorum_fresh(f.replica));
    f.now++;
    assert_false(replica_quorum_fresh(f.replica)); // 2 has been silent for too long.
    fixture_close(&f);
}

static void r19_a_member_that_may_not_vote_answers_requests_for_votes(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    const int roles[] = {RAFT_STANDBY, RAFT_VOTER, RAFT_VOTER};
    struct fixture_entry change = {
        .term = 1, .type = LOG_FRAME_CHANGE, .payload = fixture_membership(&f, roles, 3)};
    fixture_append(&f, 2, 1, 1, 1, 1, &change, 1);
    fixture_write(&f);
    f.now += 2 * FIXTURE_E; // No word of the leader.
    fixture_receive(&f, 3, fixture_vote_request(3, 2, 2, 1));
    fixture_write(&f);
    const struct replica_outbound *answer = fixture_sent(&f, RAFT_REQUEST_VOTE_RESULT);
    assert_non_null(answer);
    assert_true(answer->message.request_vote_result.vote_granted);
    assert_int_equal(raft_role(&f.replica->raft), RAFT_STANDBY); // Only for that step.
    fixture_close(&f);
}

static void r20_a_leader_syncs_a_change_before_it_is_sent(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 4);
    fixture_elect(&f);
    assert_int_equal(fixture_propose(&f, 8), STATUS_OK);
    fixture_write(&f);
    fixture_append_result(&f, 2, 2);
    fixture_append_result(&f, 3, 2);
    f.sent_count = 0;
    assert_int_equal(replica_change(f.replica, 4, f.voters[3].address, RAFT_STANDBY), STATUS_OK);
    assert_int_equal(f.sent_count, 0);
    fixture_write(&f);
    const struct replica_outbound *append = fixture_sent(&f, RAFT_APPEND_ENTRIES);
    assert_non_null(append);
    // It never demotes or removes itself.
    assert_int_equal(replica_change(f.replica, 1, f.voters[0].address, RAFT_STANDBY),
                     STATUS_INVALID_ARGUMENT);
    assert_int_equal(replica_change(f.replica, 1, NULL, RAFT_STANDBY), STATUS_INVALID_ARGUMENT);
    fixture_close(&f);
}

static void r21_no_tracer_no_capacity_threshold_and_a_seed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    assert_null(f.replica->raft.tracer);
    assert_int_equal(f.replica->raft.capacity_threshold, 0);
    assert_int_not_equal(f.replica->raft.random, 0);
    assert_int_equal(f.replica->raft.max_inflight_entries, 128);
    assert_true(f.replica->raft.pre_vote);
    fixture_close(&f);
}

static void *no_memory(void *data, size_t size)
{
    (void)data;
    (void)size;
    return NULL;
}

static void *no_zeroed_memory(void *data, size_t count, size_t size)
{
    (void)data;
    (void)count;
    (void)size;
    return NULL;
}

static void *no_moved_memory(void *data, void *memory, size_t size)
{
    (void)data;
    (void)memory;
    (void)size;
    return NULL;
}

static void release(void *data, void *memory)
{
    (void)data;
    free(memory);
}

static void r22_out_of_memory_inside_c_raft_stops_the_process(void **state)
{
    (void)state;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        static struct fixture f;
        fixture_open(&f, 3, 3);
        static struct raft_heap heap = {
            .malloc = no_memory,
            .free = release,
            .calloc = no_zeroed_memory,
            .realloc = no_moved_memory,
        };
        if (freopen("/dev/null", "w", stderr) == NULL) {
            _exit(1);
        }
        raft_heap_set(&heap);
        struct fixture_entry entry = fixture_command(1);
        fixture_append(&f, 2, 1, 1, 1, 1, &entry, 1);
        _exit(0);
    }
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result));
    assert_int_equal(WEXITSTATUS(result), 70);
}

/* Whether a copy is needed, and how far it must reach at least. */
static void what_is_lacking_is_looked_at_anew_and_an_entry_that_conflicts_is_lacking(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    struct fixture_entry entries[] = {fixture_command(2), fixture_command(2), fixture_command(2)};
    fixture_append(&f, 2, 2, 1, 1, 1, entries, 3); // Entries 2 to 4, not committed.
    fixture_write(&f);
    struct raft_message offer = {.type = RAFT_INSTALL_SNAPSHOT};
    offer.install_snapshot =
        (struct raft_install_snapshot){.version = 1, .term = 3, .last_index = 3, .last_term = 3};
    fixture_receive(&f, 3, offer);
    assert_int_equal(replica_behind(f.replica), 3);
    // A leader whose log goes further back has meanwhile sent what was committed there.
    struct fixture_entry other[] = {fixture_command(3), fixture_command(3)};
    fixture_append(&f, 3, 3, 1, 1, 3, other, 2);
    assert_int_equal(replica_behind(f.replica), 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(r1_no_message_leaves_before_term_and_vote_are_durable),
        cmocka_unit_test(r3_a_change_is_recorded_under_its_own_index),
        cmocka_unit_test(r4_an_older_change_is_settled_before_a_newer_one_is_fed),
        cmocka_unit_test(r5_a_change_waits_for_an_entry_of_the_leaders_own_term),
        cmocka_unit_test(r6_a_lone_voter_starts_in_a_new_term),
        cmocka_unit_test(r6_a_lone_voter_that_lost_leadership_takes_a_new_term),
        cmocka_unit_test(r7_a_stale_append_is_answered_without_a_claim),
        cmocka_unit_test(r8_a_vote_result_reaches_only_a_candidate),
        cmocka_unit_test(r9_a_denied_pre_vote_tells_of_a_higher_term),
        cmocka_unit_test(r10_a_superseded_write_is_not_reported),
        cmocka_unit_test(r11_what_is_committed_is_applied_only_when_it_is_durable_here),
        cmocka_unit_test(r12_the_commit_index_is_capped_and_never_goes_back),
        cmocka_unit_test(r13_an_append_below_the_floor_is_anchored_at_the_snapshot),
        cmocka_unit_test(r14_r15_install_snapshot_never_reaches_c_raft),
        cmocka_unit_test(what_is_lacking_is_looked_at_anew_and_an_entry_that_conflicts_is_lacking),
        cmocka_unit_test(r7_r15_a_snapshot_that_is_stale_or_known_changes_nothing),
        cmocka_unit_test(a_follower_below_the_log_is_offered_a_copy),
        cmocka_unit_test(r16_a_snapshot_point_only_moves_forward),
        cmocka_unit_test(r17_a_change_alters_one_server_and_keeps_the_order),
        cmocka_unit_test(r18_timeouts_fire_when_due_and_not_twice_within_two_milliseconds),
        cmocka_unit_test(a_leader_without_a_majority_steps_down_soon),
        cmocka_unit_test(a_quorum_is_fresh_while_a_majority_answers),
        cmocka_unit_test(r19_a_member_that_may_not_vote_answers_requests_for_votes),
        cmocka_unit_test(r20_a_leader_syncs_a_change_before_it_is_sent),
        cmocka_unit_test(r21_no_tracer_no_capacity_threshold_and_a_seed),
        cmocka_unit_test(r22_out_of_memory_inside_c_raft_stops_the_process),
    };
    return cmocka_run_group_tests_name("replica_rules", tests, NULL, NULL);
}
