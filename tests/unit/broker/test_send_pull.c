/* Sends and pulls through the broker core, as clients see them: codes, fields, offsets, bytes. */
#include "tests/support/test.h"

#include "common/remoting/extension.h"
#include "common/remoting/properties.h"
#include "tests/support/broker_harness.h"

#include <stdio.h>

static const char heartbeat[] =
    "{\"clientID\":\"10.0.0.9@1\",\"producerDataSet\":[{\"groupName\":\"P\"}],\"consumerDataSet\":["
    "{\"groupName\":\"G\",\"consumeType\":\"CONSUME_PASSIVELY\",\"messageModel\":\"CLUSTERING\","
    "\"consumeFromWhere\":\"CONSUME_FROM_LAST_OFFSET\",\"unitMode\":false,\"subscriptionDataSet\":["
    "{\"topic\":\"T\",\"subString\":\"a || b\",\"subVersion\":5,\"expressionType\":\"TAG\"}]}]}";

static void send_text(struct harness_pipe *pipe, int32_t opaque, const char *topic,
                      const char *queue, const char *properties, const char *body)
{
    harness_send(pipe, 310, opaque, 0, slice_text(body), "a", "P", "b", topic, "c", "TBW102", "d",
                 "4", "e", queue, "f", "0", "g", "1700000000001", "h", "7", "i", properties, "j",
                 "0", NULL);
}

static void expect_code(struct harness_pipe *pipe, int32_t opaque, int32_t code)
{
    struct command response;
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.opaque, opaque);
    assert_int_equal(response.flag & COMMAND_FLAG_RESPONSE, 1);
    if (response.code != code) {
        print_message("code %d: %.*s\n", response.code, SLICE_ARGS(response.remark));
    }
    assert_int_equal(response.code, code);
    assert_true(code == 0 || response.remark.size > 0);
}

static int64_t field(const struct command *command, const char *name)
{
    int64_t value = -99;
    assert_int_equal(command_i64(command, name, true, &value), STATUS_OK);
    return value;
}

static void pull(struct harness_pipe *pipe, int32_t opaque, const char *offset, const char *flags,
                 const char *subscription)
{
    harness_send(pipe, 11, opaque, 0, slice_of(NULL, 0), "consumerGroup", "G", "topic", "T",
                 "queueId", "0", "queueOffset", offset, "maxMsgNums", "32", "sysFlag", flags,
                 "commitOffset", "0", "suspendTimeoutMillis", "15000", "subscription", subscription,
                 "subVersion", "0", "expressionType", "TAG", NULL);
}

