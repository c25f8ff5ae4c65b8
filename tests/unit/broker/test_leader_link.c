/* A follower's connection to the leader, with leaders on loopback that never answer: what is done
 * about a batch on its way when another one leads. */
#include "tests/support/test.h"

#include "broker/host/leader_link.h"
#include "common/remoting/codes.h"
#include "common/remoting/extension.h"
#include "tests/support/broker_harness.h"
#include "tests/support/loop_peer.h"

enum { LEADERS = 2, TURNS_MAX = 100000 };

struct leader {
    struct loop_peer peer;
    unsigned batches;
    unsigned refusals; /* So many hellos it refuses; others it does not answer. */
};

struct stage {
    uv_loop_t loop;
    struct harness *harness;
    struct harness_replica *follower;
    struct harness_pipe *client;
    struct leader_link link;
    struct leader leaders[LEADERS]; /* Members 1 and 2; the follower is 3. */
};

static struct stage stage;

static struct buf *leader_out(void *context)
{
    (void)context;
    return leader_link_out(&stage.link);
}

static void leader_flush(void *context)
{
    (void)context;
    leader_link_flush(&stage.link);
}

static void on_command(struct loop_peer *peer, struct conn *conn, const struct command *command)
{
    struct leader *leader = peer->context;
    leader->batches += command->code == REQUEST_RAFTMQ_PROPOSE;
    if (command->code == REQUEST_RAFTMQ_FORWARD_HELLO && leader->refusals > 0) {
        leader->refusals--;
        loop_peer_answer(conn, command, RESPONSE_SYSTEM_ERROR, slice_of(NULL, 0));
    }
}

static int stage_open(void **state)
{
    (void)state;
    stage = (struct stage){.harness = harness_new(3)};
    assert_int_equal(uv_loop_init(&stage.loop), 0);
    stage.follower = &stage.harness->replicas[2];
    for (size_t i = 0; i < LEADERS; i++) {
        struct leader *leader = &stage.leaders[i];
        leader->peer.on_command = on_command;
        leader->peer.context = leader;
        loop_peer_open(&leader->peer, &stage.loop, 0);
        stage.follower->group.members[i].client_host = loop_peer_host(&leader->peer);
    }
    stage.follower->ports.leader_out = leader_out;
    stage.follower->ports.leader_flush = leader_flush;
    leader_link_init(&stage.link, &stage.loop, &stage.follower->broker);
    stage.client = harness_connect(stage.follower, 5000);
    return 0;
}

static int stage_close(void **state)
{
    (void)state;
    harness_disconnect(stage.client);
    leader_link_close(&stage.link);
    for (size_t i = 0; i < LEADERS; i++) {
        loop_peer_close(&stage.leaders[i].peer);
    }
    uv_run(&stage.loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&stage.loop), 0);
    harness_free(stage.harness);
    return 0;
}

static void turn(void)
{
    leader_link_update(&stage.link);
    broker_turn_end(&stage.follower->broker);
    uv_run(&stage.loop, UV_RUN_NOWAIT);
}

static void turn_often(void)
{
    for (int i = 0; i < 100; i++) {
        turn(); // Whatever is sent next has arrived: loopback is that fast.
    }
}

static void send_one(void)
{
    harness_send(stage.client, 310, 1, 0, slice_text("pay 100"), "a", "P", "b", "T", "c", "TBW102",
                 "d", "4", "e", "2", "f", "0", "g", "1700000000001", "h", "0", "i", "", NULL);
}

/* Member `id` leads from now on; until the follower is connected to it. */
static void lead(uint64_t id, uint64_t term)
{
    struct leader *leader = &stage.leaders[id - 1];
    size_t before = leader->peer.accepted;
    const struct replica_state now = {.role = REPLICA_FOLLOWER, .term = term, .leader_id = id};
    broker_on_state(&stage.follower->broker, &now);
    for (int i = 0; i < TURNS_MAX && leader->peer.accepted == before; i++) {
        turn();
    }
    assert_int_equal(leader->peer.accepted, before + 1);
    turn_often();
}

