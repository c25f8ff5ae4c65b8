/* Requests of tools and heartbeats: what they are answered, and above all what they are refused. */
#include "tests/support/test.h"

#include "common/remoting/body_list.h"
#include "common/remoting/names.h"
#include "tests/support/broker_expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Heartbeats as the clients write them (remoting-protocol): Java's names, Go's, C++'s numbers. */
static const char java_heartbeat[] =
    "{\"clientID\":\"10.0.0.9@1\",\"consumerDataSet\":[{\"consumeFromWhere\":"
    "\"CONSUME_FROM_LAST_OFFSET\",\"consumeType\":\"CONSUME_PASSIVELY\",\"groupName\":\"G\","
    "\"messageModel\":\"CLUSTERING\",\"subscriptionDataSet\":[{\"classFilterMode\":false,"
    "\"codeSet\":[97],\"expressionType\":\"TAG\",\"subString\":\"a\",\"subVersion\":5,\"tagsSet\":"
    "[\"a\"],\"topic\":\"T\"}],\"unitMode\":false}],\"producerDataSet\":[{\"groupName\":\"P\"}]}";
static const char go_heartbeat[] =
    "{\"clientID\":\"go@2\",\"producerDataSet\":[{\"groupName\":\"P\"}],\"consumerDataSet\":["
    "{\"groupName\":\"G\",\"consumeType\":\"CONSUME_PASSIVELY\",\"messageModel\":\"Clustering\","
    "\"consumeFromWhere\":\"ConsumeFromFirstOffset\",\"subscriptionDataSet\":[{\"topic\":\"T\","
    "\"subString\":\"*\",\"subVersion\":6,\"expressionType\":\"TAG\"}],\"unitMode\":false}]}";
static const char cpp_heartbeat[] =
    "{\"clientID\":\"cpp@3\",\"consumerDataSet\":[{\"consumeFromWhere\":0,\"consumeType\":1,"
    "\"groupName\":\"G\",\"messageModel\":1,\"subscriptionDataSet\":[{\"subString\":\"*\","
    "\"subVersion\":\"7\",\"topic\":\"T\"}]}],\"producerDataSet\":[{\"groupName\":\"P\"}]}";

/* The next response, notices (40) passed over. */
static struct command answer_of(struct harness_pipe *pipe, int32_t opaque, int32_t code)
{
    struct command command;
    do {
        assert_true(harness_receive(pipe, &command));
    } while (!command_is_response(&command));
    assert_int_equal(command.opaque, opaque);
    if (command.code != code) {
        print_message("code %d: %.*s\n", command.code, SLICE_ARGS(command.remark));
    }
    assert_int_equal(command.code, code);
    return command;
}