static void a_send_creates_its_topic_and_is_answered_once_committed(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct command response;
    send_text(pipe, 1, "T", "0", "UNIQ_KEY\001U1\002", "hello");
    harness_turn(harness);
    assert_false(harness_receive(pipe, &response)); // Proposed is not acknowledged.
    harness_commit(harness);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 0);
    assert_int_equal(field(&response, "queueOffset"), 0);
    assert_int_equal(field(&response, "queueId"), 0);
    struct slice id;
    struct host host;
    int64_t position;
    assert_true(command_find(&response, "msgId", &id));
    assert_int_equal(offset_message_id_parse(id, &host, &position), STATUS_OK);
    assert_int_equal(host.address, 0x0A000001);
    assert_int_equal(host.port, 10911);
    const struct topic *topic =
        machine_topic_find(harness_leader(harness)->machine, slice_text("T"));
    assert_non_null(topic);
    assert_int_equal(topic->write_queue_count, 4);
    assert_int_equal(topic->perm, 6);
    assert_true(harness_leader(harness)->registrations > 0);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void a_pulled_message_has_all_its_fields(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct command response;
    struct message message;
    struct slice value;
    send_text(pipe, 1, "T", "0", "UNIQ_KEY\001U1\002TAGS\001a\002", "first");
    send_text(pipe, 2, "T", "0", "UNIQ_KEY\001U2\002TAGS\001c", "second");
    harness_commit(harness);
    expect_code(pipe, 1, 0);
    expect_code(pipe, 2, 0);
    pull(pipe, 3, "1", "4", "*");
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 0);
    assert_int_equal(field(&response, "nextBeginOffset"), 2);
    assert_int_equal(field(&response, "minOffset"), 0);
    assert_int_equal(field(&response, "maxOffset"), 2);
    assert_int_equal(field(&response, "suggestWhichBrokerId"), 0);
    harness_message(response.body, &message);
    assert_true(slice_equals_text(message.body, "second"));
    assert_true(slice_equals_text(message.topic, "T"));
    assert_int_equal(message.queue_offset, 1);
    assert_int_equal(message.flag, 7);
    assert_int_equal(message.born_time_ms, 1700000000001);
    assert_int_equal(message.born_host.port, 5000);
    assert_int_equal(message.store_host.address, 0x0A000001);
    assert_int_equal(message.store_time_ms, (int64_t)harness->now_ms);
    assert_int_equal(message.prepared_offset, 0);
    // The client left the last separator out: nothing may be glued together.
    assert_true(properties_find(message.properties, "TAGS", &value));
    assert_true(slice_equals_text(value, "c"));
    assert_true(properties_find(message.properties, "CLUSTER", &value));
    assert_true(slice_equals_text(value, "C1"));
    // By its physical offset the very same bytes come back.
    char offset[24];
    snprintf(offset, sizeof offset, "%lld", (long long)message.physical_offset);
    struct buf pulled = {0};
    buf_put_slice(&pulled, response.body);
    harness_send(pipe, 33, 4, 0, slice_of(NULL, 0), "offset", offset, NULL);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 0);
    assert_true(slice_equals(response.body, buf_slice(&pulled)));
    buf_close(&pulled);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void refusals_have_the_codes_clients_expect(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    char long_name[200];
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    send_text(pipe, 1, "../etc", "0", "", "x");
    expect_code(pipe, 1, 29);
    send_text(pipe, 2, "RMQ_SYS_TRANS_HALF_TOPIC", "0", "", "x");
    expect_code(pipe, 2, 16);
    send_text(pipe, 3, "T", "99", "", "x");
    expect_code(pipe, 3, 29);
    send_text(pipe, 4, "T", "0", "DELAY\001soon\002", "x");
    expect_code(pipe, 4, 13);
    send_text(pipe, 5, long_name, "0", "", "x");
    expect_code(pipe, 5, 29);
    send_text(pipe, 6, "T", "0", "TRAN_MSG\001true\002", "x");
    expect_code(pipe, 6, 13); // A half without producer group.
    harness_send(pipe, 310, 7, 0, slice_text("x"), "b", "T", NULL);
    expect_code(pipe, 7, 29);
    harness_send(pipe, 4711, 8, 0, slice_of(NULL, 0), NULL);
    expect_code(pipe, 8, 3);
    harness_send(pipe, 4711, 9, COMMAND_FLAG_ONEWAY, slice_of(NULL, 0), NULL);
    pull(pipe, 10, "0", "4", "*");
    expect_code(pipe, 10, 17);
    struct buf large = {0};
    memset(buf_extend(&large, MESSAGE_BODY_MAX + 1), 'x', MESSAGE_BODY_MAX + 1);
    harness_send(pipe, 310, 11, 0, buf_slice(&large), "a", "P", "b", "T", "c", "TBW102", "d", "4",
                 "e", "0", "f", "0", "g", "0", "h", "0", NULL);
    expect_code(pipe, 11, 13);
    buf_close(&large);
    // None of it left a trace: only the topics of the system exist.
    assert_null(machine_topic_find(harness_leader(harness)->machine, slice_text("T")));
    struct command more;
    assert_false(harness_receive(pipe, &more));
    harness_disconnect(pipe);
    harness_free(harness);
}

