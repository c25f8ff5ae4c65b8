/* The life of a transaction through the broker core: half, decision, check-back, expiry, and the
 * same through a follower. */
#include "tests/support/test.h"

#include "common/remoting/properties.h"
#include "tests/support/broker_harness.h"

#include <inttypes.h>
#include <stdio.h>

static const char producer_heartbeat[] =
    "{\"clientID\":\"10.0.0.9@1\",\"producerDataSet\":[{\"groupName\":\"P\"}],"
    "\"consumerDataSet\":[]}";

struct half {
    char position[24];
    char offset[24];
};

static void send_half(struct harness_pipe *pipe, const char *unique_key, const char *more)
{
    char properties[256];
    snprintf(properties, sizeof properties,
             "UNIQ_KEY\001%s\002TRAN_MSG\001true\002PGROUP\001P\002%s", unique_key, more);
    harness_send(pipe, 310, 1, 0, slice_text("pay 100"), "a", "P", "b", "T", "c", "TBW102", "d",
                 "4", "e", "2", "f", "4", "g", "1700000000001", "h", "0", "i", properties, NULL);
    harness_commit(pipe->replica->harness);
}

static struct half receive_half(struct harness_pipe *pipe)
{
    struct command response;
    struct half half;
    struct slice id;
    struct host host;
    int64_t position;
    int64_t offset;
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 0);
    assert_true(command_find(&response, "msgId", &id));
    assert_int_equal(offset_message_id_parse(id, &host, &position), STATUS_OK);
    assert_int_equal(command_i64(&response, "queueOffset", true, &offset), STATUS_OK);
    snprintf(half.position, sizeof half.position, "%" PRId64, position);
    snprintf(half.offset, sizeof half.offset, "%" PRId64, offset);
    return half;
}

static struct half make_half(struct harness_pipe *pipe, const char *unique_key)
{
    send_half(pipe, unique_key, "");
    return receive_half(pipe);
}

/* END_TRANSACTION, two-way so that the outcome shows. */
static int32_t end(struct harness_pipe *pipe, const struct half *half, const char *decision,
                   const char *group)
{
    struct command response;
    harness_send(pipe, 37, 2, 0, slice_of(NULL, 0), "producerGroup", group, "tranStateTableOffset",
                 half->offset, "commitLogOffset", half->position, "commitOrRollback", decision,
                 "msgId", "U", NULL);
    harness_commit(pipe->replica->harness);
    if (!harness_receive(pipe, &response)) {
        return -1;
    }
    assert_int_equal(response.opaque, 2);
    return response.code;
}

/* How many messages a consumer can see in queue 2; the last one is decoded into *message. */
static int64_t visible(struct harness_pipe *pipe, struct message *message)
{
    struct command response;
    int64_t next = 0;
    harness_send(pipe, 11, 3, 0, slice_of(NULL, 0), "consumerGroup", "G", "topic", "T", "queueId",
                 "2", "queueOffset", "0", "maxMsgNums", "32", "sysFlag", "4", "commitOffset", "0",
                 "subscription", "*", NULL);
    assert_true(harness_receive(pipe, &response));
    if (response.code == 0) {
        assert_int_equal(command_i64(&response, "nextBeginOffset", true, &next), STATUS_OK);
        for (size_t at = 0, size; at < response.body.size; at += size) {
            assert_int_equal(message_decode(slice_from(response.body, at), message, &size),
                             STATUS_OK);
        }
    } else {
        assert_true(response.code == 19 || response.code == 17);
    }
    return next;
}

static void connect_producer(struct harness_pipe *pipe)
{
    struct command response;
    harness_send(pipe, 34, 9, 0, slice_text(producer_heartbeat), NULL);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 0);
}

