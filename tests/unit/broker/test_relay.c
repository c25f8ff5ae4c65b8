/* What a follower passes on to the leader, around a change of that: nothing is lost, and nothing
 * goes to a connection that has much to write yet. */
#include "tests/support/test.h"

#include "broker/core/relay.h"
#include "common/remoting/extension.h"
#include "tests/support/broker_expect.h"

#include <stdio.h>

enum { TICK_MS = 50 };

struct stage {
    struct harness *harness;
    struct harness_replica *leader;
    struct harness_replica *follower;
    struct harness_pipe *client;
};

static struct stage stage;

static int stage_open(void **state)
{
    (void)state;
    stage.harness = harness_new(2);
    stage.leader = harness_leader(stage.harness);
    stage.follower = &stage.harness->replicas[1];
    stage.client = harness_connect(stage.follower, 5000);
    return 0;
}

static int stage_close(void **state)
{
    (void)state;
    harness_disconnect(stage.client);
    harness_free(stage.harness);
    return 0;
}

static void hears_of_leader(struct harness_replica *replica, uint64_t term, uint64_t id)
{
    const bool self = id == replica->broker.self->id;
    const struct replica_state now = {
        .role = self ? REPLICA_LEADER : REPLICA_FOLLOWER, .term = term, .leader_id = id};
    broker_on_state(&replica->broker, &now);
}

static void ask_max_offset(int32_t opaque)
{
    harness_send(stage.client, 30, opaque, 0, NO_BODY, "topic", "T", "queueId", "0", NULL);
}

/* Heartbeats of the leader were missed for a moment; the connection to it stood all the time. */
static void what_waited_goes_on_when_the_same_leader_is_back(void **state)
{
    (void)state;
    harness_link(stage.follower);
    hears_of_leader(stage.follower, 1, 0);
    ask_max_offset(1);
    harness_advance(stage.harness, TICK_MS);
    expect_silence(stage.client);
    hears_of_leader(stage.follower, 1, 1);
    ask_max_offset(2);
    harness_turn(stage.harness);
    harness_exchange(stage.harness);
    expect_answer(stage.client, 1, 0); // In their order.
    expect_answer(stage.client, 2, 0);
}

static void a_leader_that_stepped_down_costs_no_request(void **state)
{
    (void)state;
    harness_link(stage.follower);
    hears_of_leader(stage.leader, 2, 0);
    ask_max_offset(1);
    harness_advance(stage.harness, 4 * TICK_MS);
    expect_silence(stage.client);
    hears_of_leader(stage.leader, 3, 1);
    harness_advance(stage.harness, TICK_MS);
    expect_answer(stage.client, 1, 0);
}

/* Each time that it is asked costs it something. */
static void a_leader_that_stepped_down_is_not_asked_again_and_again(void **state)
{
    (void)state;
    harness_link(stage.follower);
    hears_of_leader(stage.leader, 2, 0);
    uint64_t before = stage.leader->broker.counters.requests;
    ask_max_offset(1);
    for (int i = 0; i < 1000; i++) {
        harness_turn(stage.harness);
        harness_exchange(stage.harness);
    }
    assert_int_equal(stage.leader->broker.counters.requests, before + 1);
    harness_advance(stage.harness, 1200);
    expect_answer(stage.client, 1, 14);
}

static void a_connection_that_failed_has_cost_no_request(void **state)
{
    (void)state;
    stage.follower->to_leader = mem_zalloc(sizeof(struct harness_pipe));
    uint64_t number = broker_on_leader_connected(&stage.follower->broker);
    ask_max_offset(1);
    harness_pipe_free(stage.follower->to_leader);
    stage.follower->to_leader = NULL;
    broker_on_leader_lost(&stage.follower->broker, number, STATUS_CONNECT_FAILED);
    expect_silence(stage.client);
    harness_link(stage.follower);
    harness_exchange(stage.harness);
    expect_answer(stage.client, 1, 0);
}

/* On one that broke the request may have been processed. */
static void a_connection_that_broke_leaves_the_outcome_open(void **state)
{
    (void)state;
    stage.follower->to_leader = mem_zalloc(sizeof(struct harness_pipe));
    uint64_t number = broker_on_leader_connected(&stage.follower->broker);
    ask_max_offset(1);
    broker_on_leader_lost(&stage.follower->broker, number, STATUS_CONNECTION_LOST);
    harness_pipe_free(stage.follower->to_leader);
    stage.follower->to_leader = NULL;
    expect_answer(stage.client, 1, 14);
}