static void heartbeats_of_all_languages_join_their_groups(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    const char *const heartbeats[] = {java_heartbeat, go_heartbeat, cpp_heartbeat};
    struct harness_pipe *pipes[3];
    for (uint32_t i = 0; i < 3; i++) {
        pipes[i] = harness_connect(harness_leader(harness), 5000 + i);
        harness_send(pipes[i], 34, 1, 0, slice_text(heartbeats[i]), NULL);
        harness_commit(harness);
        answer_of(pipes[i], 1, 0);
    }
    harness_send(pipes[0], 38, 2, 0, NO_BODY, "consumerGroup", "G", NULL);
    struct command answer = answer_of(pipes[0], 2, 0);
    assert_true(slice_contains(answer.body, "10.0.0.9@1"));
    assert_true(slice_contains(answer.body, "go@2"));
    assert_true(slice_contains(answer.body, "cpp@3"));
    harness_send(pipes[0], 203, 3, 0, NO_BODY, "consumerGroup", "G", NULL);
    answer = answer_of(pipes[0], 3, 0);
    assert_true(slice_contains(answer.body, "CONSUME_PASSIVELY"));
    assert_true(slice_contains(answer.body, "CLUSTERING"));
    assert_true(slice_contains(answer.body, "127.0.0.1:5002"));
    harness_send(pipes[0], 204, 4, 0, NO_BODY, "producerGroup", "P", NULL);
    answer = answer_of(pipes[0], 4, 0);
    assert_true(slice_contains(answer.body, "127.0.0.1:5001"));
    harness_send(pipes[0], 300, 5, 0, NO_BODY, "topic", "T", NULL);
    answer = answer_of(pipes[0], 5, 0);
    assert_true(slice_contains(answer.body, "\"G\""));
    // Who says goodbye is gone at once, who vanishes too.
    harness_send(pipes[1], 35, 6, 0, NO_BODY, "consumerGroup", "G", "producerGroup", "P", NULL);
    answer_of(pipes[1], 6, 0);
    harness_disconnect(pipes[2]);
    harness_send(pipes[0], 38, 7, 0, NO_BODY, "consumerGroup", "G", NULL);
    answer = answer_of(pipes[0], 7, 0);
    assert_false(slice_contains(answer.body, "go@2"));
    assert_false(slice_contains(answer.body, "cpp@3"));
    harness_disconnect(pipes[0]);
    harness_disconnect(pipes[1]);
    assert_int_equal(harness_leader(harness)->broker.channels.consumers.count, 0);
    harness_free(harness);
}

static void bad_heartbeats_are_refused_and_bad_names_harm_no_others(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    struct buf body = {0};
    const char *const bad[] = {"", "{", "[]", "7", "{\"clientID\":7}"};
    for (int32_t i = 0; i < 5; i++) {
        harness_send(pipe, 34, i, 0, slice_text(bad[i]), NULL);
        assert_int_not_equal(answer_of(pipe, i, 1).remark.size, 0);
    }
    buf_printf(&body, "{\"clientID\":\"%0300d\"}", 1);
    harness_send(pipe, 34, 6, 0, buf_slice(&body), NULL);
    answer_of(pipe, 6, 1);
    buf_clear(&body);
    buf_printf(&body,
               "{\"clientID\":\"c\",\"producerDataSet\":[{\"groupName\":\"%0300d\"},"
               "{\"groupName\":\"P\"}],\"consumerDataSet\":[{\"groupName\":\"%0300d\"}]}",
               1, 1);
    harness_send(pipe, 34, 7, 0, buf_slice(&body), NULL);
    answer_of(pipe, 7, 0);
    harness_send(pipe, 204, 8, 0, NO_BODY, "producerGroup", "P", NULL);
    answer_of(pipe, 8, 0);
    assert_int_equal(harness_leader(harness)->broker.channels.consumers.count, 0);
    buf_close(&body);
    harness_disconnect(pipe);
    harness_free(harness);
}

/* Every client is connected to two replicas. If each were compared with each, it would take tens of
 * times as long as it may. */
static void members_of_a_large_group_are_listed_once_and_soon(void **state)
{
    (void)state;
    enum { CLIENTS = 8000, MEMBERS = 2 * CLIENTS, CPU_MS_MAX = 150 };
    struct harness *harness = harness_new(1);
    struct harness_pipe **pipes = mem_alloc(MEMBERS * sizeof(struct harness_pipe *));
    struct channels *channels = &harness_leader(harness)->broker.channels;
    struct client_group *group;
    struct slice ids[CLIENTS];
    char text[CLIENTS][16];
    bool joined;
    for (uint32_t i = 0; i < MEMBERS; i++) {
        uint32_t client = i % CLIENTS;
        snprintf(text[client], sizeof text[client], "client-%u", client);
        ids[client] = slice_text(text[client]);
        pipes[i] = harness_connect(harness_leader(harness), 5000 + i);
        assert_int_equal(channels_join(channels, pipes[i]->channel, MEMBER_CONSUMER,
                                       slice_text("G"), ids[client], 0, &group, &joined),
                         STATUS_OK);
    }
    clock_t begin = clock();
    harness_send(pipes[0], 38, 1, 0, NO_BODY, "consumerGroup", "G", NULL);
    clock_t used = clock() - begin;
    assert_in_range(used * 1000 / CLOCKS_PER_SEC, 0, CPU_MS_MAX);
    const struct name_list list = {.count = CLIENTS, .names = ids};
    struct buf expected = {0};
    consumer_list_encode(&list, &expected);
    assert_true(slice_equals(answer_of(pipes[0], 1, 0).body, buf_slice(&expected)));
    buf_close(&expected);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        harness_disconnect(pipes[i]);
    }
    free(pipes);
    harness_free(harness);
}