static void pull_codes_follow_offset_and_filter(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct command response;
    for (int32_t i = 0; i < 5; i++) {
        send_text(pipe, i, "T", "0", i == 3 ? "TAGS\001b\002" : "TAGS\001z\002", "m");
        harness_commit(harness);
        expect_code(pipe, i, 0);
    }
    pull(pipe, 10, "5", "4", "*");
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 19);
    assert_int_equal(field(&response, "nextBeginOffset"), 5);
    pull(pipe, 11, "6", "4", "*");
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 21);
    assert_int_equal(field(&response, "nextBeginOffset"), 5);
    pull(pipe, 12, "0", "4", "q || r");
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 20);
    assert_int_equal(field(&response, "nextBeginOffset"), 5);
    pull(pipe, 13, "0", "4", "a || b");
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 0);
    struct message message;
    harness_message(response.body, &message);
    assert_int_equal(message.queue_offset, 3);
    assert_int_equal(field(&response, "nextBeginOffset"), 5);
    // Without a heartbeat the group has no subscription here; afterwards it has.
    pull(pipe, 14, "0", "0", "");
    expect_code(pipe, 14, 24);
    harness_send(pipe, 34, 15, 0, slice_text(heartbeat), NULL);
    assert_true(harness_receive(pipe, &response)); // The notice that the group changed.
    assert_int_equal(response.code, 40);
    expect_code(pipe, 15, 0);
    harness_commit(harness);
    pull(pipe, 16, "0", "0", "");
    expect_code(pipe, 16, 0);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void a_replica_that_may_be_behind_moves_no_consumer_back(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2);
    struct harness_pipe *leader = harness_connect(harness_leader(harness), 5000);
    struct harness_pipe *follower = harness_connect(&harness->replicas[1], 5001);
    struct command response;
    send_text(leader, 1, "T", "0", "", "m");
    harness_commit(harness);
    expect_code(leader, 1, 0);
    pull(leader, 2, "7", "4", "*");
    assert_true(harness_receive(leader, &response));
    assert_int_equal(response.code, 21);
    assert_int_equal(field(&response, "nextBeginOffset"), 1);
    pull(follower, 3, "7", "4", "*"); // It may not have heard of 1 to 6 yet.
    assert_true(harness_receive(follower, &response));
    assert_int_equal(response.code, 19);
    assert_int_equal(field(&response, "nextBeginOffset"), 7);
    harness_leader(harness)->behind = true; // Its disk is slow, so others apply before it does.
    pull(leader, 4, "7", "4", "*");
    assert_true(harness_receive(leader, &response));
    assert_int_equal(response.code, 19);
    assert_int_equal(field(&response, "nextBeginOffset"), 7);
    harness_disconnect(leader);
    harness_disconnect(follower);
    harness_free(harness);
}

static void a_parked_pull_is_woken_only_by_what_it_wants(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct harness_pipe *producer = harness_connect(harness_leader(harness), 5001);
    struct command response;
    send_text(producer, 1, "T", "0", "", "m");
    harness_commit(harness);
    pull(pipe, 2, "1", "6", "b");
    assert_false(harness_receive(pipe, &response));
    send_text(producer, 3, "T", "0", "TAGS\001z\002", "not wanted");
    harness_commit(harness);
    assert_false(harness_receive(pipe, &response));
    send_text(producer, 4, "T", "0", "TAGS\001b\002", "wanted");
    harness_commit(harness);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 0);
    assert_int_equal(field(&response, "nextBeginOffset"), 3);
    // Nothing comes: 19 at the end of its time, or 20 if the filter has moved on.
    pull(pipe, 5, "3", "6", "b");
    harness_advance(harness, 14000);
    assert_false(harness_receive(pipe, &response));
    harness_advance(harness, 2000);
    expect_code(pipe, 5, 19);
    pull(pipe, 6, "3", "6", "b");
    send_text(producer, 7, "T", "0", "TAGS\001z\002", "not wanted");
    harness_advance(harness, 16000);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 20);
    assert_int_equal(field(&response, "nextBeginOffset"), 4);
    // A connection that goes takes its parked pulls with it.
    pull(pipe, 8, "4", "6", "*");
    harness_disconnect(pipe);
    assert_int_equal(harness_leader(harness)->broker.pulls.count, 0);
    harness_disconnect(producer);
    harness_free(harness);
}

