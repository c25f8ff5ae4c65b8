/* Where consumers are told to pull next: by the leader, by followers, and who is never sent away.
 */
#include "tests/support/test.h"

#include "broker/core/suggestion.h"
#include "tests/support/broker_expect.h"

#include <stdio.h>

enum { MESSAGES = 40, LEADER = 0, FOLLOWER = 1, OTHER = 2, WINDOW = 4000 };

static struct harness *harness;
static struct harness_pipe *pipes[3]; /* A consumer's connections, to replicas 1, 2 and 3. */

static void put_group(const char *json)
{
    harness_send(pipes[LEADER], 200, 10, 0, slice_text(json), NULL);
    harness_commit(harness);
    expect_answer(pipes[LEADER], 10, 0);
}

/* Queues 0 and 1 of T with as many messages each, of some 200 bytes: far more than WINDOW. */
static int set_up(void **state)
{
    (void)state;
    harness = harness_new(3);
    for (size_t i = 0; i < 3; i++) {
        struct settings *settings = &harness->replicas[i].settings;
        settings->slave_read = true;
        settings->lag_size = WINDOW;
        pipes[i] = harness_connect(&harness->replicas[i], 5000 + (uint32_t)i);
    }
    harness_link(&harness->replicas[FOLLOWER]);
    harness_link(&harness->replicas[OTHER]);
    for (int i = 0; i < MESSAGES; i++) {
        for (int queue = 0; queue < 2; queue++) {
            harness_send(pipes[LEADER], 310, 1, 0, slice_text("body"), "a", "P", "b", "T", "c",
                         "TBW102", "d", "4", "e", queue == 0 ? "0" : "1", "f", "0", "g", "1", "h",
                         "0", "i", i % 2 == 0 ? "n\0012\002TAGS\001even\002" : "n\0011\002", "j",
                         "0", NULL);
            harness_commit(harness);
            expect_answer(pipes[LEADER], 1, 0);
        }
    }
    put_group("{\"groupName\":\"G\"}");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        harness_disconnect(pipes[i]);
    }
    harness_free(harness);
    return 0;
}

enum { SUSPEND = 2, BRINGS_FILTER = 4 };

static void pull(size_t replica, const char *queue, int64_t offset, int flags, const char *type,
                 const char *filter)
{
    char from[24];
    char sys_flag[12];
    snprintf(from, sizeof from, "%lld", (long long)offset);
    snprintf(sys_flag, sizeof sys_flag, "%d", flags);
    harness_send(pipes[replica], 11, 2, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId",
                 queue, "queueOffset", from, "maxMsgNums", "8", "sysFlag", sys_flag, "commitOffset",
                 "0", "suspendTimeoutMillis", "15000", "subscription", filter, "subVersion", "0",
                 "expressionType", type, NULL);
    harness_commit(harness);
}

static int64_t suggested(size_t replica, int32_t code)
{
    struct command answer = expect_answer(pipes[replica], 2, code);
    return expect_field(&answer, "suggestWhichBrokerId");
}

/* What a pull from an offset of queue 0 that finds something is told. */
static int64_t reads(size_t replica, int64_t offset)
{
    pull(replica, "0", offset, BRINGS_FILTER, "TAG", "*");
    return suggested(replica, 0);
}

static void heartbeat(size_t replica)
{
    struct command answer;
    harness_send(pipes[replica], 34, 3, 0,
                 slice_text("{\"clientID\":\"c1\",\"consumerDataSet\":[{\"groupName\":\"G\","
                            "\"messageModel\":\"CLUSTERING\",\"subscriptionDataSet\":[{\"topic\":"
                            "\"T\",\"subString\":\"*\",\"subVersion\":5}]}]}"),
                 NULL);
    harness_commit(harness);
    for (size_t i = 0; i < 3; i++) {
        while (harness_receive(pipes[i], &answer)) {
            assert_true(answer.code == 0 || answer.code == 40); // A notice that members changed.
        }
    }
}

static void one_that_lags_is_sent_to_the_follower_of_its_queue(void **state)
{
    (void)state;
    int64_t first = reads(LEADER, 0);
    assert_in_range(first, 2, 3);
    assert_int_equal(reads(LEADER, 0), first);
    assert_int_equal(reads(LEADER, 8), first);
    pull(LEADER, "1", 0, BRINGS_FILTER, "TAG", "*");
    assert_int_equal(suggested(LEADER, 0), 5 - first);
    assert_int_equal(harness_leader(harness)->broker.counters.readers_sent, 4);
    // What its filter lets through makes no difference.
    pull(LEADER, "0", 0, BRINGS_FILTER, "TAG", "even");
    assert_int_equal(suggested(LEADER, 0), first);
    pull(LEADER, "0", 0, BRINGS_FILTER, "SQL92", "n = 1");
    assert_int_equal(suggested(LEADER, 0), first);
}