/* Java's Properties keep the last of two. */
static void every_setting_is_told_once(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    harness_send(pipe, 26, 1, 0, NO_BODY, NULL);
    struct slice left = answer_of(pipe, 1, 0).body;
    assert_true(slice_contains(left, "\nslaveReadEnable=false\n"));
    while (left.size > 0) {
        char key[64] = "\n";
        const uint8_t *end = memchr(left.data, '\n', left.size);
        const uint8_t *equals = memchr(left.data, '=', left.size);
        assert_true(end != NULL && equals != NULL && equals < end);
        size_t size = (size_t)(equals - left.data) + 1;
        assert_in_range(size, 2, sizeof key - 2);
        memcpy(key + 1, left.data, size);
        left = slice_from(left, (size_t)(end - left.data));
        if (slice_contains(left, key)) {
            fail_msg("twice: %s", key + 1);
        }
        left = slice_from(left, 1);
    }
    harness_disconnect(pipe);
    harness_free(harness);
}

struct refusal {
    int32_t code;
    int32_t answer;
    const char *body;
    const char *fields[10];
};

/* Each request, and what it is refused with. */
static const struct refusal refusals[] = {
    {14, 29, "", {"topic", "T", "queueId", "0"}},
    {15, 29, "", {"consumerGroup", "G", "topic", "T", "queueId", "0"}},
    {15, 29, "", {"consumerGroup", "G", "topic", "T", "queueId", "x", "commitOffset", "1"}},
    {15, 17, "", {"consumerGroup", "G", "topic", "T", "queueId", "0", "commitOffset", "1"}},
    {15, 17, "", {"consumerGroup", "G", "topic", "U", "queueId", "9", "commitOffset", "1"}},
    {15, 29, "", {"consumerGroup", "a b", "topic", "U", "queueId", "0", "commitOffset", "1"}},
    {17, 29, "", {"topic", "T"}},
    {17, 29, "", {"topic", "a b", "readQueueNums", "1", "writeQueueNums", "1"}},
    {17, 29, "", {"topic", "TBW102", "readQueueNums", "1", "writeQueueNums", "1"}},
    {17, 29, "", {"topic", "broker-a", "readQueueNums", "1", "writeQueueNums", "1"}},
    {17, 29, "", {"topic", "C1", "readQueueNums", "1", "writeQueueNums", "1"}},
    {17, 29, "", {"topic", "T", "readQueueNums", "1025", "writeQueueNums", "1"}},
    {17, 29, "", {"topic", "T", "readQueueNums", "-1", "writeQueueNums", "1"}},
    {17, 29, "", {"topic", "T", "readQueueNums", "0", "writeQueueNums", "0"}},
    {17, 29, "", {"topic", "T", "readQueueNums", "1", "writeQueueNums", "1", "perm", "8"}},
    {17, 29, "", {"topic", "T", "readQueueNums", "1", "writeQueueNums", "1", "attributes", "x"}},
    {18, 1, "{", {NULL}},
    {18, 29, "{\"topicConfigList\":[{\"topicName\":\"T\"},{\"topicName\":\"a b\"}]}", {NULL}},
    {29, 29, "", {"topic", "T", "queueId", "0"}},
    {30, 29, "", {"queueId", "0"}},
    {31, 29, "", {"topic", "T"}},
    {32, 29, "", {"topic", "T", "queueId", "99999999999"}},
    {33, 29, "", {NULL}},
    {33, 29, "", {"offset", "-1"}},
    {33, 1, "", {"offset", "7"}},
    {12, 29, "", {"topic", "T"}},
    {12, 22, "", {"topic", "T", "key", "k"}},
    {37, 29, "", {"producerGroup", "P"}},
    {37,
     29,
     "",
     {"producerGroup", "P", "tranStateTableOffset", "0", "commitLogOffset", "0", "commitOrRollback",
      "7"}},
    {38, 1, "", {"consumerGroup", "G"}},
    {38, 29, "", {NULL}},
    {46, 1, "{", {NULL}},
    {200, 1, "[]", {NULL}},
    {200, 29, "{\"groupName\":\"a b\"}", {NULL}},
    {200, 29, "{\"groupName\":\"G\",\"retryQueueNums\":-1}", {NULL}},
    {202, 17, "", {"topic", "T"}},
    {203, 206, "", {"consumerGroup", "G"}},
    {204, 1, "", {"producerGroup", "P"}},
    {207, 29, "", {NULL}},
    {208, 29, "", {NULL}},
    {215, 29, "", {"topic", "TBW102"}},
    {215, 29, "", {"topic", "broker-a"}},
    {215, 29, "", {NULL}},
    {300, 29, "", {NULL}},
    {351, 17, "", {"topic", "T"}},
    {352, 26, "", {"group", "a b"}},
    {7101, 29, "", {"target", "9"}},
    {7101, 29, "", {"target", "x"}},
    {7110, 29, "", {"state", "odd"}},
    {7110, 29, "", {"max", "0"}},
    {7111, 29, "", {NULL}},
    {7111, 22, "", {"position", "5"}},
    {7112, 29, "", {"position", "5", "action", "odd"}},
    {7150, 1, "", {"cluster", "C1", "group", "other", "memberId", "2"}},
    {7152, 14, "", {NULL}},
};