static void nothing_is_read_for_a_connection_that_takes_nothing(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *stuck = harness_connect(harness_leader(harness), 5000);
    struct harness_pipe *other = harness_connect(harness_leader(harness), 5001);
    struct command response;
    send_text(other, 1, "T", "0", "", "m");
    harness_commit(harness);
    expect_code(other, 1, 0);
    pull(stuck, 2, "1", "6", "*");
    pull(other, 3, "1", "6", "*");
    pull(stuck, 4, "1", "6", "*");
    stuck->congested = true;
    send_text(stuck, 5, "T", "0", "", "wanted");
    harness_commit(harness);
    expect_code(stuck, 5, 0);
    expect_code(other, 3, 0);
    harness_advance(harness, 1000);
    assert_false(harness_receive(stuck, &response));
    assert_int_equal(harness_leader(harness)->broker.pulls.count, 2);
    stuck->congested = false; // Nothing else comes.
    harness_turn(harness);
    expect_code(stuck, 2, 0);
    expect_code(stuck, 4, 0);
    assert_int_equal(harness_leader(harness)->broker.pulls.count, 0);
    // Its time ends all the same, and it asks for the message once more.
    pull(stuck, 6, "2", "6", "*");
    pull(other, 7, "2", "6", "*");
    stuck->congested = true;
    send_text(stuck, 8, "T", "0", "", "wanted");
    harness_commit(harness);
    expect_code(stuck, 8, 0);
    expect_code(other, 7, 0);
    harness_advance(harness, 16000);
    assert_true(harness_receive(stuck, &response));
    assert_int_equal(response.opaque, 6);
    assert_int_equal(response.code, 19);
    assert_int_equal(field(&response, "nextBeginOffset"), 2);
    assert_int_equal(field(&response, "maxOffset"), 3);
    pull(stuck, 9, "3", "6", "*");
    send_text(other, 10, "T", "0", "", "wanted");
    harness_commit(harness);
    assert_false(harness_receive(stuck, &response));
    harness_disconnect(stuck);
    assert_int_equal(harness_leader(harness)->broker.pulls.count, 0);
    harness_turn(harness);
    harness_disconnect(other);
    harness_free(harness);
}

/* A pull of a client behind a follower, as it arrives at the leader. */
static void pull_behind(struct harness_pipe *link, const char *client, const char *offset)
{
    harness_send(link, 11, 50, 0, slice_of(NULL, 0), "consumerGroup", "G", "topic", "T", "queueId",
                 "0", "queueOffset", offset, "maxMsgNums", "32", "sysFlag", "6", "commitOffset",
                 "0", "suspendTimeoutMillis", "15000", "subscription", "*", "subVersion", "0",
                 "expressionType", "TAG", FIELD_FORWARD_CHANNEL, client, NULL);
}

static void those_behind_a_connection_that_takes_nothing_wait_as_well(void **state)
{
    (void)state;
    struct harness *harness = harness_new(3);
    const struct broker *broker = &harness_leader(harness)->broker;
    struct harness_pipe *producer = harness_connect(harness_leader(harness), 5001);
    harness_link(&harness->replicas[1]);
    struct harness_pipe *link = harness->replicas[1].at_leader;
    send_text(producer, 1, "T", "0", "", "m");
    harness_commit(harness);
    expect_code(producer, 1, 0);
    pull_behind(link, "7", "1");
    pull_behind(link, "8", "1");
    pull_behind(link, "9", "1");
    assert_int_equal(broker->pulls.count, 3);
    link->congested = true;
    uint64_t read = broker->counters.bytes_read;
    send_text(producer, 2, "T", "0", "", "wanted");
    harness_commit(harness);
    expect_code(producer, 2, 0);
    assert_int_equal(broker->pulls.count, 3);
    assert_true(broker->counters.bytes_read == read);
    harness_send(link, REQUEST_RAFTMQ_CHANNEL_CLOSED, 51, COMMAND_FLAG_ONEWAY, slice_of(NULL, 0),
                 FIELD_FORWARD_CHANNEL, "8", NULL);
    assert_int_equal(broker->pulls.count, 2);
    link->congested = false;
    harness_turn(harness);
    assert_int_equal(broker->pulls.count, 0);
    assert_true(broker->counters.bytes_read > read);
    // The connection may go with those that it left.
    pull_behind(link, "7", "2");
    link->congested = true;
    send_text(producer, 3, "T", "0", "", "wanted");
    harness_commit(harness);
    assert_int_equal(broker->pulls.count, 1);
    harness_disconnect(producer);
    harness_free(harness);
}