static void a_half_is_never_visible_a_commit_once_a_rollback_never(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct message message;
    struct slice value;
    struct half kept = make_half(pipe, "U1");
    struct half dropped = make_half(pipe, "U2");
    assert_int_equal(visible(pipe, &message), 0);
    assert_int_equal(end(pipe, &kept, "8", "P"), 0);
    assert_int_equal(end(pipe, &dropped, "12", "P"), 0);
    assert_int_equal(visible(pipe, &message), 1);
    // What a consumer of RocketMQ sees on a committed message.
    char position[24];
    snprintf(position, sizeof position, "%" PRId64, message.prepared_offset);
    assert_string_equal(position, kept.position);
    assert_true(message.physical_offset > message.prepared_offset);
    assert_int_equal(message.sys_flag & SYS_FLAG_TRANSACTION_MASK, SYS_FLAG_COMMIT);
    const char *const names[] = {"TRAN_MSG", "REAL_TOPIC", "REAL_QID",
                                 "PGROUP",   "UNIQ_KEY",   "__transactionId__"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_true(properties_find(message.properties, names[i], &value));
    }
    assert_true(slice_equals_text(value, "U1"));
    // Its own log position resolves to the same message.
    struct command response;
    struct message viewed;
    snprintf(position, sizeof position, "%" PRId64, message.physical_offset);
    harness_send(pipe, 33, 5, 0, slice_of(NULL, 0), "offset", position, NULL);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 0);
    harness_message(response.body, &viewed);
    assert_true(slice_equals_text(viewed.body, "pay 100"));
    assert_int_equal(viewed.sys_flag & SYS_FLAG_TRANSACTION_MASK, SYS_FLAG_COMMIT);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void the_first_decision_stands_whatever_comes_later(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct message message;
    struct half half = make_half(pipe, "U1");
    struct half foreign = {.position = "4711", .offset = "0"};
    struct half wrong = half;
    snprintf(wrong.offset, sizeof wrong.offset, "99");
    assert_int_equal(end(pipe, &half, "8", "Q"), 1);  // Another producer group.
    assert_int_equal(end(pipe, &wrong, "8", "P"), 1); // Another half's offset.
    assert_int_equal(end(pipe, &foreign, "8", "P"), 1);
    assert_int_equal(end(pipe, &half, "0", "P"), -1); // Unknown: no answer, nothing recorded.
    assert_int_equal(end(pipe, &half, "7", "P"), 29);
    assert_int_equal(visible(pipe, &message), 0);
    assert_int_equal(end(pipe, &half, "8", "P"), 0);
    assert_int_equal(end(pipe, &half, "8", "P"), 0);  // Again: the same answer, no effect.
    assert_int_equal(end(pipe, &half, "12", "P"), 1); // Contrary: refused.
    assert_int_equal(visible(pipe, &message), 1);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void a_half_sent_again_is_the_same_transaction(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct message message;
    struct half first = make_half(pipe, "U1");
    struct half again = make_half(pipe, "U1");
    assert_string_equal(first.position, again.position);
    assert_string_equal(first.offset, again.offset);
    assert_int_equal(end(pipe, &again, "8", "P"), 0);
    assert_int_equal(visible(pipe, &message), 1);
    harness_disconnect(pipe);
    harness_free(harness);
}

/* The check for a half, with the answer's fields. */
static bool receive_check(struct harness_pipe *pipe, struct half *half)
{
    struct command check;
    struct slice text;
    struct message message;
    if (!harness_receive(pipe, &check)) {
        return false;
    }
    assert_int_equal(check.code, 39);
    assert_int_equal(check.flag, COMMAND_FLAG_ONEWAY);
    assert_true(command_find(&check, "commitLogOffset", &text));
    snprintf(half->position, sizeof half->position, "%.*s", SLICE_ARGS(text));
    assert_true(command_find(&check, "tranStateTableOffset", &text));
    snprintf(half->offset, sizeof half->offset, "%.*s", SLICE_ARGS(text));
    harness_message(check.body, &message);
    assert_true(slice_equals_text(message.topic, "T"));
    assert_int_equal(message.queue_id, 2);
    assert_true(properties_find(message.properties, "PGROUP", &text));
    assert_true(command_find(&check, "transactionId", &text));
    return true;
}

static void an_undecided_half_is_asked_about_until_it_is_decided(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct message message;
    connect_producer(pipe);
    struct half half = make_half(pipe, "U1");
    struct half checked;
    harness_advance(harness, 5500);
    assert_false(receive_check(pipe, &checked)); // Not before the timeout of 6 s.
    harness_advance(harness, 1000);
    assert_true(receive_check(pipe, &checked));
    assert_string_equal(checked.position, half.position); // Offsets never change.
    assert_string_equal(checked.offset, half.offset);
    harness_advance(harness, 29000);
    assert_false(receive_check(pipe, &checked));
    harness_advance(harness, 2000);
    assert_true(receive_check(pipe, &checked));
    const struct transaction *transaction = machine_transaction_find(
        harness_leader(harness)->machine, strtoull(half.position, NULL, 10));
    assert_int_equal(transaction->attempts, 2);
    assert_int_equal(end(pipe, &checked, "8", "P"), 0);
    assert_int_equal(visible(pipe, &message), 1);
    harness_advance(harness, 60000);
    assert_false(receive_check(pipe, &checked));
    harness_disconnect(pipe);
    harness_free(harness);
}

static void without_a_producer_no_attempt_is_used_up(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct half half = make_half(pipe, "U1");
    struct half checked;
    harness_advance(harness, 16 * 30000); // Longer than attempts x interval.
    const struct transaction *transaction = machine_transaction_find(
        harness_leader(harness)->machine, strtoull(half.position, NULL, 10));
    assert_int_equal(transaction->attempts, 0);
    assert_int_equal(transaction->state, TRANSACTION_PENDING);
    connect_producer(pipe);
    harness_advance(harness, 100); // Asked as soon as somebody is there.
    assert_true(receive_check(pipe, &checked));
    assert_int_equal(transaction->attempts, 1);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void a_check_that_cannot_be_handed_out_does_not_count(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    connect_producer(pipe);
    struct half half = make_half(pipe, "U1");
    const struct transaction *transaction = machine_transaction_find(
        harness_leader(harness)->machine, strtoull(half.position, NULL, 10));
    pipe->congested = true;
    harness_advance(harness, 10000);
    assert_int_equal(transaction->attempts, 0);
    pipe->congested = false;
    harness_leader(harness)->fresh = false; // Maybe deposed: asks nobody.
    harness_advance(harness, 10000);
    assert_int_equal(transaction->attempts, 0);
    harness_leader(harness)->fresh = true;
    // Its connection fills up while the half is being read.
    harness->block_reads = true;
    harness_advance(harness, 100);
    assert_int_equal(harness->blocked_count, 1);
    pipe->congested = true;
    harness_run_reads(harness);
    harness_commit(harness);
    assert_int_equal(transaction->attempts, 0);
    harness->block_reads = false;
    pipe->congested = false;
    harness_advance(harness, 100);
    assert_int_equal(transaction->attempts, 1);
    harness_disconnect(pipe);
    harness_free(harness);
}

/* Nobody committed it, and it does not look so; it is found by its id, and can be sent back. */
static void expect_given_up(struct harness_pipe *pipe, const struct half *half)
{
    struct command response;
    struct message message;
    struct message viewed;
    char position[24];
    harness_send(pipe, 11, 4, 0, slice_of(NULL, 0), "consumerGroup", "G", "topic",
                 "TRANS_CHECK_MAX_TIME_TOPIC", "queueId", "0", "queueOffset", "0", "maxMsgNums",
                 "32", "sysFlag", "4", "commitOffset", "0", "subscription", "*", NULL);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 0);
    harness_message(response.body, &message);
    assert_int_equal(message.sys_flag & SYS_FLAG_TRANSACTION_MASK, 0);
    assert_int_equal(message.prepared_offset, 0);
    assert_true(message.physical_offset > strtoll(half->position, NULL, 10));
    snprintf(position, sizeof position, "%" PRId64, message.physical_offset);
    harness_send(pipe, 33, 5, 0, slice_of(NULL, 0), "offset", position, NULL);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 0);
    harness_message(response.body, &viewed);
    assert_true(slice_equals_text(viewed.body, "pay 100"));
    assert_int_equal(viewed.queue_offset, 0);
    assert_int_equal(viewed.sys_flag & SYS_FLAG_TRANSACTION_MASK, 0);
    assert_int_equal(viewed.prepared_offset, 0);
    harness_send(pipe, 36, 6, 0, slice_of(NULL, 0), "offset", position, "group", "G", "delayLevel",
                 "1", "originMsgId", "U1", "originTopic", "TRANS_CHECK_MAX_TIME_TOPIC",
                 "maxReconsumeTimes", "16", NULL);
    harness_commit(pipe->replica->harness);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 0);
}