/* It would wait for the leader's answer for a shorter time than the client does. */
static void a_pull_that_was_relayed_is_not_parked_longer_than_the_relay_waits(void **state)
{
    (void)state;
    harness_link(stage.follower);
    struct harness_pipe *producer = harness_connect(stage.leader, 5001);
    send_message(producer, 1, "T", "", slice_text("first"));
    harness_commit(stage.harness);
    expect_answer(producer, 1, 0);
    struct harness_pipe *relayed = stage.follower->at_leader;
    harness_send(relayed, 11, 7, 0, NO_BODY, FIELD_FORWARD_CHANNEL, "5", "consumerGroup", "G",
                 "topic", "T", "queueId", "0", "queueOffset", "1", "maxMsgNums", "32", "sysFlag",
                 "6", "commitOffset", "0", "suspendTimeoutMillis", "15000", "subscription", "*",
                 "subVersion", "0", "expressionType", "TAG", NULL);
    harness_turn(stage.harness);
    expect_silence(relayed);
    stage.harness->now_ms += stage.leader->settings.hold_ms;
    broker_tick(&stage.leader->broker);
    harness_turn(stage.harness);
    expect_answer(relayed, 7, 19);
    harness_disconnect(producer);
}

static void heartbeat(struct harness_pipe *pipe, int client, struct buf *scratch)
{
    buf_clear(scratch);
    buf_printf(scratch,
               "{\"clientID\":\"c%d\",\"producerDataSet\":[{\"groupName\":\"p%d\"}],"
               "\"consumerDataSet\":[],\"padding\":\"",
               client, client);
    memset(buf_extend(scratch, 60000), 'x', 60000);
    buf_put_text(scratch, "\"}");
    harness_send(pipe, 34, 1, 0, buf_slice(scratch), NULL);
}

static size_t producers_at(const struct harness_replica *replica)
{
    size_t count = 0;
    for (int i = 0; i < 1000; i++) {
        char name[16];
        int size = snprintf(name, sizeof name, "p%d", i);
        count += channels_group(&replica->broker.channels, MEMBER_PRODUCER,
                                slice_of(name, (size_t)size)) != NULL;
    }
    return count;
}

/* More than a connection takes before it counts as stuck. */
static void many_clients_are_announced_as_the_connection_takes_them(void **state)
{
    (void)state;
    enum { CLIENTS = 300 };
    struct harness_pipe *clients[CLIENTS];
    struct buf scratch = {0};
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = harness_connect(stage.follower, 6000U + (uint32_t)i);
        heartbeat(clients[i], i, &scratch);
    }
    stage.follower->to_leader = mem_zalloc(sizeof(struct harness_pipe));
    broker_on_leader_connected(&stage.follower->broker);
    size_t taken = stage.follower->to_leader->written.size;
    assert_in_range(taken, RELAY_OUT_MAX, RELAY_OUT_MAX + 70000);
    broker_turn_end(&stage.follower->broker);
    assert_int_equal(stage.follower->to_leader->written.size, taken);
    // Other requests wait with them, and are bounded like them.
    ask_max_offset(7);
    assert_int_equal(stage.follower->to_leader->written.size, taken);
    harness_pipe_free(stage.follower->to_leader);
    stage.follower->to_leader = NULL;
    harness_link(stage.follower);
    for (int i = 0; i < 4; i++) {
        harness_turn(stage.harness);
        harness_exchange(stage.harness);
    }
    assert_int_equal(producers_at(stage.leader), CLIENTS);
    expect_answer(stage.client, 7, 0);
    for (int i = 0; i < CLIENTS; i++) {
        harness_disconnect(clients[i]);
    }
    buf_close(&scratch);
}

static void a_client_that_came_while_no_leader_was_known_is_announced(void **state)
{
    (void)state;
    struct buf scratch = {0};
    harness_link(stage.follower);
    hears_of_leader(stage.follower, 1, 0);
    heartbeat(stage.client, 5, &scratch);
    harness_turn(stage.harness);
    harness_exchange(stage.harness);
    assert_int_equal(producers_at(stage.leader), 0);
    hears_of_leader(stage.follower, 1, 1);
    harness_turn(stage.harness);
    harness_exchange(stage.harness);
    assert_int_equal(producers_at(stage.leader), 1);
    buf_close(&scratch);
}