/* Take what has come for pulls with opaques from `first` on; the next one. */
static int32_t take_answers(struct harness_pipe *pipe, int32_t first)
{
    struct command response;
    while (harness_receive(pipe, &response)) {
        assert_int_equal(response.code, 0);
        assert_int_equal(response.opaque, first);
        first++;
    }
    return first;
}

static void one_turn_reads_so_much_for_pulls_that_waited(void **state)
{
    (void)state;
    enum { PULLS = 40, BODY_SIZE = 512 * 1024, A_TURN = 4 * 1024 * 1024 / BODY_SIZE };
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct harness_pipe *other = harness_connect(harness_leader(harness), 5001);
    char *body = mem_zalloc(BODY_SIZE + 1);
    memset(body, 'x', BODY_SIZE);
    send_text(other, 1, "T", "0", "", "m");
    harness_commit(harness);
    for (int32_t i = 0; i < PULLS; i++) {
        pull(pipe, i, "1", "6", "*");
    }
    send_text(other, 2, "T", "0", "", body);
    harness_commit(harness);
    int32_t answered = take_answers(pipe, 0);
    assert_int_equal(answered, A_TURN);
    // The others wait, in the same order, with no need of another message.
    harness_turn(harness);
    answered = take_answers(pipe, answered);
    assert_int_equal(answered, 2 * A_TURN);
    // One that comes meanwhile does not turn it round.
    send_text(other, 3, "T", "0", "", "m");
    for (int turns = 0; turns < 3; turns++) {
        harness_commit(harness);
    }
    assert_int_equal(take_answers(pipe, answered), PULLS);
    assert_int_equal(harness_leader(harness)->broker.pulls.count, 0);
    free(body);
    harness_disconnect(pipe);
    harness_disconnect(other);
    harness_free(harness);
}

static void what_was_left_for_a_connection_is_read_in_parts(void **state)
{
    (void)state;
    enum { PULLS = 20, BODY_SIZE = 512 * 1024, A_TURN = 4 * 1024 * 1024 / BODY_SIZE };
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct harness_pipe *other = harness_connect(harness_leader(harness), 5001);
    char *body = mem_zalloc(BODY_SIZE + 1);
    memset(body, 'x', BODY_SIZE);
    send_text(other, 1, "T", "0", "", "m");
    harness_commit(harness);
    for (int32_t i = 0; i < PULLS; i++) {
        pull(pipe, i, "1", "6", "*");
    }
    pipe->congested = true;
    send_text(other, 2, "T", "0", "", body);
    harness_commit(harness);
    assert_int_equal(take_answers(pipe, 0), 0);
    pipe->congested = false;
    harness_turn(harness);
    assert_int_equal(take_answers(pipe, 0), A_TURN);
    harness_turn(harness);
    assert_int_equal(take_answers(pipe, A_TURN), 2 * A_TURN);
    harness_turn(harness);
    assert_int_equal(take_answers(pipe, 2 * A_TURN), PULLS);
    free(body);
    harness_disconnect(pipe);
    harness_disconnect(other);
    harness_free(harness);
}

/* A consumer that comes from a replica that knows more waits here like any other: told at once that
 * there is nothing, it would ask again at once. */
static void a_follower_parks_a_pull_beyond_its_end(void **state)
{
    (void)state;
    struct harness *harness = harness_new(3);
    struct harness_pipe *producer = harness_connect(harness_leader(harness), 5001);
    struct harness_pipe *pipe = harness_connect(&harness->replicas[1], 5000);
    struct command response;
    send_text(producer, 1, "T", "0", "", "m");
    harness_commit(harness);
    pull(pipe, 2, "2", "6", "*");
    assert_false(harness_receive(pipe, &response));
    send_text(producer, 3, "T", "0", "", "still before it");
    harness_commit(harness);
    assert_false(harness_receive(pipe, &response));
    send_text(producer, 4, "T", "0", "", "wanted");
    harness_commit(harness);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 0);
    assert_int_equal(field(&response, "nextBeginOffset"), 3);
    pull(pipe, 5, "9", "6", "*");
    harness_advance(harness, 16000);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 19);
    assert_int_equal(field(&response, "nextBeginOffset"), 9);
    harness_disconnect(pipe);
    harness_disconnect(producer);
    harness_free(harness);
}