static void send_refused(struct harness_pipe *pipe, int32_t opaque, const struct refusal *refusal)
{
    const char *const *f = refusal->fields;
    harness_send(pipe, refusal->code, opaque, 0, slice_text(refusal->body), f[0], f[1], f[2], f[3],
                 f[4], f[5], f[6], f[7], f[8], f[9], NULL);
    harness_commit(pipe->replica->harness);
}

static void every_processor_refuses_what_it_cannot_do(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    send_message(pipe, 1, "U", "", slice_text("m"));
    harness_commit(harness);
    expect_answer(pipe, 1, 0);
    size_t topics = machine_topics(harness_leader(harness)->machine)->count;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct command answer;
        send_refused(pipe, (int32_t)i, &refusals[i]);
        if (!harness_receive(pipe, &answer) || answer.code != refusals[i].answer) {
            fail_msg("request %zu (code %d) was answered %d, not %d", i, refusals[i].code,
                     answer.code, refusals[i].answer);
        }
        assert_int_equal(answer.opaque, (int32_t)i);
        assert_int_not_equal(answer.remark.size, 0);
        expect_silence(pipe);
    }
    assert_int_equal(machine_topics(harness_leader(harness)->machine)->count, topics);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void topics_and_groups_are_put_read_and_deleted(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    harness_send(pipe, 17, 1, 0, NO_BODY, "topic", "T", "readQueueNums", "3", "writeQueueNums", "2",
                 "perm", "6", "order", "true", NULL);
    harness_send(pipe, 200, 2, 0,
                 slice_text("{\"groupName\":\"G\",\"retryQueueNums\":2,\"consumeEnable\":false}"),
                 NULL);
    expect_silence(pipe); // Not before it is committed.
    harness_commit(harness);
    answer_of(pipe, 1, 0);
    answer_of(pipe, 2, 0);
    harness_send(pipe, 351, 3, 0, NO_BODY, "topic", "T", NULL);
    struct command answer = answer_of(pipe, 3, 0);
    assert_true(slice_contains(answer.body, "\"readQueueNums\":3"));
    assert_true(slice_contains(answer.body, "\"order\":true"));
    harness_send(pipe, 352, 4, 0, NO_BODY, "group", "G", NULL);
    answer = answer_of(pipe, 4, 0);
    assert_true(slice_contains(answer.body, "\"consumeEnable\":false"));
    harness_send(pipe, 21, 5, 0, NO_BODY, NULL);
    assert_true(slice_contains(answer_of(pipe, 5, 0).body, "\"T\""));
    harness_send(pipe, 201, 6, 0, NO_BODY, NULL);
    assert_true(slice_contains(answer_of(pipe, 6, 0).body, "\"G\""));
    harness_send(pipe, 305, 7, 0, NO_BODY, NULL);
    assert_true(slice_contains(answer_of(pipe, 7, 0).body, "TBW102"));
    harness_send(pipe, 202, 8, 0, NO_BODY, "topic", "T", NULL);
    assert_true(slice_contains(answer_of(pipe, 8, 0).body, "\"maxOffset\":0"));
    harness_send(pipe, 15, 9, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "1",
                 "commitOffset", "7", NULL);
    harness_send(pipe, 208, 10, 0, NO_BODY, "consumerGroup", "G", NULL);
    answer_of(pipe, 10, 0); // Before the commit.
    harness_commit(harness);
    answer_of(pipe, 9, 0);
    harness_send(pipe, 208, 11, 0, NO_BODY, "consumerGroup", "G", NULL);
    assert_true(slice_contains(answer_of(pipe, 11, 0).body, "\"consumerOffset\":7"));
    // Deleting twice is no error: it is gone as wanted.
    for (int32_t i = 0; i < 2; i++) {
        harness_send(pipe, 215, 12, 0, NO_BODY, "topic", "T", NULL);
        harness_send(pipe, 207, 13, 0, NO_BODY, "groupName", "G", "cleanOffset", "true", NULL);
        harness_commit(harness);
        answer_of(pipe, 12, 0);
        answer_of(pipe, 13, 0);
    }
    harness_send(pipe, 351, 14, 0, NO_BODY, "topic", "T", NULL);
    answer_of(pipe, 14, 17);
    harness_disconnect(pipe);
    harness_free(harness);
}