static void after_the_last_check_it_expires_visibly_and_can_be_settled(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct machine *machine = harness_leader(harness)->machine;
    struct message message;
    struct command response;
    struct half checked;
    int checks = 0;
    connect_producer(pipe);
    struct half half = make_half(pipe, "U1");
    for (int i = 0; i < 20; i++) {
        harness_advance(harness, 30000);
        while (receive_check(pipe, &checked)) {
            checks++;
        }
        connect_producer(pipe); // A client without heartbeats would be forgotten.
    }
    assert_int_equal(checks, 15);
    uint64_t position = strtoull(half.position, NULL, 10);
    assert_int_equal(machine_transaction_find(machine, position)->state, TRANSACTION_EXPIRED);
    const struct queue *queue =
        machine_queue_find(machine, slice_text("TRANS_CHECK_MAX_TIME_TOPIC"), 0);
    assert_int_equal(queue->offset_next, 1);
    expect_given_up(pipe, &half);
    harness_send(pipe, 7110, 6, 0, slice_of(NULL, 0), "state", "expired", NULL);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 0);
    assert_non_null(memmem(response.body.data, response.body.size, "\"transactionId\":\"U1\"", 20));
    harness_send(pipe, 7112, 7, 0, slice_of(NULL, 0), "position", half.position, "action", "commit",
                 NULL);
    harness_commit(harness);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 0);
    assert_int_equal(visible(pipe, &message), 1);
    assert_int_equal(message.sys_flag & SYS_FLAG_TRANSACTION_MASK, SYS_FLAG_COMMIT);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void a_half_that_is_too_old_is_given_up_though_nobody_could_be_asked(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    harness_leader(harness)->settings.transaction_age_max_ms = 60000;
    struct half half = make_half(pipe, "U1"); // Its producer is gone.
    const struct transaction *transaction = machine_transaction_find(
        harness_leader(harness)->machine, strtoull(half.position, NULL, 10));
    harness_advance(harness, 59000);
    assert_int_equal(transaction->state, TRANSACTION_PENDING);
    harness_advance(harness, 2000);
    assert_int_equal(transaction->state, TRANSACTION_EXPIRED);
    assert_int_equal(transaction->attempts, 0);
    assert_true(transaction->expired_by_age);
    harness_disconnect(pipe);
    harness_free(harness);
}