static void reads_from_disk_are_answered_like_those_from_memory(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct command response;
    send_text(pipe, 1, "T", "0", "", "one");
    send_text(pipe, 2, "T", "0", "", "two");
    harness_commit(harness);
    expect_code(pipe, 1, 0);
    expect_code(pipe, 2, 0);
    harness->block_reads = true;
    pull(pipe, 3, "0", "4", "*");
    assert_false(harness_receive(pipe, &response));
    harness_run_reads(harness);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 0);
    assert_int_equal(field(&response, "nextBeginOffset"), 2);
    struct message message;
    harness_message(response.body, &message);
    assert_true(slice_equals_text(message.body, "one"));
    harness_disconnect(pipe);
    harness_free(harness);
}

/* The stored bytes of the message at offset 0 of queue 0 of T, in the harness's log. */
static uint8_t *stored_message(struct harness *harness, struct index_entry *entry)
{
    const struct machine *machine = harness_leader(harness)->machine;
    const struct queue *queue = machine_queue_find(machine, slice_text("T"), 0);
    uint32_t count = 0;
    assert_int_equal(
        machine_queue_read(harness_leader(harness)->machine, queue, 0, 1, entry, &count),
        STATUS_OK);
    assert_int_equal(count, 1);
    return harness->log_bytes.data + (entry->position - harness->spans[0].position) +
           harness->spans[0].at;
}

static int32_t code_of_read(struct harness_pipe *pipe, bool view, const char *position)
{
    struct command response;
    if (view) {
        harness_send(pipe, 33, 3, 0, slice_of(NULL, 0), "offset", position, NULL);
    } else {
        pull(pipe, 3, "0", "4", "*");
    }
    harness_run_reads(pipe->replica->harness);
    harness_run_reads(pipe->replica->harness); // A view reads twice.
    assert_true(harness_receive(pipe, &response));
    return response.code;
}

static void a_flipped_bit_on_the_disk_reaches_nobody(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    send_text(pipe, 1, "T", "0", "KEYS\001k1\002mine\001yours\002", "precious");
    harness_commit(harness);
    expect_code(pipe, 1, 0);
    struct index_entry entry;
    uint8_t *stored = stored_message(harness, &entry);
    char position[24];
    snprintf(position, sizeof position, "%llu", (unsigned long long)entry.position);
    for (int way = 0; way < 4; way++) {
        harness->block_reads = way % 2 == 1;
        bool view = way >= 2;
        for (uint32_t at = 0; at < entry.size; at++) {
            harness_leader(harness)->suspected = 0;
            stored[at] ^= 0x04;
            assert_int_not_equal(code_of_read(pipe, view, position), 0);
            assert_true(view || harness_leader(harness)->suspected == entry.position);
            stored[at] ^= 0x04;
        }
        assert_int_equal(code_of_read(pipe, view, position), 0);
    }
    harness_disconnect(pipe);
    harness_free(harness);
}

/* Not told to ask again at once, for ever. */
static void a_queue_whose_index_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_replica *leader = harness_leader(harness);
    struct harness_pipe *pipe = harness_connect(leader, 5000);
    send_text(pipe, 1, "T", "0", "TAGS\001a\002", "one");
    harness_commit(harness);
    expect_code(pipe, 1, 0);
    harness_reopen(leader); // Of its queues' indexes it has nothing in memory then.
    kv_memory_rot(leader->kv);
    send_text(pipe, 2, "T", "0", "TAGS\001a\002", "two");
    harness_commit(harness);
    expect_code(pipe, 2, 0);
    pull(pipe, 3, "0", "6", "*");
    expect_code(pipe, 3, 1);
    assert_true(kv_damaged(leader->kv));
    pull(pipe, 4, "1", "6", "*"); // This one is in memory.
    expect_code(pipe, 4, 0);
    assert_int_equal(machine_hash(leader->machine), 0);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void put_topic(struct harness_pipe *pipe, int32_t opaque, const char *topic,
                      const char *attributes)
{
    harness_send(pipe, 17, opaque, 0, slice_of(NULL, 0), "topic", topic, "readQueueNums", "4",
                 "writeQueueNums", "4", "perm", "6", "attributes", attributes, NULL);
    harness_commit(pipe->replica->harness);
}