/* The heartbeat that is kept for a new leader names them still. */
static void a_group_that_was_left_is_not_announced(void **state)
{
    (void)state;
    const char *text =
        "{\"clientID\":\"c\",\"producerDataSet\":[{\"groupName\":\"p1\"},{\"groupName\":\"p2\"}],"
        "\"consumerDataSet\":[{\"groupName\":\"g1\",\"subscriptionDataSet\":[]},"
        "{\"groupName\":\"g2\",\"subscriptionDataSet\":[{\"topic\":\"T\",\"subString\":\"a\","
        "\"expressionType\":\"TAG\",\"subVersion\":7}]}]}";
    harness_send(stage.client, 34, 1, 0, slice_text(text), NULL);
    harness_send(stage.client, 35, 2, 0, NO_BODY, "clientID", "c", "producerGroup", "p1",
                 "consumerGroup", "g1", NULL);
    harness_link(stage.follower);
    harness_commit(stage.harness);
    // The first one was told of the leaving itself; whoever comes later knows the heartbeat only.
    harness_disconnect(stage.follower->at_leader);
    harness_pipe_free(stage.follower->to_leader);
    harness_link(stage.follower);
    harness_commit(stage.harness);
    struct channels *known = &stage.leader->broker.channels;
    assert_null(channels_group(known, MEMBER_PRODUCER, slice_text("p1")));
    assert_non_null(channels_group(known, MEMBER_PRODUCER, slice_text("p2")));
    assert_null(channels_group(known, MEMBER_CONSUMER, slice_text("g1")));
    assert_non_null(channels_group(known, MEMBER_CONSUMER, slice_text("g2")));
}

static struct harness_pipe *take_link(struct harness_replica *follower)
{
    struct harness_pipe *pipe = mem_zalloc(sizeof *pipe);
    follower->to_leader = pipe;
    broker_on_leader_connected(&follower->broker);
    return pipe;
}

/* Both leaders number their questions from one: the new one would take it for an answer to its
 * own. */
static void an_answer_to_a_former_leader_does_not_go_to_the_new_one(void **state)
{
    (void)state;
    struct command call;
    struct command seen;
    char channel[24];
    struct harness_pipe *former = take_link(stage.follower);
    struct harness_pipe *present = take_link(stage.follower);
    uint64_t newest = stage.follower->broker.leader_connection;
    snprintf(channel, sizeof channel, "%llu", (unsigned long long)stage.client->channel->id);
    for (uint64_t number = newest - 1; number <= newest; number++) {
        present->read = present->written.size;
        command_init_request(&call, 307, 1);
        command_add(&call, FIELD_FORWARD_CHANNEL, slice_text(channel));
        broker_on_leader_command(&stage.follower->broker, number, &call);
        assert_true(harness_receive(stage.client, &seen));
        struct command answer;
        command_init_response(&answer, &seen, 0);
        broker_on_command(&stage.follower->broker, stage.client->channel, &answer);
        assert_int_equal(harness_receive(present, &seen), number == newest);
    }
    harness_pipe_free(former);
    harness_pipe_free(present);
    stage.follower->to_leader = NULL;
}

int main(void)
{
#define STAGED(test) cmocka_unit_test_setup_teardown(test, stage_open, stage_close)
    const struct CMUnitTest tests[] = {
        STAGED(what_waited_goes_on_when_the_same_leader_is_back),
        STAGED(a_leader_that_stepped_down_costs_no_request),
        STAGED(a_leader_that_stepped_down_is_not_asked_again_and_again),
        STAGED(a_connection_that_failed_has_cost_no_request),
        STAGED(a_connection_that_broke_leaves_the_outcome_open),
        STAGED(a_pull_that_was_relayed_is_not_parked_longer_than_the_relay_waits),
        STAGED(many_clients_are_announced_as_the_connection_takes_them),
        STAGED(a_group_that_was_left_is_not_announced),
        STAGED(an_answer_to_a_former_leader_does_not_go_to_the_new_one),
        STAGED(a_client_that_came_while_no_leader_was_known_is_announced),
    };
    return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