/* The replica takes another role. */
static void become(struct harness_replica *replica, enum replica_role role, uint64_t term,
                   uint64_t leader_id)
{
    struct replica_state state = {.role = role, .term = term, .leader_id = leader_id};
    broker_on_state(&replica->broker, &state);
}

static void recheck(struct harness_pipe *pipe, const struct half *half)
{
    struct command response;
    harness_send(pipe, 7112, 7, 0, slice_of(NULL, 0), "position", half->position, "action",
                 "recheck", NULL);
    harness_commit(pipe->replica->harness);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 0);
}

static void the_age_of_a_half_that_is_checked_anew_begins_anew(void **state)
{
    (void)state;
    struct harness *harness = harness_new(3);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    for (size_t i = 0; i < harness->replica_count; i++) {
        harness->replicas[i].settings.transaction_age_max_ms = 60000;
    }
    struct half half = make_half(pipe, "U1");
    uint64_t position = strtoull(half.position, NULL, 10);
    const struct transaction *transaction =
        machine_transaction_find(harness_leader(harness)->machine, position);
    harness_advance(harness, 61000);
    assert_int_equal(transaction->state, TRANSACTION_EXPIRED);
    recheck(pipe, &half);
    harness_advance(harness, 20000);
    assert_int_equal(transaction->state, TRANSACTION_PENDING);
    // So it is under the next leader.
    struct harness_replica *next = &harness->replicas[1];
    become(harness_leader(harness), REPLICA_FOLLOWER, 2, 2);
    become(&harness->replicas[2], REPLICA_FOLLOWER, 2, 2);
    become(next, REPLICA_LEADER, 2, 2);
    harness_advance(harness, 20000);
    transaction = machine_transaction_find(next->machine, position);
    assert_int_equal(transaction->state, TRANSACTION_PENDING);
    // Its producer is asked, and an answer that says nothing new is no reason to give up.
    struct half checked;
    struct harness_pipe *producer = harness_connect(next, 5001);
    connect_producer(producer);
    harness_advance(harness, 1000);
    assert_true(receive_check(producer, &checked));
    assert_string_equal(checked.position, half.position);
    harness_advance(harness, 18000);
    assert_int_equal(transaction->state, TRANSACTION_PENDING);
    harness_advance(harness, 2000);
    assert_int_equal(transaction->state, TRANSACTION_EXPIRED);
    assert_true(transaction->expired_by_age);
    harness_disconnect(producer);
    harness_disconnect(pipe);
    harness_free(harness);
}