static void one_that_does_not_lag_stays(void **state)
{
    (void)state;
    assert_int_equal(reads(LEADER, MESSAGES - 10), 0); // Within the window.
    for (size_t i = 0; i < 3; i++) {
        harness->replicas[i].settings.lag_size = 1;
    }
    assert_int_not_equal(reads(LEADER, MESSAGES - 10), 0);
    assert_int_equal(reads(LEADER, MESSAGES - 2), 0); // There is nothing behind these.
    pull(LEADER, "0", 0, BRINGS_FILTER, "TAG", "none");
    assert_int_equal(suggested(LEADER, 20), 0); // Nor behind what its filter keeps back.
    pull(LEADER, "0", MESSAGES, BRINGS_FILTER, "TAG", "*");
    assert_int_equal(suggested(LEADER, 19), 0);
    pull(LEADER, "0", MESSAGES + 1, BRINGS_FILTER, "TAG", "*");
    assert_int_equal(suggested(LEADER, 21), 0);
}

static void far_is_a_share_of_the_memory(void **state)
{
    (void)state;
    struct settings *settings = &harness_leader(harness)->settings;
    settings->lag_size = 0;
    assert_int_equal(reads(LEADER, 0), 0); // How much memory there is, nobody has said.
    settings->memory_size = 100 * WINDOW;
    settings->lag_ratio = 1;
    assert_int_not_equal(reads(LEADER, 0), 0);
    settings->lag_ratio = 40;
    assert_int_equal(reads(LEADER, 0), 0);
    settings->group_count = 40; // They share it.
    assert_int_not_equal(reads(LEADER, 0), 0);
    settings->group_count = 1;
}

static void nobody_is_sent_away_without_the_setting_or_against_its_groups(void **state)
{
    (void)state;
    assert_int_not_equal(reads(LEADER, 0), 0);
    put_group("{\"groupName\":\"G\",\"whichBrokerWhenConsumeSlowly\":0}");
    assert_int_equal(reads(LEADER, 0), 0);
    assert_int_equal(reads(FOLLOWER, 0), 0);
    put_group("{\"groupName\":\"G\",\"whichBrokerWhenConsumeSlowly\":7}");
    assert_in_range(reads(LEADER, 0), 2, 3); // Not the 7: nobody is registered as that.
    for (size_t i = 0; i < 3; i++) {
        harness->replicas[i].settings.slave_read = false;
        assert_int_equal(reads(i, 0), 0);
    }
}

static void only_followers_that_are_ready_are_named(void **state)
{
    (void)state;
    bool *unready = harness_leader(harness)->unready;
    int64_t first = reads(LEADER, 0);
    unready[first - 1] = true;
    assert_int_equal(reads(LEADER, 0), 5 - first);
    unready[FOLLOWER] = unready[OTHER] = true;
    assert_int_equal(reads(LEADER, 0), 0);
    unready[FOLLOWER] = unready[OTHER] = false;
    assert_int_equal(reads(LEADER, 0), first);
}

/* A pull that relies on a heartbeat would be refused by a follower that has none. */
static void only_followers_that_know_the_subscription_are_named(void **state)
{
    (void)state;
    heartbeat(LEADER);
    pull(LEADER, "0", 0, 0, "TAG", "");
    assert_int_equal(suggested(LEADER, 0), 0);
    for (size_t i = FOLLOWER; i <= OTHER; i++) {
        heartbeat(i);
        pull(LEADER, "0", 0, 0, "TAG", "");
        assert_int_equal(suggested(LEADER, 0), i == FOLLOWER ? 2 : reads(LEADER, 0));
        pull(i, "0", 0, 0, "TAG", "");
        assert_int_equal(suggested(i, 0), i + 1);
    }
}

static void a_follower_keeps_who_lags_and_sends_all_others_home(void **state)
{
    (void)state;
    struct harness_replica *follower = &harness->replicas[FOLLOWER];
    assert_int_equal(reads(FOLLOWER, 0), 2);
    assert_int_equal(follower->broker.counters.readers_sent, 1);
    assert_int_equal(reads(FOLLOWER, MESSAGES - 10), 0);
    follower->forsaken = true;
    assert_int_equal(reads(FOLLOWER, 0), 0);
    follower->forsaken = false;
    assert_int_equal(reads(FOLLOWER, 0), 2);
    follower->broker.draining = true;
    assert_int_equal(reads(FOLLOWER, 0), 0);
}

static void a_follower_holds_an_empty_pull_for_a_second(void **state)
{
    (void)state;
    pull(FOLLOWER, "0", MESSAGES + 1, BRINGS_FILTER | SUSPEND, "TAG", "*");
    harness_advance(harness, FOLLOWER_HOLD_MS - 100);
    expect_silence(pipes[FOLLOWER]);
    harness_advance(harness, 200);
    assert_int_equal(suggested(FOLLOWER, 19), 0);
    pull(LEADER, "0", MESSAGES, BRINGS_FILTER | SUSPEND, "TAG", "*");
    harness_advance(harness, 14000);
    expect_silence(pipes[LEADER]);
}