static void a_batch_goes_to_one_leader_only_however_many_follow(void **state)
{
    (void)state;
    struct command response;
    lead(1, 1);
    send_one();
    for (int i = 0; i < TURNS_MAX && stage.leaders[0].batches == 0; i++) {
        turn();
    }
    assert_int_equal(stage.leaders[0].batches, 1);
    // It may commit it, and it may yet answer: wait.
    lead(2, 2);
    assert_false(harness_receive(stage.client, &response));
    assert_int_equal(stage.leaders[1].batches, 0);
    // Only one former leader is remembered: of the first nobody will ever know.
    lead(1, 3);
    assert_true(harness_receive(stage.client, &response));
    assert_int_equal(response.code, RESPONSE_SERVICE_NOT_AVAILABLE);
    assert_int_equal(stage.leaders[0].batches, 1);
    assert_int_equal(stage.leaders[1].batches, 0);
}

/* A leader that has just restarted may not have heard of us yet. */
static void a_hello_that_is_refused_is_said_again(void **state)
{
    (void)state;
    struct command response;
    struct leader *leader = &stage.leaders[0];
    enum { REFUSALS = 2, BACKOFF_MAX_MS = 500 };
    leader->refusals = REFUSALS;
    const struct replica_state now = {.role = REPLICA_FOLLOWER, .term = 1, .leader_id = 1};
    broker_on_state(&stage.follower->broker, &now);
    send_one(); // It goes with the hello: what became of that is not known yet.
    for (int i = 0; i < TURNS_MAX && leader->refusals == REFUSALS; i++) {
        turn();
    }
    turn_often();
    assert_int_equal(leader->peer.accepted, 1);
    assert_null(stage.link.conn);
    for (size_t count = 2; count <= 3; count++) {
        stage.harness->now_ms += BACKOFF_MAX_MS;
        for (int i = 0; i < TURNS_MAX && leader->peer.accepted < count; i++) {
            turn();
        }
        turn_often();
        assert_int_equal(leader->peer.accepted, count);
    }
    assert_int_equal(leader->refusals, 0);
    assert_non_null(stage.link.conn);
    assert_false(harness_receive(stage.client, &response));
    assert_int_equal(leader->batches, 3); // It comes each time, and counts the last.
}

/* It was not told that a client is gone, and would count it among its group for a long time. */
static void a_leader_that_is_back_and_missed_the_end_of_a_client_gets_a_new_connection(void **state)
{
    (void)state;
    struct leader *leader = &stage.leaders[0];
    lead(1, 1);
    harness_send(stage.client, 30, 1, 0, slice_of(NULL, 0), "topic", "T", "queueId", "0", NULL);
    turn_often();
    const struct replica_state none = {.role = REPLICA_FOLLOWER, .term = 1};
    broker_on_state(&stage.follower->broker, &none);
    struct harness_pipe *other = harness_connect(stage.follower, 5001);
    harness_disconnect(other); // The leader has never heard of it.
    const struct replica_state back = {.role = REPLICA_FOLLOWER, .term = 1, .leader_id = 1};
    broker_on_state(&stage.follower->broker, &back);
    turn_often();
    assert_int_equal(leader->peer.accepted, 1);
    broker_on_state(&stage.follower->broker, &none);
    harness_disconnect(stage.client);
    stage.client = harness_connect(stage.follower, 5000);
    lead(1, 1);
    turn_often();
    assert_int_equal(leader->peer.accepted, 2);
    assert_non_null(stage.link.conn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_batch_goes_to_one_leader_only_however_many_follow,
                                        stage_open, stage_close),
        cmocka_unit_test_setup_teardown(
            a_leader_that_is_back_and_missed_the_end_of_a_client_gets_a_new_connection, stage_open,
            stage_close),
        cmocka_unit_test_setup_teardown(a_hello_that_is_refused_is_said_again, stage_open,
                                        stage_close),
    };
    return cmocka_run_group_tests_name("leader_link", tests, NULL, NULL);
}
