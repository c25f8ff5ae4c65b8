/* The registrar against nameservers on loopback: what it says, to whom, and how often. */
#include "tests/support/test.h"

#include "broker/host/registrar.h"
#include "common/remoting/body_register.h"
#include "tests/support/broker_expect.h"
#include "tests/support/loop_peer.h"

struct seen {
    int registrations;
    int unregistrations;
    int64_t broker_id;
    size_t topic_count;
    int64_t term;
    int asked;
    bool mute; /* Questions are not answered. */
    bool dead; /* Nor are registrations. */
};

static void on_command(struct loop_peer *peer, struct conn *conn, const struct command *command)
{
    struct seen *seen = peer->context;
    if (command->code == 105) {
        seen->asked++;
        if (!seen->mute) {
            loop_peer_answer(conn, command, 17, NO_BODY);
        }
        return;
    }
    seen->broker_id = expect_field(command, "brokerId");
    if (command->code == 104) {
        seen->unregistrations++;
        return;
    }
    assert_int_equal(command->code, 103);
    struct slice value;
    assert_true(command_find(command, "brokerName", &value));
    assert_true(slice_equals_text(value, "broker-a"));
    assert_true(command_find(command, "brokerAddr", &value));
    assert_true(slice_equals_text(value, "10.0.0.1:10911"));
    assert_true(command_find(command, "clusterName", &value));
    assert_true(slice_equals_text(value, "C1"));
    struct body body = {0};
    struct topic_table table;
    assert_int_equal(register_body_decode(command->body, false, command->version, &body, &table),
                     STATUS_OK);
    seen->registrations++;
    seen->topic_count = table.count;
    seen->term = table.version.state;
    body_close(&body);
    if (!seen->dead) {
        loop_peer_answer(conn, command, 0, NO_BODY);
    }
}

struct stage {
    uv_loop_t loop;
    struct harness *harness;
    struct registrar *registrar;
    struct loop_peer nameserver;
    struct seen seen;
};

/* A nameserver that answers and one that does not listen. */
static void stage_open(struct stage *stage)
{
    *stage = (struct stage){0};
    assert_int_equal(uv_loop_init(&stage->loop), 0);
    stage->harness = harness_new(2);
    stage->nameserver.on_command = on_command;
    stage->nameserver.context = &stage->seen;
    loop_peer_open(&stage->nameserver, &stage->loop, 0);
    struct settings *settings = &harness_leader(stage->harness)->settings;
    settings->nameserver_count = 2;
    settings->nameservers[0] = loop_peer_host(&stage->nameserver);
    settings->nameservers[1] = (struct host){LOOPBACK, 1};
    stage->registrar = registrar_new(&stage->loop, &harness_leader(stage->harness)->broker);
}

/* Time passes, and what it brings arrives. */
static void pass(struct stage *stage, uint64_t ms)
{
    for (uint64_t passed = 0; passed < ms; passed += 100) {
        stage->harness->now_ms += 100;
        registrar_tick(stage->registrar);
        registrar_turn_end(stage->registrar);
        for (int i = 0; i < 20; i++) {
            uv_run(&stage->loop, UV_RUN_NOWAIT);
        }
    }
}

static void stage_close(struct stage *stage)
{
    registrar_close(stage->registrar, NULL, NULL);
    for (int i = 0; i < 10000 && stage->seen.unregistrations == 0; i++) {
        uv_run(&stage->loop, UV_RUN_NOWAIT);
    }
    loop_peer_close(&stage->nameserver);
    uv_run(&stage->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&stage->loop), 0);
    harness_free(stage->harness);
}

static void a_leader_registers_its_topics_and_term_and_unregisters(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage);
    pass(&stage, 1000);
    assert_int_equal(stage.seen.registrations, 1);
    assert_int_equal(stage.seen.broker_id, 0);
    assert_int_equal(stage.seen.term, 1);
    assert_int_equal(stage.seen.topic_count,
                     machine_topics(harness_leader(stage.harness)->machine)->count);
    stage_close(&stage);
    assert_int_equal(stage.seen.unregistrations, 1);
}

static void an_unreachable_nameserver_costs_the_others_nothing(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage);
    pass(&stage, 9000);
    assert_int_equal(stage.seen.registrations, 1);
    pass(&stage, 2000);
    assert_int_equal(stage.seen.registrations, 2); // The period is over.
    registrar_soon(stage.registrar);
    pass(&stage, 100);
    assert_int_equal(stage.seen.registrations, 3);
    stage_close(&stage);
}