static void a_reset_brings_its_reader_home(void **state)
{
    (void)state;
    harness_send(pipes[LEADER], 222, 4, 0, NO_BODY, "group", "G", "topic", "T", "timestamp", "0",
                 "isForce", "true", "queueId", "0", "offset", "3", NULL);
    harness_commit(harness);
    expect_answer(pipes[LEADER], 4, 0);
    pull(FOLLOWER, "0", 5, BRINGS_FILTER, "TAG", "*");
    struct command answer = expect_answer(pipes[FOLLOWER], 2, 21);
    assert_int_equal(expect_field(&answer, "nextBeginOffset"), 3);
    assert_int_equal(expect_field(&answer, "suggestWhichBrokerId"), 0);
}

/* It is held, answered with the offset that it asked for, and without the leader's knowing it
 * loses nothing. */
static void expect_home(int64_t offset)
{
    expect_silence(pipes[FOLLOWER]);
    harness_advance(harness, FOLLOWER_HOLD_MS + 100);
    struct command answer = expect_answer(pipes[FOLLOWER], 2, 20);
    assert_int_equal(expect_field(&answer, "nextBeginOffset"), offset);
    assert_int_equal(expect_field(&answer, "suggestWhichBrokerId"), 0);
}

/* The leader may have seen it pull there already. */
static void a_follower_is_not_sure_that_a_reset_still_holds(void **state)
{
    (void)state;
    harness_send(pipes[LEADER], 222, 4, 0, NO_BODY, "group", "G", "topic", "T", "timestamp", "0",
                 "isForce", "true", "queueId", "0", "offset", "3", NULL);
    harness_commit(harness);
    expect_answer(pipes[LEADER], 4, 0);
    pull(FOLLOWER, "0", 5, BRINGS_FILTER | SUSPEND, "TAG", "*");
    expect_home(5);
    pull(LEADER, "0", 5, BRINGS_FILTER | SUSPEND, "TAG", "*");
    expect_answer(pipes[LEADER], 2, 21);
}

static void a_reader_that_a_restarted_follower_does_not_know_is_sent_home(void **state)
{
    (void)state;
    pull(FOLLOWER, "0", 3, SUSPEND, "TAG", "");
    expect_home(3);
    pull(FOLLOWER, "0", 3, 0, "TAG", ""); // It would take 20 for the queue's end.
    expect_answer(pipes[FOLLOWER], 2, 24);
    pull(LEADER, "0", 3, SUSPEND, "TAG", "");
    expect_answer(pipes[LEADER], 2, 24);
    harness->replicas[FOLLOWER].settings.slave_read = false;
    pull(FOLLOWER, "0", 3, SUSPEND, "TAG", "");
    expect_answer(pipes[FOLLOWER], 2, 24);
}

/* Flip a bit of a message of queue 0 in the log that all share. */
static void damage(int64_t offset)
{
    const struct machine *machine = harness_leader(harness)->machine;
    const struct queue *queue = machine_queue_find(machine, slice_text("T"), 0);
    struct index_entry entry;
    uint32_t count = 0;
    assert_int_equal(
        machine_queue_read(harness_leader(harness)->machine, queue, offset, 1, &entry, &count),
        STATUS_OK);
    size_t at = harness->spans[0].at + (size_t)(entry.position - harness->spans[0].position);
    harness->log_bytes.data[at + 20] ^= 0x40;
}

static void a_reader_that_a_damaged_follower_cannot_serve_is_sent_home(void **state)
{
    (void)state;
    damage(5);
    pull(FOLLOWER, "0", 3, BRINGS_FILTER | SUSPEND, "TAG", "*");
    expect_home(3);
    pull(FOLLOWER, "0", 5, BRINGS_FILTER | SUSPEND, "SQL92", "n > 0");
    expect_home(5);
    pull(LEADER, "0", 3, BRINGS_FILTER | SUSPEND, "TAG", "*");
    struct command answer;
    assert_true(harness_receive(pipes[LEADER], &answer)); // There is no other place to ask.
    assert_int_not_equal(answer.code, 20);
    damage(5);
}

static void roles_are_those_of_the_moment(void **state)
{
    (void)state;
    struct replica_state deposed = {.role = REPLICA_FOLLOWER, .term = 2, .leader_id = 2};
    struct replica_state elected = {.role = REPLICA_LEADER, .term = 2, .leader_id = 2};
    assert_int_equal(reads(FOLLOWER, 0), 2);
    broker_on_state(&harness_leader(harness)->broker, &deposed);
    assert_int_equal(reads(LEADER, 0), 1);
    broker_on_state(&harness->replicas[FOLLOWER].broker, &elected);
    int64_t follower = reads(FOLLOWER, 0);
    assert_true(follower == 1 || follower == 3); // It is registered as 0 now.
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_that_lags_is_sent_to_the_follower_of_its_queue, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_that_does_not_lag_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(far_is_a_share_of_the_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            nobody_is_sent_away_without_the_setting_or_against_its_groups, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_followers_that_are_ready_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_followers_that_know_the_subscription_are_named, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_follower_keeps_who_lags_and_sends_all_others_home, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_follower_holds_an_empty_pull_for_a_second, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_reset_brings_its_reader_home, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_follower_is_not_sure_that_a_reset_still_holds, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_reader_that_a_restarted_follower_does_not_know_is_sent_home, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_that_a_damaged_follower_cannot_serve_is_sent_home,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(roles_are_those_of_the_moment, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