/* After a start those that are pending are in the order in which they were sent. */
static void one_that_is_checked_anew_does_not_keep_others_from_growing_old(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_replica *leader = harness_leader(harness);
    struct harness_pipe *pipe = harness_connect(leader, 5000);
    leader->settings.transaction_age_max_ms = 60000;
    struct half first = make_half(pipe, "U1");
    harness_advance(harness, 30000);
    struct half second = make_half(pipe, "U2");
    harness_advance(harness, 31000);
    recheck(pipe, &first);
    harness_reopen(leader);
    harness_advance(harness, 40000);
    const struct transaction *transaction =
        machine_transaction_find(leader->machine, strtoull(first.position, NULL, 10));
    assert_int_equal(transaction->state, TRANSACTION_PENDING);
    transaction = machine_transaction_find(leader->machine, strtoull(second.position, NULL, 10));
    assert_int_equal(transaction->state, TRANSACTION_EXPIRED);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void immunity_delays_the_first_check(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct half checked;
    connect_producer(pipe);
    send_half(pipe, "U1", "CHECK_IMMUNITY_TIME_IN_SECONDS\00160\002");
    receive_half(pipe);
    harness_advance(harness, 59000);
    assert_false(receive_check(pipe, &checked));
    harness_advance(harness, 2000);
    assert_true(receive_check(pipe, &checked));
    harness_disconnect(pipe);
    harness_free(harness);
}

/* --- For people --------------------------------------------------------------------------- */

/* A page of the list, whose positions must rise; then *after is the last one. */
static size_t list_page(struct harness_pipe *pipe, const char *state, char after[24], bool *more)
{
    static const char field[] = "\"position\":";
    struct command response;
    size_t count = 0;
    harness_send(pipe, 7110, 6, 0, slice_of(NULL, 0), "state", state, "max", "2", "after", after,
                 NULL);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 0);
    *more = memmem(response.body.data, response.body.size, "\"more\":true", 11) != NULL;
    struct slice left = response.body;
    for (const uint8_t *at; (at = memmem(left.data, left.size, field, sizeof field - 1)) != NULL;
         count++) {
        char digits[24] = "";
        left = slice_from(left, (size_t)(at - left.data) + sizeof field - 1);
        memcpy(digits, left.data, left.size < 23 ? left.size : 23);
        int64_t position = strtoll(digits, NULL, 10);
        assert_true(position > strtoll(after, NULL, 10));
        snprintf(after, 24, "%" PRId64, position);
    }
    return count;
}

/* Whatever the order in which transactions got into their state, pages neither leave one out nor
 * repeat one. */
static void pages_of_a_list_go_by_position(void **state)
{
    (void)state;
    enum { COUNT = 5 };
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct half halves[COUNT];
    for (int i = 0; i < COUNT; i++) {
        char unique_key[8];
        snprintf(unique_key, sizeof unique_key, "U%d", i);
        halves[i] = make_half(pipe, unique_key);
    }
    const int order[COUNT] = {4, 2, 3, 0, 1};
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(end(pipe, &halves[order[i]], "8", "P"), 0);
    }
    char after[24] = "-1";
    bool more = false;
    assert_int_equal(list_page(pipe, "committed", after, &more), 2);
    assert_true(more);
    assert_string_equal(after, halves[1].position);
    assert_int_equal(list_page(pipe, "committed", after, &more), 2);
    assert_true(more);
    assert_string_equal(after, halves[3].position);
    assert_int_equal(list_page(pipe, "committed", after, &more), 1);
    assert_false(more);
    assert_string_equal(after, halves[4].position);
    assert_int_equal(list_page(pipe, "pending", after, &more), 0);
    assert_false(more);
    harness_disconnect(pipe);
    harness_free(harness);
}

/* --- Through a follower ------------------------------------------------------------------- */