/* A trace needs a topic: if no send may make one, the leader does where it is told to. */
static void the_topic_of_traces_is_made_where_it_is_wanted(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2);
    struct harness_replica *leader = harness_leader(harness);
    const struct slice name = slice_text("RMQ_SYS_TRACE_TOPIC");
    assert_null(machine_topic_find(leader->machine, name));
    leader->settings.trace_topic = true;
    const struct replica_state before = leader->broker.state;
    const struct replica_state deposed = {.role = REPLICA_FOLLOWER, .term = before.term};
    broker_on_state(&leader->broker, &deposed);
    broker_on_state(&leader->broker, &before);
    harness_commit(harness);
    for (size_t i = 0; i < 2; i++) {
        const struct topic *topic = machine_topic_find(harness->replicas[i].machine, name);
        assert_non_null(topic);
        assert_int_equal(topic->write_queue_count, 1);
        assert_int_equal(topic->perm, PERM_READ | PERM_WRITE);
    }
    harness_free(harness);
}

/* Each attribute lives as long as the list, and no longer: the sanitizer sees to the latter. */
static void a_list_of_topics_has_the_attributes_of_each(void **state)
{
    (void)state;
    struct harness *harness = harness_new(1);
    struct harness_pipe *pipe = harness_connect(harness_leader(harness), 5000);
    static const char *const topics[] = {"T1", "T2", "T3"};
    static const char *const values[] = {"NORMAL", "FIFO", "DELAY"};
    for (int i = 0; i < 3; i++) {
        char attributes[64];
        snprintf(attributes, sizeof attributes, "+message.type=%s", values[i]);
        harness_send(pipe, 17, i, 0, NO_BODY, "topic", topics[i], "readQueueNums", "1",
                     "writeQueueNums", "1", "attributes", attributes, NULL);
        harness_commit(harness);
        answer_of(pipe, i, 0);
    }
    harness_send(pipe, 21, 9, 0, NO_BODY, NULL);
    struct command response = answer_of(pipe, 9, 0);
    for (int i = 0; i < 3; i++) {
        assert_true(slice_contains(response.body, values[i]));
    }
    harness_disconnect(pipe);
    harness_free(harness);
}

