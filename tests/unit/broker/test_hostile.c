/* What a hostile or merely unlucky peer may try: sizes that nobody checked, answers that no frame
 * can hold, connections that vanish. Each test is a bug that was found. */
#include "tests/support/test.h"

#include "broker/core/reader.h"
#include "broker/core/relay.h"
#include "tests/support/broker_expect.h"

#include <inttypes.h>
#include <stdio.h>

/* A text of `size` times the same character. Static storage. */
static const char *repeated(char character, size_t size)
{
    static char text[512 * 1024];
    assert_true(size < sizeof text);
    memset(text, character, size);
    text[size] = '\0';
    return text;
}

static void attributes_too_long_for_the_log_are_refused(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct buf text = {0};
    const char *const keys[] = {"queue.type", "cleanup.policy", "message.type", "reserve.time"};
    for (size_t i = 0; i < 4; i++) {
        buf_printf(&text, "%s+%s=%s", i > 0 ? "," : "", keys[i], repeated('v', 1024));
    }
    harness_send(pipe, 17, 1, 0, NO_BODY, "topic", "T", "readQueueNums", "4", "writeQueueNums", "4",
                 "attributes", buf_text(&text), NULL);
    harness_commit(harness);
    expect_answer(pipe, 1, 29);
    buf_clear(&text);
    buf_printf(&text, "{\"topicConfigList\":[{\"topicName\":\"T\",\"attributes\":{\"x\":\"%s\"}}]}",
               repeated('v', 5000));
    harness_send(pipe, 18, 2, 0, buf_slice(&text), NULL);
    harness_commit(harness);
    expect_answer(pipe, 2, 29);
    assert_null(machine_topic_find(harness_leader(harness)->machine, slice_text("T")));
    buf_close(&text);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void changing_a_topics_queues_keeps_its_attributes(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    harness_send(pipe, 17, 1, 0, NO_BODY, "topic", "T", "readQueueNums", "4", "writeQueueNums", "4",
                 "attributes", "+message.type=FIFO", NULL);
    harness_commit(harness);
    expect_answer(pipe, 1, 0);
    harness_send(pipe, 17, 2, 0, NO_BODY, "topic", "T", "readQueueNums", "8", "writeQueueNums", "8",
                 NULL);
    harness_commit(harness);
    expect_answer(pipe, 2, 0);
    const struct topic *topic =
        machine_topic_find(harness_leader(harness)->machine, slice_text("T"));
    assert_int_equal(topic->write_queue_count, 8);
    assert_true(slice_equals_text(buf_slice(&topic->attributes), "{\"message.type\":\"FIFO\"}"));
    harness_disconnect(pipe);
    harness_free(harness);
}

static void change_topic(struct harness_pipe *pipe, int32_t opaque, const char *perm,
                         const char *attributes)
{
    harness_send(pipe, 17, opaque, 0, NO_BODY, "topic", "T", "readQueueNums", "4", "writeQueueNums",
                 "4", "perm", perm, "attributes", attributes, NULL);
}

/* What a change keeps it takes from the state, which those before it are yet to change. */
static void a_change_does_not_undo_one_that_is_under_way(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    harness_link(&harness->replicas[1]);
    struct harness_pipe *far = harness_connect(&harness->replicas[1], 5001);
    change_topic(pipe, 1, "6", "+message.type=FIFO");
    harness_commit(harness);
    expect_answer(pipe, 1, 0);
    change_topic(pipe, 2, "6", "+message.type=DELAY");
    change_topic(pipe, 3, "4", "");
    expect_answer(pipe, 3, 2);
    change_topic(far, 4, "4", "");
    harness_turn(harness);
    harness_exchange(harness);
    expect_answer(far, 4, 2);
    harness_commit(harness);
    expect_answer(pipe, 2, 0);
    change_topic(far, 5, "4", "");
    harness_commit(harness);
    expect_answer(far, 5, 0);
    const struct topic *topic =
        machine_topic_find(harness_leader(harness)->machine, slice_text("T"));
    assert_int_equal(topic->perm, 4);
    assert_true(slice_equals_text(buf_slice(&topic->attributes), "{\"message.type\":\"DELAY\"}"));
    // Nor does it bring back those of a topic that is being deleted, or overwritten.
    harness_send(pipe, 215, 6, 0, NO_BODY, "topic", "T", NULL);
    change_topic(pipe, 7, "6", "");
    expect_answer(pipe, 7, 2);
    harness_commit(harness);
    expect_answer(pipe, 6, 0);
    harness_send(pipe, 18, 8, 0,
                 slice_text("{\"topicConfigList\":[{\"topicName\":\"T\",\"readQueueNums\":4,"
                            "\"writeQueueNums\":4,\"perm\":6,"
                            "\"attributes\":{\"message.type\":\"FIFO\"}}]}"),
                 NULL);
    change_topic(pipe, 9, "4", "");
    expect_answer(pipe, 9, 2);
    harness_commit(harness);
    expect_answer(pipe, 8, 0);
    change_topic(pipe, 10, "4", "");
    harness_commit(harness);
    expect_answer(pipe, 10, 0);
    topic = machine_topic_find(harness_leader(harness)->machine, slice_text("T"));
    assert_true(slice_equals_text(buf_slice(&topic->attributes), "{\"message.type\":\"FIFO\"}"));
    harness_disconnect(far);
    harness_disconnect(pipe);
    harness_free(harness);
}

/* Who stops with a change under way answers it. */
static void a_change_that_is_under_way_ends_with_the_broker(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    change_topic(pipe, 1, "6", "+message.type=FIFO");
    harness_turn(harness);
    harness_send(pipe, 215, 2, 0, NO_BODY, "topic", "T", NULL);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void a_client_that_left_a_follower_is_forgotten_by_the_leader(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2);
    struct harness_replica *follower = &harness->replicas[1];
    const struct channels *known = &harness_leader(harness)->broker.channels;
    // Asked before there is a connection to the leader, and gone when there is one.
    struct harness_pipe *early = harness_connect(follower, 5000);
    harness_send(early, 30, 1, 0, NO_BODY, "topic", "T", "queueId", "0", NULL);
    harness_disconnect(early);
    harness_link(follower);
    harness_commit(harness);
    assert_int_equal(known->remotes.count, 0);
    // A tool that asks one question sends no heartbeat, but the leader knows it all the same.
    struct harness_pipe *pipe = harness_connect(follower, 5001);
    harness_send(pipe, 30, 2, 0, NO_BODY, "topic", "T", "queueId", "0", NULL);
    harness_commit(harness);
    expect_answer(pipe, 2, 0);
    assert_int_equal(known->remotes.count, 1);
    harness_disconnect(pipe);
    harness_commit(harness);
    assert_int_equal(known->remotes.count, 0);
    harness_free(harness);
}

static void what_the_former_leader_was_sent_it_may_still_answer(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2);
    struct harness_replica *follower = &harness->replicas[1];
    struct broker *broker = &follower->broker;
    harness_link(follower);
    struct harness_pipe *pipe = harness_connect(follower, 5000);
    send_message(pipe, 1, "T", "", slice_text("m"));
    harness_send(pipe, 30, 2, 0, NO_BODY, "topic", "T", "queueId", "0", NULL);
    broker_turn_end(broker);
    uint64_t former = broker->leader_connection;
    uint64_t next = broker_on_leader_connected(broker);
    assert_true(broker_awaits_leader(broker, former));
    assert_false(broker_awaits_leader(broker, next));
    broker_on_leader_lost(broker, next, STATUS_CONNECTION_LOST);
    expect_silence(pipe);
    harness_commit(harness);
    expect_answer(pipe, 2, 0);
    expect_answer(pipe, 1, 0);
    assert_false(broker_awaits_leader(broker, former));
    // One that is lost with the question leaves the outcome unknown.
    send_message(pipe, 3, "T", "", slice_text("m"));
    broker_turn_end(broker);
    broker_on_leader_lost(broker, broker->leader_connection, STATUS_CONNECTION_LOST);
    expect_answer(pipe, 3, 14);
    harness_disconnect(pipe);
    harness_free(harness);
}