static void a_follower_takes_halves_and_decisions_and_relays_checks(void **state)
{
    (void)state;
    struct harness *harness = harness_new(3);
    struct harness_replica *follower = &harness->replicas[1];
    struct command response;
    struct message message;
    struct half checked;
    harness_link(follower);
    struct harness_pipe *pipe = harness_connect(follower, 5000);
    harness_send(pipe, 34, 9, 0, slice_text(producer_heartbeat), NULL);
    harness_exchange(harness);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 0);
    struct half half = make_half(pipe, "U1");
    harness_advance(harness, 7000);
    assert_true(receive_check(pipe, &checked)); // The leader asks through the follower.
    assert_string_equal(checked.position, half.position);
    assert_int_equal(end(pipe, &checked, "8", "P"), 0);
    assert_int_equal(visible(pipe, &message), 1); // Served by the follower itself.
    assert_int_equal(message.store_host.address, 0x0A000002);
    // All replicas have the same state.
    uint64_t hash = machine_hash(harness->replicas[0].machine);
    assert_true(machine_hash(harness->replicas[1].machine) == hash);
    assert_true(machine_hash(harness->replicas[2].machine) == hash);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void without_a_leader_requests_wait_and_are_then_refused_with_14(void **state)
{
    (void)state;
    struct harness *harness = harness_new(3);
    struct harness_replica *follower = &harness->replicas[1];
    struct harness_pipe *pipe = harness_connect(follower, 5000);
    struct command response;
    send_half(pipe, "U1", "");
    harness_send(pipe, 30, 7, 0, slice_of(NULL, 0), "topic", "T", "queueId", "0", NULL);
    harness_advance(harness, 900);
    assert_false(harness_receive(pipe, &response));
    harness_advance(harness, 300);
    for (int i = 0; i < 2; i++) {
        struct slice hint;
        assert_true(harness_receive(pipe, &response));
        assert_int_equal(response.code, 14);
        assert_true(command_find(&response, "leaderHint", &hint));
        assert_true(slice_equals_text(hint, "10.0.0.1:10911"));
    }
    // In time, the same requests go through.
    send_half(pipe, "U2", "");
    harness_send(pipe, 30, 8, 0, slice_of(NULL, 0), "topic", "T", "queueId", "0", NULL);
    harness_link(follower);
    harness_commit(harness);
    for (int i = 0; i < 2; i++) {
        assert_true(harness_receive(pipe, &response));
        assert_int_equal(response.code, 0);
    }
    harness_disconnect(pipe);
    harness_free(harness);
}

static void a_batch_refused_by_a_deposed_leader_goes_to_the_next(void **state)
{
    (void)state;
    struct harness *harness = harness_new(3);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct command response;
    send_half(pipe, "U0", "");
    receive_half(pipe);
    // The leader has no room: the batch stays open. Then it is deposed, and elected again.
    harness_leader(harness)->room = false;
    send_half(pipe, "U1", "");
    assert_false(harness_receive(pipe, &response));
    struct replica_state state_now = {.role = REPLICA_FOLLOWER, .term = 2, .leader_id = 0};
    broker_on_state(&harness_leader(harness)->broker, &state_now);
    harness_leader(harness)->room = true;
    harness_commit(harness);
    assert_false(harness_receive(pipe, &response));
    state_now = (struct replica_state){.role = REPLICA_LEADER, .term = 3, .leader_id = 1};
    broker_on_state(&harness_leader(harness)->broker, &state_now);
    harness_commit(harness);
    receive_half(pipe); // It never knew.
    harness_disconnect(pipe);
    harness_free(harness);
}

static void a_check_that_is_due_at_a_failover_is_asked_by_the_next_leader(void **state)
{
    (void)state;
    struct harness *harness = harness_new(3);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    connect_producer(pipe);
    struct half half = make_half(pipe, "U1");
    struct half checked;
    harness_advance(harness, 6500);
    assert_true(receive_check(pipe, &checked));
    harness_advance(harness, 29000); // The second one is due in a moment.
    become(harness_leader(harness), REPLICA_FOLLOWER, 2, 0);
    harness_advance(harness, 5000);
    assert_false(receive_check(pipe, &checked)); // Nobody leads, nobody asks.
    // Another replica takes over; the producer connects there.
    struct harness_replica *next = &harness->replicas[1];
    become(harness_leader(harness), REPLICA_FOLLOWER, 3, 2);
    become(&harness->replicas[2], REPLICA_FOLLOWER, 3, 2);
    become(next, REPLICA_LEADER, 3, 2);
    struct harness_pipe *there = harness_connect(next, 5001);
    connect_producer(there);
    harness_advance(harness, 1000);
    assert_true(receive_check(there, &checked));
    assert_string_equal(checked.position, half.position);
    assert_string_equal(checked.offset, half.offset);
    const struct transaction *transaction =
        machine_transaction_find(next->machine, strtoull(half.position, NULL, 10));
    assert_int_equal(transaction->attempts, 2); // The first one was not forgotten.
    assert_int_equal(end(there, &checked, "8", "P"), 0);
    harness_disconnect(pipe);
    harness_disconnect(there);
    harness_free(harness);
}