static void a_message_sent_again_within_its_topics_window_gets_the_first_ones_id(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct command response;
    struct slice id;
    char first[64];
    put_topic(pipe, 1, "T", "+unique.key.window=60");
    expect_code(pipe, 1, 0);
    for (int i = 0; i < 3; i++) {
        send_text(pipe, 2, "T", i == 0 ? "3" : "1", "UNIQ_KEY\001U1\002", "once");
        harness_commit(harness);
        assert_true(harness_receive(pipe, &response));
        assert_int_equal(response.code, 0);
        assert_int_equal(field(&response, "queueId"), i == 2 ? 1 : 3);
        assert_int_equal(field(&response, "queueOffset"), 0);
        assert_true(command_find(&response, "msgId", &id));
        if (i == 0) {
            snprintf(first, sizeof first, "%.*s", SLICE_ARGS(id));
        }
        assert_int_equal(slice_equals_text(id, first), i < 2);
        harness_advance(harness, i == 1 ? 61000 : 0);
    }
    const char *const refused[] = {"+unique.key.window=0", "+unique.key.window=86401",
                                   "+unique.key.window=soon"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        put_topic(pipe, 3, "T", refused[i]);
        expect_code(pipe, 3, 29);
    }
    put_topic(pipe, 4, "%RETRY%G", "+unique.key.window=60");
    expect_code(pipe, 4, 29);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void a_batch_gets_dense_offsets_and_one_id_each(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct command response;
    struct buf body = {0};
    for (int i = 0; i < 3; i++) {
        size_t start = body.size;
        buf_put_be32(&body, 0);
        buf_put_be32(&body, 0);
        buf_put_be32(&body, 0);
        buf_put_be32(&body, (uint32_t)i);
        buf_put_be32(&body, 2);
        buf_put_text(&body, "hi");
        buf_put_be16(&body, 12);
        buf_put_text(&body, "UNIQ_KEY\001Ux\002");
        be32_put(body.data + start, (uint32_t)(body.size - start));
    }
    harness_send(pipe, 320, 1, 0, buf_slice(&body), "a", "P", "b", "T", "c", "TBW102", "d", "4",
                 "e", "0", "f", "0", "g", "0", "h", "0", "m", "true", NULL);
    harness_commit(harness);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 0);
    assert_int_equal(field(&response, "queueOffset"), 0);
    struct slice ids;
    assert_true(command_find(&response, "msgId", &ids));
    assert_int_equal(ids.size, 3 * 32 + 2);
    pull(pipe, 2, "0", "4", "*");
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(field(&response, "nextBeginOffset"), 3);
    // A batch whose lengths lie is refused as a whole, at every cut.
    for (size_t cut = 1; cut < body.size; cut++) {
        harness_send(pipe, 320, 3, 0, slice_of(body.data, cut), "a", "P", "b", "T", "c", "TBW102",
                     "d", "4", "e", "0", "f", "0", "g", "0", "h", "0", "m", "true", NULL);
        harness_commit(harness);
        bool whole = cut % (body.size / 3) == 0;
        expect_code(pipe, 3, whole ? 0 : 13);
    }
    buf_close(&body);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void offsets_rise_and_negative_ones_are_ignored(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct command response;
    send_text(pipe, 1, "T", "0", "", "m");
    harness_commit(harness);
    expect_code(pipe, 1, 0);
    const char *const commits[] = {"-1", "5", "3", NULL};
    for (int i = 0; commits[i] != NULL; i++) {
        harness_send(pipe, 15, 2, 0, slice_of(NULL, 0), "consumerGroup", "G", "topic", "T",
                     "queueId", "0", "commitOffset", commits[i], NULL);
        harness_commit(harness);
        expect_code(pipe, 2, 0);
    }
    harness_send(pipe, 14, 3, 0, slice_of(NULL, 0), "consumerGroup", "G", "topic", "T", "queueId",
                 "0", NULL);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(field(&response, "offset"), 5);
    harness_send(pipe, 14, 4, 0, slice_of(NULL, 0), "consumerGroup", "other", "topic", "T",
                 "queueId", "0", "setZeroIfNotFound", "false", NULL);
    expect_code(pipe, 4, 22);
    harness_send(pipe, 30, 5, 0, slice_of(NULL, 0), "topic", "T", "queueId", "0", NULL);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(field(&response, "offset"), 1);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void messages_are_found_by_key_and_unique_key(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct command response;
    struct message message;
    send_text(pipe, 1, "T", "1", "UNIQ_KEY\001U1\002KEYS\001k1 k2\002", "first");
    send_text(pipe, 2, "T", "2", "UNIQ_KEY\001U2\002KEYS\001k3\002", "second");
    harness_commit(harness);
    expect_code(pipe, 1, 0);
    expect_code(pipe, 2, 0);
    harness_send(pipe, 12, 3, 0, slice_of(NULL, 0), "topic", "T", "key", "k2", "maxNum", "10",
                 "beginTimestamp", "0", "endTimestamp", "9999999999999", NULL);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.code, 0);
    harness_message(response.body, &message);
    assert_true(slice_equals_text(message.body, "first"));
    assert_int_equal(message.queue_offset, 0);
    harness_send(pipe, 12, 4, 0, slice_of(NULL, 0), "topic", "T", "key", "U2", "maxNum", "10",
                 "beginTimestamp", "0", "endTimestamp", "9999999999999", "_UNIQUE_KEY_QUERY",
                 "true", NULL);
    assert_true(harness_receive(pipe, &response));
    harness_message(response.body, &message);
    assert_true(slice_equals_text(message.body, "second"));
    harness_send(pipe, 12, 5, 0, slice_of(NULL, 0), "topic", "T", "key", "k3", "maxNum", "10",
                 "beginTimestamp", "0", "endTimestamp", "9999999999999", "_UNIQUE_KEY_QUERY",
                 "true", NULL);
    expect_code(pipe, 5, 22); // A key is no unique key.
    harness_disconnect(pipe);
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_send_creates_its_topic_and_is_answered_once_committed),
        cmocka_unit_test(a_pulled_message_has_all_its_fields),
        cmocka_unit_test(refusals_have_the_codes_clients_expect),
        cmocka_unit_test(pull_codes_follow_offset_and_filter),
        cmocka_unit_test(a_replica_that_may_be_behind_moves_no_consumer_back),
        cmocka_unit_test(a_parked_pull_is_woken_only_by_what_it_wants),
        cmocka_unit_test(nothing_is_read_for_a_connection_that_takes_nothing),
        cmocka_unit_test(those_behind_a_connection_that_takes_nothing_wait_as_well),
        cmocka_unit_test(one_turn_reads_so_much_for_pulls_that_waited),
        cmocka_unit_test(what_was_left_for_a_connection_is_read_in_parts),
        cmocka_unit_test(a_follower_parks_a_pull_beyond_its_end),
        cmocka_unit_test(reads_from_disk_are_answered_like_those_from_memory),
        cmocka_unit_test(a_flipped_bit_on_the_disk_reaches_nobody),
        cmocka_unit_test(a_queue_whose_index_cannot_be_read_is_an_error),
        cmocka_unit_test(a_message_sent_again_within_its_topics_window_gets_the_first_ones_id),
        cmocka_unit_test(a_batch_gets_dense_offsets_and_one_id_each),
        cmocka_unit_test(offsets_rise_and_negative_ones_are_ignored),
        cmocka_unit_test(messages_are_found_by_key_and_unique_key),
    };
    return cmocka_run_group_tests_name("send_pull", tests, NULL, NULL);
}