static void a_relayed_request_is_not_relayed_again(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2);
    struct harness_replica *follower = &harness->replicas[1];
    struct harness_pipe *pipe = harness_connect(follower, 5000);
    harness_link(follower);
    // The leader was deposed and knows no other: the question comes back instead of going round.
    const struct replica_state deposed = {.role = REPLICA_FOLLOWER, .term = 2};
    broker_on_state(&harness_leader(harness)->broker, &deposed);
    harness_send(pipe, 30, 1, 0, NO_BODY, "topic", "T", "queueId", "0", NULL);
    harness_advance(harness, 1100); // It has waited for another leader.
    answer_of(pipe, 1, 14);
    harness_disconnect(pipe);
    harness_free(harness);
}

static void replicas_in_the_same_state_tell_the_same_hash(void **state)
{
    (void)state;
    struct harness *harness = harness_new(2);
    struct harness_pipe *pipes[2];
    struct command answers[2];
    for (size_t i = 0; i < 2; i++) {
        pipes[i] = harness_connect(&harness->replicas[i], 5000);
        harness_send(pipes[i], 7100, 1, 0, NO_BODY, NULL);
        assert_true(slice_equals_text(expect_answer(pipes[i], 1, 0).body, "{}"));
    }
    struct buf before = {0};
    for (int32_t round = 0; round < 2; round++) {
        for (size_t i = 0; i < 2; i++) {
            harness_send(pipes[i], 7100, 2, 0, NO_BODY, "hash", "true", NULL);
            answers[i] = expect_answer(pipes[i], 2, 0);
            assert_true(slice_starts_with(answers[i].body, "{\"stateHash\":\""));
        }
        assert_true(slice_equals(answers[0].body, answers[1].body));
        assert_false(slice_equals(answers[0].body, buf_slice(&before)));
        buf_put_slice(&before, answers[0].body);
        send_message(pipes[0], 3, "T", "", slice_text("m"));
        harness_commit(harness);
        expect_answer(pipes[0], 3, 0);
    }
    buf_close(&before);
    for (size_t i = 0; i < 2; i++) {
        harness_disconnect(pipes[i]);
    }
    harness_free(harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replicas_in_the_same_state_tell_the_same_hash),
        cmocka_unit_test(heartbeats_of_all_languages_join_their_groups),
        cmocka_unit_test(bad_heartbeats_are_refused_and_bad_names_harm_no_others),
        cmocka_unit_test(members_of_a_large_group_are_listed_once_and_soon),
        cmocka_unit_test(every_setting_is_told_once),
        cmocka_unit_test(every_processor_refuses_what_it_cannot_do),
        cmocka_unit_test(topics_and_groups_are_put_read_and_deleted),
        cmocka_unit_test(the_topic_of_traces_is_made_where_it_is_wanted),
        cmocka_unit_test(a_list_of_topics_has_the_attributes_of_each),
        cmocka_unit_test(a_relayed_request_is_not_relayed_again),
    };
    return cmocka_run_group_tests_name("admin_requests", tests, NULL, NULL);
}