/* Java's lengths of names are signed 16 bits wide, so longer ones cannot be passed on either. */
static void a_field_name_that_cannot_be_encoded_again_is_malformed(void **state)
{
    (void)state;
    const struct {
        size_t size;
        enum status expected;
    } cases[] = {{INT16_MAX, STATUS_OK}, {INT16_MAX + 1, STATUS_MALFORMED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct harness *harness = harness_new(2);
        struct harness_replica *follower = &harness->replicas[1];
        struct harness_pipe *pipe = harness_connect(follower, 5000);
        struct command request;
        struct command decoded;
        struct buf frame = {0};
        struct buf scratch = {0};
        command_init_request(&request, 30, 7); // One that only the leader answers.
        request.serialize_type = SERIALIZE_BINARY;
        command_add(&request, "n", slice_text("v"));
        command_encode(&request, &frame);
        // Make the name longer than the encoder would let it be.
        size_t at = FRAME_PREFIX_SIZE + 21;
        size_t more = cases[i].size - 1;
        memset(buf_extend(&frame, more), 'n', more);
        be16_put(frame.data + at, (uint16_t)cases[i].size);
        memset(frame.data + at + 2, 'n', cases[i].size);
        be32_put(frame.data + at + 2 + cases[i].size, 1);
        frame.data[at + 2 + cases[i].size + 4] = 'v';
        be32_put(frame.data + at - 4, be32_get(frame.data + at - 4) + (uint32_t)more);
        be32_put(frame.data, be32_get(frame.data) + (uint32_t)more);
        be32_put(frame.data + 4, be32_get(frame.data + 4) + (uint32_t)more);
        assert_int_equal(command_decode(buf_slice(&frame), &scratch, &decoded), cases[i].expected);
        if (cases[i].expected == STATUS_OK) {
            broker_on_command(&follower->broker, pipe->channel, &decoded);
            harness_link(follower);
        }
        harness_disconnect(pipe);
        harness_free(harness);
        buf_close(&frame);
        buf_close(&scratch);
    }
}

static void a_send_may_come_before_the_template_of_topics(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct broker *broker = &harness_leader(harness)->broker;
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct buf *entry;
    assert_int_equal(proposer_begin(&broker->proposer, 64, &entry), STATUS_OK);
    entry_put_topic_delete(entry, slice_text("TBW102"));
    proposer_add(&broker->proposer, &(struct waiter){0});
    harness_commit(harness);
    assert_null(machine_topic_find(broker->machine, slice_text("TBW102")));
    send_message(pipe, 1, "T", "", slice_text("m"));
    harness_commit(harness);
    expect_answer(pipe, 1, 0);
    assert_int_equal(machine_topic_find(broker->machine, slice_text("T"))->write_queue_count, 4);
    // No other template is made up.
    harness_send(pipe, 310, 2, 0, slice_text("m"), "a", "P", "b", "U", "c", "none", "d", "4", "e",
                 "0", "f", "0", "g", "0", "h", "0", NULL);
    expect_answer(pipe, 2, 17);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void queries_and_lists_take_no_more_than_a_frame_holds(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    const size_t size = 3 * 1024 * 1024;
    struct buf large = {0};
    memset(buf_extend(&large, size), 'x', size);
    for (int32_t i = 0; i < 7; i++) {
        char properties[128];
        snprintf(properties, sizeof properties,
                 "UNIQ_KEY\001U%d\002KEYS\001k\002TRAN_MSG\001true\002PGROUP\001P\002", i);
        send_message(pipe, 1, "T", "UNIQ_KEY\001U\002KEYS\001k\002", buf_slice(&large));
        send_message(pipe, 2, "T", properties, buf_slice(&large));
        harness_commit(harness);
        expect_answer(pipe, 1, 0);
        expect_answer(pipe, 2, 0);
    }
    harness_send(pipe, 12, 3, 0, NO_BODY, "topic", "T", "key", "k", "maxNum", "64", NULL);
    struct command response = expect_answer(pipe, 3, 0);
    assert_in_range(response.body.size, 2 * size, READ_BYTES_MAX);
    // A list says that there is more; nothing is left out by going on after its last.
    harness_send(pipe, 7110, 4, 0, NO_BODY, "state", "pending", NULL);
    response = expect_answer(pipe, 4, 0);
    assert_true(slice_contains(response.body, "\"more\":true"));
    assert_true(slice_contains(response.body, "\"U1\""));
    assert_false(slice_contains(response.body, "\"U2\""));
    // Asking producers is bounded the same way.
    harness_send(pipe, 34, 5, 0,
                 slice_text("{\"clientID\":\"c\",\"producerDataSet\":[{\"groupName\":\"P\"}]}"),
                 NULL);
    expect_answer(pipe, 5, 0);
    harness->block_reads = true;
    harness->now_ms += 10000;
    broker_tick(&harness_leader(harness)->broker);
    assert_int_equal(harness->blocked_count, 2);
    harness_run_reads(harness);
    buf_close(&large);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void an_answer_beyond_a_frame_becomes_an_error(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    const struct reply_to to = {.channel_id = pipe->channel->id, .code = 21, .opaque = 1};
    struct command response;
    struct buf large = {0};
    reply_init(&response, &to, 0);
    memset(buf_extend(&large, FRAME_SIZE_MAX), 'x', FRAME_SIZE_MAX);
    response.body = buf_slice(&large);
    broker_reply(&harness_leader(harness)->broker, &to, &response);
    expect_answer(pipe, 1, 1);
    buf_close(&large);
    harness_disconnect(pipe);
    harness_free(harness);
}

/* A request whose header has `count` fields more, of `size` bytes together. */
static void send_wide(struct harness_pipe *pipe, int32_t opaque, uint32_t count, size_t size)
{
    struct command command;
    struct command decoded;
    struct buf frame = {0};
    struct buf scratch = {0};
    char names[HEADER_FIELDS_MAX][8];
    command_init_request(&command, 30, opaque);
    command_add(&command, "topic", slice_text("T"));
    command_add(&command, "queueId", slice_text("0"));
    for (uint32_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "f%u", i);
        command_add(&command, names[i], slice_text(repeated('x', size / count)));
    }
    command_encode(&command, &frame);
    assert_int_equal(command_decode(buf_slice(&frame), &scratch, &decoded), STATUS_OK);
    broker_on_command(&pipe->replica->broker, pipe->channel, &decoded);
    buf_close(&frame);
    buf_close(&scratch);
}

static void a_request_too_wide_to_be_relayed_is_refused_at_once(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2);
    struct harness_replica *follower = &harness->replicas[1];
    struct harness_pipe *pipe = harness_connect(follower, 5000);
    // Two fields are added on the way: neither their number nor the header's size may overflow.
    for (int linked = 0; linked <= 1; linked++) {
        send_wide(pipe, 1, HEADER_FIELDS_MAX - 2, 1000);
        expect_answer(pipe, 1, 29);
        send_wide(pipe, 2, 1, HEADER_SIZE_MAX - 300);
        expect_answer(pipe, 2, 29);
        if (linked == 0) {
            harness_link(follower);
        }
    }
    send_wide(pipe, 3, HEADER_FIELDS_MAX - 4, 1000);
    harness_commit(harness);
    expect_answer(pipe, 3, 0);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void oneway_requests_that_are_relayed_leave_no_place_taken(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2);
    struct harness_replica *follower = &harness->replicas[1];
    struct harness_pipe *pipe = harness_connect(follower, 5000);
    harness_link(follower);
    for (int i = 0; i < RELAY_WAITING_MAX; i++) {
        harness_send(pipe, 30, 1, COMMAND_FLAG_ONEWAY, NO_BODY, "topic", "T", "queueId", "0", NULL);
    }
    harness_send(pipe, 30, 2, 0, NO_BODY, "topic", "T", "queueId", "0", NULL);
    harness_commit(harness);
    expect_answer(pipe, 2, 0);
    expect_silence(pipe);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void messages_that_wait_are_bounded_in_bytes(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2);
    struct harness_replica *follower = &harness->replicas[1];
    struct harness_pipe *pipe = harness_connect(follower, 5000);
    struct buf large = {0};
    struct command response;
    memset(buf_extend(&large, MESSAGE_BODY_MAX), 'x', MESSAGE_BODY_MAX);
    const int32_t fitting = PROPOSER_READY_MAX / MESSAGE_BODY_MAX;
    int32_t refused = 0;
    for (int32_t i = 0; i < fitting + 4; i++) {
        send_message(pipe, i, "T", "", buf_slice(&large));
        while (harness_receive(pipe, &response)) {
            assert_int_equal(response.code, 2);
            refused++;
        }
    }
    assert_in_range(refused, 4, 6);
    // The leader gets no more at once than its connection can take.
    harness->replicas[1].to_leader = mem_zalloc(sizeof(struct harness_pipe));
    broker_on_leader_connected(&follower->broker);
    broker_turn_end(&follower->broker);
    assert_in_range(follower->to_leader->written.size, MESSAGE_BODY_MAX,
                    PROPOSER_FORWARDED_MAX + 2 * MESSAGE_BODY_MAX);
    harness_pipe_free(follower->to_leader);
    follower->to_leader = NULL;
    // What left makes room.
    broker_on_leader_lost(&follower->broker, follower->broker.leader_connection,
                          STATUS_CONNECTION_LOST);
    while (harness_receive(pipe, &response)) {
        assert_int_equal(response.code, 14);
    }
    send_message(pipe, 99, "T", "", buf_slice(&large));
    expect_silence(pipe);
    buf_close(&large);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void forwarded_batches_go_on_when_their_numbers_are_used_up(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2);
    struct harness_replica *follower = &harness->replicas[1];
    struct harness_pipe *pipe = harness_connect(follower, 5000);
    harness_link(follower);
    follower->broker.proposer.next_opaque = INT32_MAX;
    for (int32_t i = 0; i < 3; i++) {
        send_message(pipe, i, "T", "", slice_text("m"));
        harness_commit(harness);
        expect_answer(pipe, i, 0);
    }
    assert_int_equal(follower->broker.proposer.next_opaque, 3);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void a_leader_with_a_full_disk_takes_no_messages_from_followers(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2);
    struct harness_replica *follower = &harness->replicas[1];
    struct broker *leader = &harness_leader(harness)->broker;
    struct harness_pipe *pipe = harness_connect(follower, 5000);
    harness_link(follower);
    send_message(pipe, 1, "T", "", slice_text("m"));
    harness_commit(harness);
    expect_answer(pipe, 1, 0);
    leader->disk_full = true;
    send_message(pipe, 2, "T", "", slice_text("m"));
    harness_commit(harness);
    expect_answer(pipe, 2, 14);
    // What frees memory or decides is small and goes on, also from the same batch.
    send_message(pipe, 3, "T", "TRAN_MSG\001true\002PGROUP\001P\002", slice_text("m"));
    harness_send(pipe, 15, 4, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "0",
                 "commitOffset", "1", NULL);
    harness_commit(harness);
    expect_answer(pipe, 3, 14);
    expect_answer(pipe, 4, 0);
    leader->disk_full = false;
    send_message(pipe, 5, "T", "", slice_text("m"));
    harness_commit(harness);
    expect_answer(pipe, 5, 0);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void the_last_thing_in_the_log_can_be_viewed_by_its_id(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    // A short END at the very end of the log, and one longer than a message's fixed part.
    const size_t group_sizes[] = {1, 200};
    for (int32_t i = 0; i < 2; i++) {
        struct buf properties = {0};
        char number[24];
        char position[24];
        buf_printf(&properties, "UNIQ_KEY\001U%d\002TRAN_MSG\001true\002PGROUP\001%s\002", i,
                   repeated('p', group_sizes[i]));
        send_message(pipe, 1, "T", buf_text(&properties), slice_text("pay"));
        harness_commit(harness);
        struct command response = expect_answer(pipe, 1, 0);
        struct slice id;
        struct host host;
        int64_t half;
        assert_true(command_find(&response, "msgId", &id));
        assert_int_equal(offset_message_id_parse(id, &host, &half), STATUS_OK);
        snprintf(number, sizeof number, "%" PRId64, expect_field(&response, "queueOffset"));
        snprintf(position, sizeof position, "%" PRId64, half);
        harness_send(pipe, 37, 2, 0, NO_BODY, "producerGroup", repeated('p', group_sizes[i]),
                     "tranStateTableOffset", number, "commitLogOffset", position,
                     "commitOrRollback", "8", NULL);
        harness_commit(harness);
        expect_answer(pipe, 2, 0);
        snprintf(number, sizeof number, "%d", i);
        harness_send(pipe, 11, 3, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "0",
                     "queueOffset", number, "maxMsgNums", "1", "sysFlag", "4", "subscription", "*",
                     NULL);
        response = expect_answer(pipe, 3, 0);
        struct message message;
        harness_message(response.body, &message);
        struct buf pulled = {0};
        buf_put_slice(&pulled, response.body);
        snprintf(position, sizeof position, "%" PRId64, message.physical_offset);
        harness_send(pipe, 33, 4, 0, NO_BODY, "offset", position, NULL);
        response = expect_answer(pipe, 4, 0);
        assert_true(slice_equals(response.body, buf_slice(&pulled)));
        buf_close(&pulled);
        buf_close(&properties);
        harness_commit(harness);
    }
    // Anywhere else there is nothing, whatever the bytes look like.
    for (size_t at = 0; at < harness->log_bytes.size + 10; at += 7) {
        char position[24];
        struct command response;
        snprintf(position, sizeof position, "%zu", at);
        harness_send(pipe, 33, 5, 0, NO_BODY, "offset", position, NULL);
        assert_true(harness_receive(pipe, &response));
    }
    harness_disconnect(pipe);
    harness_free(harness);
}

static void a_producer_that_does_not_read_keeps_nobody_else_from_being_asked(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *stuck = harness_connect(harness_leader(harness), 5000);
    struct harness_pipe *other = harness_connect(harness_leader(harness), 5001);
    struct command check;
    harness_send(stuck, 34, 1, 0,
                 slice_text("{\"clientID\":\"s\",\"producerDataSet\":[{\"groupName\":\"P\"}]}"),
                 NULL);
    harness_send(other, 34, 1, 0,
                 slice_text("{\"clientID\":\"o\",\"producerDataSet\":[{\"groupName\":\"Q\"}]}"),
                 NULL);
    expect_answer(stuck, 1, 0);
    expect_answer(other, 1, 0);
    // More of the one group than a round holds, all older than the other's.
    for (int i = 0; i < 300; i++) {
        char properties[128];
        snprintf(properties, sizeof properties,
                 "UNIQ_KEY\001U%d\002TRAN_MSG\001true\002PGROUP\001P\002", i);
        send_message(stuck, 2, "T", properties, slice_text("m"));
    }
    harness_commit(harness);
    while (harness_receive(stuck, &check)) {
    }
    send_message(other, 2, "T", "UNIQ_KEY\001V\002TRAN_MSG\001true\002PGROUP\001Q\002",
                 slice_text("m"));
    harness_commit(harness);
    expect_answer(other, 2, 0);
    stuck->congested = true;
    harness_advance(harness, 7000);
    assert_true(harness_receive(other, &check));
    assert_int_equal(check.code, 39);
    // A colleague of the one that is stuck is asked in its place.
    struct harness_pipe *colleague = harness_connect(harness_leader(harness), 5002);
    harness_send(colleague, 34, 1, 0,
                 slice_text("{\"clientID\":\"c\",\"producerDataSet\":[{\"groupName\":\"P\"}]}"),
                 NULL);
    expect_answer(colleague, 1, 0);
    harness_advance(harness, 100);
    assert_true(harness_receive(colleague, &check));
    assert_int_equal(check.code, 39);
    harness_disconnect(colleague);
    harness_disconnect(stuck);
    harness_disconnect(other);
    harness_free(harness);
}

static void immunity_that_is_no_time_is_the_usual_one(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    const char *const values[] = {"-1", "-5", "x", "+7", ""};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char properties[160];
        snprintf(properties, sizeof properties,
                 "UNIQ_KEY\001U%zu\002TRAN_MSG\001true\002PGROUP\001P\002"
                 "CHECK_IMMUNITY_TIME_IN_SECONDS\001%s\002",
                 i, values[i]);
        send_message(pipe, 1, "T", properties, slice_text("m"));
        harness_commit(harness);
        expect_answer(pipe, 1, 0);
        char id[8];
        snprintf(id, sizeof id, "U%zu", i);
        const struct transaction *transaction = machine_transaction_find_unique(
            harness_leader(harness)->machine, slice_text("P"), slice_text(id));
        assert_int_equal(transaction->due.due, harness->now_ms + 6000);
    }
    harness_disconnect(pipe);
    harness_free(harness);
}

/* A leader whose log waits for room says so at once, instead of letting clients run into timeouts.
 */
static void without_room_in_the_log_everything_is_refused_and_reads_go_on(void **state)
{
    (void)state;
    struct harness *harness = harness_new(3);
    struct harness_replica *leader = harness_leader(harness);
    struct harness_pipe *pipe = harness_connect(leader, 5000);
    send_message(pipe, 1, "T", "", slice_text("before"));
    harness_commit(harness);
    expect_answer(pipe, 1, 0);
    leader->broker.disk_full = true;
    leader->broker.log_full = true;
    send_message(pipe, 2, "T", "", slice_text("x"));
    expect_answer(pipe, 2, 14);
    harness_send(pipe, 15, 3, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "0",
                 "commitOffset", "1", NULL);
    expect_answer(pipe, 3, 14);
    harness_send(pipe, 17, 4, 0, NO_BODY, "topic", "T2", "readQueueNums", "1", "writeQueueNums",
                 "1", NULL);
    expect_answer(pipe, 4, 14);
    harness_send(pipe, 11, 5, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "0",
                 "queueOffset", "0", "maxMsgNums", "32", "sysFlag", "4", "commitOffset", "0",
                 "subscription", "*", NULL);
    expect_answer(pipe, 5, 0);
    // What it is told by another replica is refused, too.
    struct harness_replica *follower = &harness->replicas[1];
    harness_link(follower);
    struct harness_pipe *far = harness_connect(follower, 5001);
    send_message(far, 6, "T", "", slice_text("x"));
    harness_commit(harness);
    expect_answer(far, 6, 14);
    leader->broker.disk_full = false;
    leader->broker.log_full = false;
    send_message(pipe, 7, "T", "", slice_text("after"));
    harness_commit(harness);
    expect_answer(pipe, 7, 0);
    harness_disconnect(far);
    harness_disconnect(pipe);
    harness_free(harness);
}

/* Topic T with a message of four MiB at offset 0 of queue 0, and a small one behind it, which lie
 * on the disk. */
static struct harness *cold_topic(struct harness_pipe **pipe)
{
    struct harness *harness = harness_new(1);
    struct buf large = {0};
    memset(buf_extend(&large, MESSAGE_BODY_MAX), 'x', MESSAGE_BODY_MAX);
    *pipe = harness_connect(harness_leader(harness), 5000);
    send_message(*pipe, 1, "T", "", buf_slice(&large));
    send_message(*pipe, 2, "T", "KEYS\001k\002", slice_text("small"));
    harness_commit(harness);
    expect_answer(*pipe, 1, 0);
    expect_answer(*pipe, 2, 0);
    buf_close(&large);
    harness->block_reads = true;
    return harness;
}

static void pull_one(struct harness_pipe *pipe, int32_t opaque, const char *offset)
{
    harness_send(pipe, 11, opaque, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "0",
                 "queueOffset", offset, "maxMsgNums", "1", "sysFlag", "4", "commitOffset", "0",
                 "subscription", "*", NULL);
}

/* More of them than may be under way. */
enum { LARGE_PULLS = 80 };

static void pull_large(struct harness_pipe *pipe)
{
    for (int32_t i = 0; i < LARGE_PULLS; i++) {
        pull_one(pipe, 100 + i, "0");
    }
}

static size_t bytes_under_way(const struct harness *harness)
{
    size_t size = 0;
    for (size_t i = 0; i < harness->blocked_count; i++) {
        size += harness->blocked[i]->size;
    }
    return size;
}

static void count_answers(struct harness_pipe *pipe, size_t *found, size_t *refused)
{
    struct command response;
    while (harness_receive(pipe, &response)) {
        assert_true(response.code == 0 || response.code == 2);
        *found += response.code == 0;
        *refused += response.code == 2;
    }
    buf_clear(&pipe->written);
    pipe->read = 0;
}

/* The disk answers, until nobody waits for it. */
static void read_on(struct harness *harness, struct harness_pipe *pipe, size_t *found,
                    size_t *refused)
{
    while (harness->blocked_count > 0) {
        harness_run_read(harness);
        harness_turn(harness);
        assert_in_range(bytes_under_way(harness), 0, COLD_READS_SIZE_MAX);
        count_answers(pipe, found, refused);
    }
}

/* What a pull reads is allocated when it begins, and it costs a hundred bytes to ask. */
static void reads_under_way_are_bounded_in_bytes(void **state)
{
    (void)state;
    size_t found = 0;
    size_t refused = 0;
    struct harness_pipe *pipe;
    struct harness *harness = cold_topic(&pipe);
    pull_large(pipe);
    harness_turn(harness);
    assert_in_range(bytes_under_way(harness), COLD_READS_SIZE_MAX / 2, COLD_READS_SIZE_MAX);
    expect_silence(pipe);
    read_on(harness, pipe, &found, &refused);
    assert_int_equal(found, LARGE_PULLS);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void reads_that_wait_are_bounded_too(void **state)
{
    (void)state;
    enum { PULLS = 20000, SERVED = 10000 };
    size_t found = 0;
    size_t refused = 0;
    struct harness_pipe *pipe;
    struct harness *harness = cold_topic(&pipe);
    pull_large(pipe);
    for (int32_t i = 0; i < PULLS; i++) {
        pull_one(pipe, 1000 + i, "1");
    }
    count_answers(pipe, &found, &refused);
    assert_int_equal(found, 0);
    assert_in_range(refused, 1, PULLS - SERVED);
    // What is in memory is read as ever.
    harness->block_reads = false;
    pull_one(pipe, 3, "1");
    expect_answer(pipe, 3, 0);
    harness->block_reads = true;
    read_on(harness, pipe, &found, &refused);
    assert_int_equal(found + refused, LARGE_PULLS + PULLS);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void a_read_that_waits_ends_in_any_case(void **state)
{
    (void)state;
    size_t found = 0;
    size_t refused = 0;
    struct harness_pipe *pipe;
    struct harness *harness = cold_topic(&pipe);
    const struct cold_reads *reads = &harness_leader(harness)->broker.cold_reads;
    // Its time is over: whoever comes next is served in time.
    pull_large(pipe);
    size_t waiting = LARGE_PULLS - reads->under_way_count;
    harness_advance(harness, COLD_READS_WAIT_MAX_MS);
    expect_silence(pipe);
    harness_advance(harness, 100);
    count_answers(pipe, &found, &refused);
    assert_int_equal(refused, waiting);
    assert_int_equal(reads->waiting_size, 0);
    // Its client goes.
    struct harness_pipe *other = harness_connect(harness_leader(harness), 5001);
    pull_one(other, 3, "0");
    harness_disconnect(other);
    read_on(harness, pipe, &found, &refused);
    assert_int_equal(reads->under_way_count, 0);
    assert_int_equal(reads->under_way_size, 0);
    // The broker stops.
    pull_large(pipe);
    harness_send(pipe, 11, 4, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "0",
                 "queueOffset", "1", "maxMsgNums", "1", "sysFlag", "6", "suspendTimeoutMillis",
                 "15000", "subscription", "a IS NULL", "expressionType", "SQL92", NULL);
    harness_send(pipe, 200050, 5, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "0",
                 "maxMsgNums", "1", "invisibleTime", "60000", "pollTime", "0", "initMode", "0",
                 "exp", "a IS NULL", "expType", "SQL92", NULL);
    harness_send(pipe, 36, 6, 0, NO_BODY, "group", "G", "delayLevel", "1", "offset", "100", NULL);
    assert_true(reads->waiting_size > 0);
    harness_run_reads(harness);
    harness_disconnect(pipe);
    harness_free(harness);
}

/* Whatever reads from the disk waits while there is no room, and is served then. */
static void every_read_waits_its_turn(void **state)
{
    (void)state;
    static const struct {
        int32_t code;
        const char *fields[16];
    } asked[] = {
        {11,
         {"consumerGroup", "G", "topic", "T", "queueId", "0", "queueOffset", "1", "maxMsgNums", "1",
          "sysFlag", "4", "subscription", "a IS NULL", "expressionType", "SQL92"}},
        {12, {"topic", "T", "key", "k", "maxNum", "64"}},
        {33, {"offset", NULL}},
        {36, {"group", "G", "delayLevel", "1", "offset", NULL}},
        {7110, {"state", "pending"}},
        {200050,
         {"consumerGroup", "G", "topic", "T", "queueId", "0", "maxMsgNums", "1", "invisibleTime",
          "60000", "pollTime", "0", "initMode", "0"}},
        {200052, {"consumerGroup", "G", "topic", "T", "queueId", "0", "maxMsgNums", "1"}},
    };
    size_t found = 0;
    size_t refused = 0;
    struct harness_pipe *pipe;
    struct harness *harness = cold_topic(&pipe);
    const struct cold_reads *reads = &harness_leader(harness)->broker.cold_reads;
    struct harness_pipe *other = harness_connect(harness_leader(harness), 5001);
    char position[24];
    struct index_entry entry;
    uint32_t count;
    const struct machine *machine = harness_leader(harness)->machine;
    const struct queue *queue = machine_queue_find(machine, slice_text("T"), 0);
    assert_int_equal(
        machine_queue_read(harness_leader(harness)->machine, queue, 1, 1, &entry, &count),
        STATUS_OK);
    snprintf(position, sizeof position, "%" PRIu64, entry.position);
    send_message(other, 1, "T", "UNIQ_KEY\001U\002TRAN_MSG\001true\002PGROUP\001P\002",
                 slice_text("half"));
    harness_commit(harness);
    expect_answer(other, 1, 0);
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        const char *fields[16] = {0};
        for (size_t j = 0; j < 16; j++) {
            const char *name = j % 2 == 1 ? asked[i].fields[j - 1] : NULL;
            bool place = name != NULL && strcmp(name, "offset") == 0;
            fields[j] = place ? position : asked[i].fields[j];
        }
        pull_large(pipe);
        size_t waiting = reads->waiting_size;
        harness_send(other, asked[i].code, 2, 0, NO_BODY, fields[0], fields[1], fields[2],
                     fields[3], fields[4], fields[5], fields[6], fields[7], fields[8], fields[9],
                     fields[10], fields[11], fields[12], fields[13], fields[14], fields[15], NULL);
        harness_commit(harness);
        expect_silence(other);
        assert_true(reads->waiting_size > waiting);
        read_on(harness, pipe, &found, &refused);
        harness_commit(harness);
        expect_answer(other, 2, 0);
        assert_int_equal(reads->under_way_size, 0);
        assert_int_equal(reads->waiting_size, 0);
    }
    assert_int_equal(refused, 0);
    harness_disconnect(other);
    harness_disconnect(pipe);
    harness_free(harness);
}

/* Who has read on for a while answers with what there is; nothing is taken that may not be read. */
static void who_reads_on_and_who_takes_do_not_wait(void **state)
{
    (void)state;
    size_t found = 0;
    size_t refused = 0;
    struct harness_pipe *pipe;
    struct harness *harness = cold_topic(&pipe);
    struct harness_pipe *other = harness_connect(harness_leader(harness), 5001);
    harness_send(other, 11, 2, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "0",
                 "queueOffset", "0", "maxMsgNums", "1", "sysFlag", "4", "subscription",
                 "a IS NOT NULL", "expressionType", "SQL92", NULL);
    pull_large(pipe);
    harness_run_read(harness);
    struct command response = expect_answer(other, 2, 20);
    assert_int_equal(expect_field(&response, "nextBeginOffset"), 1);
    for (int32_t i = 0; i < 10000; i++) {
        pull_one(pipe, 1000 + i, "1");
    }
    harness_send(other, 200050, 3, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "0",
                 "maxMsgNums", "1", "invisibleTime", "60000", "pollTime", "0", "initMode", "0",
                 NULL);
    harness_commit(harness);
    expect_answer(other, 3, 2);
    read_on(harness, pipe, &found, &refused);
    harness_disconnect(other);
    harness_disconnect(pipe);
    harness_free(harness);
}

static size_t answers(struct harness_pipe *pipe)
{
    struct command answer;
    size_t count = 0;
    for (; harness_receive(pipe, &answer); count++) {
        assert_int_equal(answer.code, 22); // QUERY_NOT_FOUND
    }
    return count;
}

/* A turn must not last as long as the index is large: heartbeats wait for its end. */
static void searches_for_keys_of_long_ago_go_on_turn_by_turn(void **state)
{
    (void)state;
    enum { CHECKPOINTS = 1500, QUERIES = 5 };
    struct harness *harness = harness_new(1);
    struct harness_replica *leader = harness_leader(harness);
    struct harness_pipe *pipe = harness_connect(leader, 5000);
    struct harness_pipe *gone = harness_connect(leader, 5001);
    for (int i = 0; i < CHECKPOINTS; i++) {
        send_message(pipe, 1, "T", "KEYS\001k\002", slice_text("body"));
        harness_commit(harness);
        expect_answer(pipe, 1, 0);
        struct kv_batch *batch = machine_checkpoint(leader->machine);
        assert_int_equal(kv_write(leader->kv, batch), STATUS_OK);
        machine_checkpoint_written(leader->machine);
        kv_batch_free(batch);
    }
    for (int i = 0; i < QUERIES; i++) {
        harness_send(i == 0 ? gone : pipe, 12, 2, 0, NO_BODY, "topic", "T", "key", "k", "maxNum",
                     "64", "endTimestamp", "1", NULL);
    }
    assert_int_equal(answers(pipe), 0);
    assert_int_equal(leader->turns_wanted, QUERIES);
    harness_disconnect(gone);
    size_t done = 0;
    for (int turn = 0; turn < QUERIES; turn++) {
        broker_turn_end(&leader->broker);
        size_t now = answers(pipe);
        assert_in_range(now, 0, 1);
        done += now;
    }
    assert_int_equal(done, QUERIES - 1);
    for (int32_t i = 0; i <= KEY_SEARCHES_MAX; i++) {
        harness_send(pipe, 12, 3, 0, NO_BODY, "topic", "T", "key", "k", "endTimestamp", "1", NULL);
    }
    expect_answer(pipe, 3, 2);
    expect_silence(pipe);
    harness_disconnect(pipe);
    harness_free(harness);
}

/* As a replica does whose library has become a follower within the call. */
static enum status propose_and_drop(void *context, uint8_t *payload, size_t size, void *proposal)
{
    struct harness_replica *replica = context;
    (void)size;
    free(payload);
    broker_drop(&replica->broker, proposal, STATUS_NOT_LEADER);
    return STATUS_OK;
}

static void a_batch_that_is_dropped_while_it_is_proposed_ends_once(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_replica *leader = harness_leader(harness);
    struct harness_pipe *pipe = harness_connect(leader, 5000);
    struct buf large = {0};
    memset(buf_extend(&large, MESSAGE_BODY_MAX), 'x', MESSAGE_BODY_MAX);
    leader->ports.propose = propose_and_drop;
    send_message(pipe, 1, "T", "", buf_slice(&large));
    harness_turn(harness);
    expect_answer(pipe, 1, 14);
    buf_close(&large);
    harness_disconnect(pipe);
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_room_in_the_log_everything_is_refused_and_reads_go_on),
        cmocka_unit_test(attributes_too_long_for_the_log_are_refused),
        cmocka_unit_test(changing_a_topics_queues_keeps_its_attributes),
        cmocka_unit_test(a_change_does_not_undo_one_that_is_under_way),
        cmocka_unit_test(a_change_that_is_under_way_ends_with_the_broker),
        cmocka_unit_test(a_client_that_left_a_follower_is_forgotten_by_the_leader),
        cmocka_unit_test(what_the_former_leader_was_sent_it_may_still_answer),
        cmocka_unit_test(a_field_name_that_cannot_be_encoded_again_is_malformed),
        cmocka_unit_test(a_send_may_come_before_the_template_of_topics),
        cmocka_unit_test(queries_and_lists_take_no_more_than_a_frame_holds),
        cmocka_unit_test(an_answer_beyond_a_frame_becomes_an_error),
        cmocka_unit_test(a_request_too_wide_to_be_relayed_is_refused_at_once),
        cmocka_unit_test(oneway_requests_that_are_relayed_leave_no_place_taken),
        cmocka_unit_test(messages_that_wait_are_bounded_in_bytes),
        cmocka_unit_test(forwarded_batches_go_on_when_their_numbers_are_used_up),
        cmocka_unit_test(a_leader_with_a_full_disk_takes_no_messages_from_followers),
        cmocka_unit_test(the_last_thing_in_the_log_can_be_viewed_by_its_id),
        cmocka_unit_test(a_producer_that_does_not_read_keeps_nobody_else_from_being_asked),
        cmocka_unit_test(immunity_that_is_no_time_is_the_usual_one),
        cmocka_unit_test(reads_under_way_are_bounded_in_bytes),
        cmocka_unit_test(reads_that_wait_are_bounded_too),
        cmocka_unit_test(a_read_that_waits_ends_in_any_case),
        cmocka_unit_test(every_read_waits_its_turn),
        cmocka_unit_test(who_reads_on_and_who_takes_do_not_wait),
        cmocka_unit_test(searches_for_keys_of_long_ago_go_on_turn_by_turn),
        cmocka_unit_test(a_batch_that_is_dropped_while_it_is_proposed_ends_once),
    };
    return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}