static void an_end_that_names_another_transaction_decides_nothing(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct message message;
    struct half first = make_half(pipe, "U1");
    struct half second = make_half(pipe, "U2");
    // A delayed END mixes up two: the position of the one, the offset of the other.
    struct half mixed = second;
    memcpy(mixed.offset, first.offset, sizeof mixed.offset);
    assert_int_equal(end(pipe, &mixed, "8", "P"), 1);
    assert_int_equal(visible(pipe, &message), 0);
    // And one for a half that no log has: its leader died before it was synced anywhere.
    struct half lost = {"987654", "7"};
    assert_int_equal(end(pipe, &lost, "8", "P"), 1);
    assert_int_equal(visible(pipe, &message), 0);
    // Decided, and told again later: the first stands, and it is said once.
    assert_int_equal(end(pipe, &first, "8", "P"), 0);
    assert_int_equal(end(pipe, &first, "8", "P"), 0);
    assert_int_equal(end(pipe, &second, "12", "P"), 0);
    assert_int_equal(end(pipe, &first, "8", "P"), 0);
    assert_int_equal(visible(pipe, &message), 1);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void a_producers_clock_decides_nothing(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct half checked;
    connect_producer(pipe);
    static const char *const born[] = {"1", "99999999999999"}; // 1970, and the year 5138.
    for (int i = 0; i < 2; i++) {
        char properties[128];
        snprintf(properties, sizeof properties,
                 "UNIQ_KEY\001B%d\002TRAN_MSG\001true\002PGROUP\001P\002", i);
        harness_send(pipe, 310, 1, 0, slice_text("pay"), "a", "P", "b", "T", "c", "TBW102", "d",
                     "4", "e", "2", "f", "4", "g", born[i], "h", "0", "i", properties, NULL);
        harness_commit(harness);
        receive_half(pipe);
        harness_advance(harness, 5500);
        assert_false(receive_check(pipe, &checked)); // Not at once, as if it were 50 years old ...
        harness_advance(harness, 1000);
        assert_true(receive_check(pipe, &checked)); // ... and not in 3,000 years.
        assert_int_equal(end(pipe, &checked, "12", "P"), 0);
    }
    harness_disconnect(pipe);
    harness_free(harness);
}

static void a_leader_that_is_none_is_not_asked_all_the_time(void **state)
{
    (void)state;
    struct harness *harness = harness_new(3);
    struct harness_replica *leader = harness_leader(harness);
    struct harness_replica *follower = &harness->replicas[1];
    harness_link(follower);
    struct harness_pipe *pipe = harness_connect(follower, 5000);
    const struct replica_state deposed = {.role = REPLICA_FOLLOWER, .term = 2};
    broker_on_state(&leader->broker, &deposed);
    uint64_t before = leader->broker.counters.requests;
    send_half(pipe, "U1", "");
    for (int i = 0; i < 20; i++) {
        harness_turn(harness);
        harness_exchange(harness);
    }
    assert_int_equal(leader->broker.counters.requests, before + 1);
    harness->now_ms += PROPOSER_REFUSED_PAUSE_MS;
    harness_turn(harness);
    harness_exchange(harness);
    assert_int_equal(leader->broker.counters.requests, before + 2);
    // It leads again, and the follower knows: at once.
    const struct replica_state elected = {.role = REPLICA_LEADER, .term = 3, .leader_id = 1};
    broker_on_state(&leader->broker, &elected);
    const struct replica_state follows = {.role = REPLICA_FOLLOWER, .term = 3, .leader_id = 1};
    broker_on_state(&follower->broker, &follows);
    harness_commit(harness);
    receive_half(pipe);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void a_forwarded_batch_of_unknown_outcome_is_not_forwarded_again(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2);
    struct harness_replica *follower = &harness->replicas[1];
    struct command response;
    harness_link(follower);
    struct harness_pipe *pipe = harness_connect(follower, 5000);
    harness_send(pipe, 310, 1, 0, slice_text("pay 100"), "a", "P", "b", "T", "c", "TBW102", "d",
                 "4", "e", "2", "f", "0", "g", "1700000000001", "h", "0", "i", "", NULL);
    harness_turn(harness);
    harness_exchange(harness);
    harness_turn(harness);
    // The leader has it in its log, but loses its leadership before it knows more.
    assert_int_equal(harness->entry_count, harness->committed + 1);
    struct harness_entry *entry = &harness->entries[harness->committed];
    assert_ptr_equal(entry->proposer, harness_leader(harness));
    broker_drop(&harness_leader(harness)->broker, entry->proposal, STATUS_UNKNOWN_OUTCOME);
    entry->proposer = NULL;
    harness_commit(harness); // The next leader commits it.
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 14);
    harness_advance(harness, 5000);
    const struct queue *queue = machine_queue_find(follower->machine, slice_text("T"), 2);
    assert_int_equal(queue->offset_next, 1);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void strangers_cannot_forward_or_propose(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct command response;
    harness_send(pipe, 7152, 1, 0, slice_text("rubbish"), NULL);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 14);
    harness_send(pipe, 7150, 2, 0, slice_of(NULL, 0), "cluster", "other", "group", "broker-a",
                 "memberId", "2", NULL);
    assert_true(harness_receive(pipe, &response));
    assert_int_not_equal(response.code, 0);
    harness_disconnect(pipe);
    harness_free(harness);
}