static void one_that_comes_back_hears_of_us_at_once(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage);
    pass(&stage, 1000);
    loop_peer_drop(&stage.nameserver);
    pass(&stage, 1000);
    assert_int_equal(stage.seen.registrations, 2);
    stage_close(&stage);
}

/* Its machine lost power: when it is back, the old connection is none. */
static void one_that_does_not_answer_gets_a_new_connection(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage);
    pass(&stage, 9000);
    assert_int_equal(stage.nameserver.accepted, 1);
    stage.seen.dead = true;
    pass(&stage, 2000); // Another registration,
    assert_int_equal(stage.nameserver.accepted, 1);
    pass(&stage, 6000); // and no answer to it.
    assert_int_equal(stage.nameserver.accepted, 2);
    stage.seen.dead = false;
    pass(&stage, 30000);
    assert_in_range(stage.nameserver.accepted, 2, 3);
    stage_close(&stage);
}

static void a_leader_without_a_majority_says_nothing(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage);
    struct harness_replica *leader = harness_leader(stage.harness);
    leader->fresh = false;
    pass(&stage, 1000);
    assert_int_equal(stage.seen.registrations, 0);
    // Deposed, it registers under its own number and leaves the topics to the leader.
    const struct replica_state deposed = {.role = REPLICA_FOLLOWER, .term = 2, .leader_id = 2};
    broker_on_state(&leader->broker, &deposed);
    assert_true(leader->registrations > 0);
    registrar_soon(stage.registrar);
    pass(&stage, 1000);
    assert_int_equal(stage.seen.registrations, 1);
    assert_int_equal(stage.seen.broker_id, 1);
    assert_int_equal(stage.seen.topic_count, 0);
    assert_int_equal(stage.seen.term, 2);
    stage_close(&stage);
    assert_int_equal(stage.seen.broker_id, 1);
}

static void count_answer(void *context, const struct command *response)
{
    int32_t *code = context;
    assert_int_equal(*code, 0);
    *code = response == NULL ? -1 : response->code;
}

static int32_t ask(struct stage *stage, uint64_t wait_ms)
{
    int32_t code = 0;
    struct command request;
    command_init_request(&request, 105, 1);
    registrar_ask(stage->registrar, &request, count_answer, &code);
    pass(stage, wait_ms);
    return code;
}

static void a_question_is_answered_by_one_that_is_there(void **state)
{
    (void)state;
    struct stage stage;
    stage_open(&stage);
    assert_int_equal(ask(&stage, 0), -1); // Nobody is connected yet.
    pass(&stage, 300);
    assert_int_equal(ask(&stage, 100), 17);
    assert_int_equal(ask(&stage, 100), 17);
    assert_int_equal(stage.seen.asked, 2);
    stage_close(&stage);
}

static void a_question_without_an_answer_ends(void **state)
{
    (void)state;
    struct stage stage;
    int32_t code = 0;
    struct command request;
    stage_open(&stage);
    stage.seen.mute = true;
    pass(&stage, 300);
    assert_int_equal(ask(&stage, 1100), -1);
    command_init_request(&request, 105, 1);
    registrar_ask(stage.registrar, &request, count_answer, &code);
    pass(&stage, 100);
    loop_peer_drop(&stage.nameserver);
    pass(&stage, 100);
    assert_int_equal(code, -1);
    pass(&stage, 1000);
    code = 0;
    registrar_ask(stage.registrar, &request, count_answer, &code);
    stage_close(&stage);
    assert_int_equal(code, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leader_registers_its_topics_and_term_and_unregisters),
        cmocka_unit_test(an_unreachable_nameserver_costs_the_others_nothing),
        cmocka_unit_test(one_that_comes_back_hears_of_us_at_once),
        cmocka_unit_test(one_that_does_not_answer_gets_a_new_connection),
        cmocka_unit_test(a_leader_without_a_majority_says_nothing),
        cmocka_unit_test(a_question_is_answered_by_one_that_is_there),
        cmocka_unit_test(a_question_without_an_answer_ends),
    };
    return cmocka_run_group_tests_name("registrar", tests, NULL, NULL);
}