/* A replica may be none of ours only until we have heard of it: what it sent meanwhile it keeps,
 * and its clients are not taken for one that is connected here. */
static void what_comes_without_a_hello_goes_back_to_who_sent_it(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct command response;
    int32_t why;
    harness_send(pipe, 7152, 1, 0, slice_text("rubbish"), NULL);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(command_i32(&response, "status", true, &why), STATUS_OK);
    assert_int_equal(why, STATUS_NOT_LEADER);
    harness_send(pipe, 34, 2, 0,
                 slice_text("{\"clientID\":\"c\",\"producerDataSet\":[{\"groupName\":\"P\"}]}"),
                 "rmqChannel", "7", "rmqHost", "10.0.0.9:4000", NULL);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 14);
    assert_null(channels_group(&harness_leader(harness)->broker.channels, MEMBER_PRODUCER,
                               slice_text("P")));
    harness_disconnect(pipe);
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_half_is_never_visible_a_commit_once_a_rollback_never),
        cmocka_unit_test(the_first_decision_stands_whatever_comes_later),
        cmocka_unit_test(a_half_sent_again_is_the_same_transaction),
        cmocka_unit_test(an_undecided_half_is_asked_about_until_it_is_decided),
        cmocka_unit_test(without_a_producer_no_attempt_is_used_up),
        cmocka_unit_test(a_check_that_cannot_be_handed_out_does_not_count),
        cmocka_unit_test(after_the_last_check_it_expires_visibly_and_can_be_settled),
        cmocka_unit_test(a_half_that_is_too_old_is_given_up_though_nobody_could_be_asked),
        cmocka_unit_test(the_age_of_a_half_that_is_checked_anew_begins_anew),
        cmocka_unit_test(one_that_is_checked_anew_does_not_keep_others_from_growing_old),
        cmocka_unit_test(immunity_delays_the_first_check),
        cmocka_unit_test(pages_of_a_list_go_by_position),
        cmocka_unit_test(a_follower_takes_halves_and_decisions_and_relays_checks),
        cmocka_unit_test(without_a_leader_requests_wait_and_are_then_refused_with_14),
        cmocka_unit_test(a_batch_refused_by_a_deposed_leader_goes_to_the_next),
        cmocka_unit_test(a_check_that_is_due_at_a_failover_is_asked_by_the_next_leader),
        cmocka_unit_test(an_end_that_names_another_transaction_decides_nothing),
        cmocka_unit_test(a_producers_clock_decides_nothing),
        cmocka_unit_test(a_leader_that_is_none_is_not_asked_all_the_time),
        cmocka_unit_test(a_forwarded_batch_of_unknown_outcome_is_not_forwarded_again),
        cmocka_unit_test(strangers_cannot_forward_or_propose),
        cmocka_unit_test(what_comes_without_a_hello_goes_back_to_who_sent_it),
    };
    return cmocka_run_group_tests_name("transactions", tests, NULL, NULL);
}
