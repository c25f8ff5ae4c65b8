/* Retention: what the leader has cut, and how clients see a queue whose front is gone. */
#include "tests/support/broker_expect.h"

#include "common/remoting/message.h"

#include <inttypes.h>
#include <stdio.h>

#define HOUR_MS UINT64_C(3600000)

/* One message to queue 0 of T in a segment of its own; its position. */
static uint64_t fill_segment(struct harness *harness, struct harness_pipe *pipe, const char *key)
{
    char properties[64];
    struct slice id;
    struct host host;
    int64_t position;
    harness_next_segment(harness);
    snprintf(properties, sizeof properties, "UNIQ_KEY\001%s\002KEYS\001k\002", key);
    send_message(pipe, 1, "T", properties, slice_text(key));
    harness_commit(harness);
    struct command response = expect_answer(pipe, 1, 0);
    assert_true(command_find(&response, "msgId", &id));
    assert_int_equal(offset_message_id_parse(id, &host, &position), STATUS_OK);
    return (uint64_t)position;
}

static uint64_t cut_segment(const struct harness_replica *replica)
{
    return machine_cut_done(replica->machine).position / SEGMENT_SIZE;
}

/* A leader with retention by age alone, and messages in segments 1 … 4. */
struct scene {
    struct harness *harness;
    struct harness_replica *leader;
    struct harness_pipe *pipe;
    uint64_t positions[5];
};

static struct scene scene_new(size_t replicas)
{
    struct scene scene = {.harness = harness_new(replicas)};
    scene.leader = harness_leader(scene.harness);
    scene.leader->settings.retention_ms = 72 * HOUR_MS;
    scene.pipe = harness_connect(scene.leader, 5000);
    for (size_t i = 1; i <= 4; i++) {
        char key[8];
        snprintf(key, sizeof key, "U%zu", i);
        scene.positions[i] = fill_segment(scene.harness, scene.pipe, key);
        scene.harness->now_ms += HOUR_MS; // Nobody looks meanwhile.
    }
    return scene;
}

static void scene_free(struct scene *scene)
{
    harness_disconnect(scene->pipe);
    harness_free(scene->harness);
}

/* --- What is cut -------------------------------------------------------------------------- */

/* A jump of the clock, and what is needed to believe it. */
static void age(struct scene *scene, uint64_t hours)
{
    scene->harness->now_ms += hours * HOUR_MS;
    harness_advance(scene->harness, 65000);
}

static void messages_go_by_age_segment_by_segment(void **state)
{
    (void)state;
    struct scene scene = scene_new(3);
    harness_advance(scene.harness, 2000);
    assert_int_equal(cut_segment(scene.leader), 0);
    age(&scene, 69); // 73 h after the first message, 72 h after the second.
    assert_int_equal(cut_segment(scene.leader), 3);
    uint64_t hash = machine_hash(scene.leader->machine);
    for (size_t i = 1; i < 3; i++) {
        assert_int_equal(cut_segment(&scene.harness->replicas[i]), 3);
        assert_true(machine_hash(scene.harness->replicas[i].machine) == hash);
    }
    scene_free(&scene);
}

static void the_newest_segments_stay_however_old(void **state)
{
    (void)state;
    struct scene scene = scene_new(1);
    age(&scene, 10000);
    assert_int_equal(cut_segment(scene.leader), 5 - RETENTION_SEGMENTS_MIN);
    size_t entries = scene.harness->entry_count;
    harness_advance(scene.harness, 5000);
    assert_int_equal(scene.harness->entry_count, entries); // Nothing to do costs no entry.
    scene_free(&scene);
}

static void a_clock_that_is_wrong_for_a_moment_costs_nothing(void **state)
{
    (void)state;
    struct scene scene = scene_new(1);
    for (int i = 0; i < 5; i++) {
        scene.harness->now_ms += 10000 * HOUR_MS;
        harness_advance(scene.harness, 50000);
        scene.harness->now_ms -= 10000 * HOUR_MS;
        scene.leader->broker.retention.looked_ms = 0; // The harness has one clock for both.
        harness_advance(scene.harness, 5000);
    }
    assert_int_equal(cut_segment(scene.leader), 0);
    scene_free(&scene);
}

static void no_limit_by_age_keeps_all(void **state)
{
    (void)state;
    struct scene scene = scene_new(1);
    scene.leader->settings.retention_ms = 0;
    age(&scene, 10000);
    assert_int_equal(cut_segment(scene.leader), 0);
    scene_free(&scene);
}

static void messages_go_when_the_log_is_too_large(void **state)
{
    (void)state;
    struct scene scene = scene_new(1);
    scene.leader->settings.log_size_max = 5 * (uint64_t)SEGMENT_SIZE;
    harness_advance(scene.harness, 2000);
    assert_int_equal(cut_segment(scene.leader), 0);
    scene.leader->settings.log_size_max = 3 * (uint64_t)SEGMENT_SIZE;
    harness_advance(scene.harness, 2000);
    assert_int_equal(cut_segment(scene.leader), 2);
    scene_free(&scene);
}

static void a_disk_that_fills_up_takes_one_segment_after_the_other(void **state)
{
    (void)state;
    struct scene scene = scene_new(1);
    scene.leader->settings.disk_ratio_forced = 85;
    scene.leader->storage = (struct storage_view){.disk_available = 1600, .disk_total = 10000};
    harness_advance(scene.harness, 3000);
    assert_int_equal(cut_segment(scene.leader), 0);
    scene.leader->storage.disk_available = 1500;
    harness_advance(scene.harness, 5000);
    assert_int_equal(cut_segment(scene.leader), 1); // No more before this one has left the disk.
    scene.leader->storage.log_first = SEGMENT_SIZE;
    harness_advance(scene.harness, 3000);
    assert_int_equal(cut_segment(scene.leader), 2);
    scene.leader->storage.disk_available = 1700;
    scene.leader->storage.log_first = 2 * (uint64_t)SEGMENT_SIZE;
    harness_advance(scene.harness, 3000);
    assert_int_equal(cut_segment(scene.leader), 2);
    scene.leader->storage.disk_available = 0;
    scene.leader->settings.disk_ratio_forced = 0; // cleanFileForciblyEnable=false
    harness_advance(scene.harness, 3000);
    assert_int_equal(cut_segment(scene.leader), 2);
    scene_free(&scene);
}

static void the_fuller_the_disk_the_more_goes_but_not_all_at_once(void **state)
{
    (void)state;
    const uint64_t segment = SEGMENT_SIZE;
    struct scene scene = scene_new(1);
    for (int i = 0; i < 10; i++) {
        fill_segment(scene.harness, scene.pipe, "more");
    }
    scene.leader->settings.disk_ratio_forced = 50;
    scene.leader->storage.disk_total = 1000 * segment;
    scene.leader->storage.disk_available = 498 * segment; // Two more than there should be.
    harness_advance(scene.harness, 1500);
    assert_int_equal(cut_segment(scene.leader), 3);
    scene.leader->storage.log_first = 3 * segment;
    scene.leader->storage.disk_available = 0;
    harness_advance(scene.harness, 5000);
    assert_int_equal(cut_segment(scene.leader), 7);
    scene_free(&scene);
}

static void a_follower_has_nothing_cut(void **state)
{
    (void)state;
    struct scene scene = scene_new(3);
    scene.leader->settings.retention_ms = 0;
    struct harness_replica *follower = &scene.harness->replicas[1];
    harness_link(follower);
    follower->settings.retention_ms = 1;
    follower->settings.log_size_max = 1;
    harness_advance(scene.harness, 5000);
    assert_int_equal(cut_segment(follower), 0);
    scene_free(&scene);
}

static void a_cut_that_got_lost_is_proposed_anew(void **state)
{
    (void)state;
    struct scene scene = scene_new(1);
    scene.leader->settings.log_size_max = 3 * (uint64_t)SEGMENT_SIZE;
    scene.leader->room = false; // It stays in the open batch.
    harness_advance(scene.harness, 2000);
    const struct replica_state deposed = {.role = REPLICA_FOLLOWER, .term = 2};
    const struct replica_state elected = {.role = REPLICA_LEADER, .term = 3, .leader_id = 1};
    broker_on_state(&scene.leader->broker, &deposed);
    harness_advance(scene.harness, 2000); // Nobody leads: it is given up.
    scene.leader->room = true;
    assert_int_equal(cut_segment(scene.leader), 0);
    broker_on_state(&scene.leader->broker, &elected);
    harness_advance(scene.harness, 2000);
    assert_int_equal(cut_segment(scene.leader), 2);
    scene_free(&scene);
}

/* --- What clients see --------------------------------------------------------------------- */

/* Segments 1 and 2 are gone: U1 and U2, offsets 0 and 1. */
static struct scene scene_cut(void)
{
    struct scene scene = scene_new(1);
    age(&scene, 69);
    assert_int_equal(cut_segment(scene.leader), 3);
    return scene;
}

static struct command pull_from(struct scene *scene, const char *offset, int32_t code)
{
    harness_send(scene->pipe, 11, 3, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "0",
                 "queueOffset", offset, "maxMsgNums", "32", "sysFlag", "4", "commitOffset", "0",
                 "subscription", "*", NULL);
    return expect_answer(scene->pipe, 3, code);
}

static void a_pull_below_the_first_offset_is_told_where_to_go_on(void **state)
{
    (void)state;
    struct scene scene = scene_cut();
    struct command response = pull_from(&scene, "0", 21);
    assert_int_equal(expect_field(&response, "nextBeginOffset"), 2);
    assert_int_equal(expect_field(&response, "minOffset"), 2);
    response = pull_from(&scene, "2", 0);
    assert_int_equal(expect_field(&response, "nextBeginOffset"), 4);
    assert_int_equal(expect_field(&response, "minOffset"), 2);
    struct message message;
    harness_message(response.body, &message);
    assert_true(slice_equals_text(message.body, "U3"));
    assert_int_equal(message.queue_offset, 2);
    scene_free(&scene);
}

static void cut_while_it_is_read(const char *type, const char *expression)
{
    struct scene scene = scene_new(1);
    scene.harness->block_reads = true;
    harness_send(scene.pipe, 11, 3, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "0",
                 "queueOffset", "0", "maxMsgNums", "1", "sysFlag", "4", "commitOffset", "0",
                 "subscription", expression, "expressionType", type, NULL);
    assert_int_equal(scene.harness->blocked_count, 1);
    age(&scene, 69);
    // By then its place belongs to somebody else.
    struct position_read *read = scene.harness->blocked[--scene.harness->blocked_count];
    memset(read->to, 0xEE, read->size);
    read->done(read, STATUS_OK);
    struct command response = expect_answer(scene.pipe, 3, 20);
    assert_int_equal(expect_field(&response, "nextBeginOffset"), 0);
    scene.harness->block_reads = false;
    pull_from(&scene, "0", 21);
    scene_free(&scene);
}

static void a_message_cut_while_it_is_read_makes_the_client_ask_again(void **state)
{
    (void)state;
    cut_while_it_is_read("TAG", "*");
    cut_while_it_is_read("SQL92", "TRUE");
}

static void the_first_offset_and_time_are_those_of_what_is_left(void **state)
{
    (void)state;
    struct scene scene = scene_cut();
    harness_send(scene.pipe, 31, 4, 0, NO_BODY, "topic", "T", "queueId", "0", NULL);
    struct command response = expect_answer(scene.pipe, 4, 0);
    assert_int_equal(expect_field(&response, "offset"), 2);
    harness_send(scene.pipe, 32, 5, 0, NO_BODY, "topic", "T", "queueId", "0", NULL);
    response = expect_answer(scene.pipe, 5, 0);
    int64_t earliest = expect_field(&response, "timestamp");
    assert_int_equal(earliest, 1700000000000 + 2 * HOUR_MS);
    harness_send(scene.pipe, 202, 6, 0, NO_BODY, "topic", "T", NULL);
    response = expect_answer(scene.pipe, 6, 0);
    assert_true(slice_contains(response.body, "\"minOffset\":2"));
    harness_send(scene.pipe, 28, 7, 0, NO_BODY, NULL);
    response = expect_answer(scene.pipe, 7, 0);
    char text[64];
    snprintf(text, sizeof text, "\"earliestMessageTimeStamp\":\"%" PRId64 "\"", earliest);
    assert_true(slice_contains(response.body, text));
    snprintf(text, sizeof text, "\"commitLogMinOffset\":\"%" PRIu64 "\"",
             3 * (uint64_t)SEGMENT_SIZE);
    assert_true(slice_contains(response.body, text));
    scene_free(&scene);
}

static void the_id_and_the_key_of_a_cut_message_find_nothing(void **state)
{
    (void)state;
    struct scene scene = scene_cut();
    char offset[24];
    struct command response;
    snprintf(offset, sizeof offset, "%" PRIu64, scene.positions[2]);
    harness_send(scene.pipe, 33, 4, 0, NO_BODY, "offset", offset, NULL);
    expect_answer(scene.pipe, 4, 1);
    snprintf(offset, sizeof offset, "%" PRIu64, scene.positions[3]);
    harness_send(scene.pipe, 33, 5, 0, NO_BODY, "offset", offset, NULL);
    expect_answer(scene.pipe, 5, 0);
    harness_send(scene.pipe, 12, 6, 0, NO_BODY, "topic", "T", "key", "k", "maxNum", "32",
                 "beginTimestamp", "0", "endTimestamp", "9999999999999", NULL);
    response = expect_answer(scene.pipe, 6, 0);
    assert_true(slice_contains(response.body, "U3") && slice_contains(response.body, "U4"));
    assert_false(slice_contains(response.body, "U1") || slice_contains(response.body, "U2"));
    harness_send(scene.pipe, 12, 7, 0, NO_BODY, "topic", "T", "key", "U1", "maxNum", "32",
                 "beginTimestamp", "0", "endTimestamp", "9999999999999", "_UNIQUE_KEY_QUERY",
                 "true", NULL);
    expect_answer(scene.pipe, 7, 22);
    scene_free(&scene);
}

static void a_search_by_time_before_the_first_message_finds_the_first_one(void **state)
{
    (void)state;
    struct scene scene = scene_cut();
    harness_send(scene.pipe, 29, 4, 0, NO_BODY, "topic", "T", "queueId", "0", "timestamp", "1",
                 NULL);
    struct command response = expect_answer(scene.pipe, 4, 0);
    assert_int_equal(expect_field(&response, "offset"), 2);
    scene_free(&scene);
}

/* --- Transactions ------------------------------------------------------------------------- */

struct half {
    uint64_t position;
    char position_text[24];
    char offset[24];
};

static struct half send_half(struct scene *scene, const char *unique_key)
{
    char properties[128];
    struct half half;
    struct slice id;
    struct host host;
    int64_t position;
    snprintf(properties, sizeof properties, "UNIQ_KEY\001%s\002TRAN_MSG\001true\002PGROUP\001P\002",
             unique_key);
    harness_send(scene->pipe, 310, 1, 0, slice_text("pay 100"), "a", "P", "b", "T", "c", "TBW102",
                 "d", "4", "e", "2", "f", "4", "g", "1700000000001", "h", "0", "i", properties,
                 NULL);
    harness_commit(scene->harness);
    struct command response = expect_answer(scene->pipe, 1, 0);
    assert_true(command_find(&response, "msgId", &id));
    assert_int_equal(offset_message_id_parse(id, &host, &position), STATUS_OK);
    half.position = (uint64_t)position;
    snprintf(half.position_text, sizeof half.position_text, "%" PRId64, position);
    snprintf(half.offset, sizeof half.offset, "%" PRId64, expect_field(&response, "queueOffset"));
    return half;
}

static void end_with(struct scene *scene, const struct half *half, const char *decision,
                     int32_t code)
{
    harness_send(scene->pipe, 37, 2, 0, NO_BODY, "producerGroup", "P", "tranStateTableOffset",
                 half->offset, "commitLogOffset", half->position_text, "commitOrRollback", decision,
                 "msgId", "U", NULL);
    harness_commit(scene->harness);
    expect_answer(scene->pipe, 2, code);
}

static void a_pending_half_is_kept_whatever_presses(void **state)
{
    (void)state;
    struct scene scene = scene_new(1);
    scene.leader->settings.transaction_age_max_ms = UINT64_MAX / 2;
    scene.leader->settings.disk_ratio_forced = 85;
    scene.leader->settings.log_size_max = 1;
    scene.leader->storage.disk_total = 10000;
    struct half half = send_half(&scene, "H1");
    for (int i = 0; i < 4; i++) {
        fill_segment(scene.harness, scene.pipe, "more");
    }
    scene.harness->now_ms += 1000 * HOUR_MS;
    harness_advance(scene.harness, 5000);
    assert_int_equal(cut_segment(scene.leader), half.position / SEGMENT_SIZE);
    end_with(&scene, &half, "8", 0);
    // Its body stays where it is, with the message that was made visible just now.
    harness_advance(scene.harness, 5000);
    assert_int_equal(cut_segment(scene.leader), 7);
    harness_send(scene.pipe, 11, 3, 0, NO_BODY, "consumerGroup", "G", "topic", "T", "queueId", "2",
                 "queueOffset", "0", "maxMsgNums", "32", "sysFlag", "4", "commitOffset", "0",
                 "subscription", "*", NULL);
    struct command response = expect_answer(scene.pipe, 3, 0);
    struct message message;
    harness_message(response.body, &message);
    assert_true(slice_equals_text(message.body, "pay 100"));
    assert_int_equal(machine_cut_done(scene.leader->machine).log_first / SEGMENT_SIZE,
                     half.position / SEGMENT_SIZE);
    scene_free(&scene);
}

static void an_expired_half_that_was_cut_is_shown_as_rolled_back_by_retention(void **state)
{
    (void)state;
    struct scene scene = scene_new(1);
    struct half half = send_half(&scene, "H1");
    scene.leader->settings.transaction_age_max_ms = 1000;
    harness_advance(scene.harness, 3000);
    const struct transaction *transaction =
        machine_transaction_find(scene.leader->machine, half.position);
    assert_int_equal(transaction->state, TRANSACTION_EXPIRED);
    fill_segment(scene.harness, scene.pipe, "more");
    fill_segment(scene.harness, scene.pipe, "more");
    scene.leader->settings.log_size_max = 2 * (uint64_t)SEGMENT_SIZE;
    harness_advance(scene.harness, 3000);
    harness_send(scene.pipe, 7111, 4, 0, NO_BODY, "position", half.position_text, NULL);
    struct command response = expect_answer(scene.pipe, 4, 0);
    assert_true(slice_contains(response.body, "\"state\":\"rolledback\""));
    assert_true(slice_contains(response.body, "rolled back by retention"));
    assert_true(slice_contains(response.body, "\"topic\":\"T\""));
    harness_send(scene.pipe, 7110, 5, 0, NO_BODY, "state", "rolledback", NULL);
    response = expect_answer(scene.pipe, 5, 0);
    assert_true(slice_contains(response.body, half.position_text));
    end_with(&scene, &half, "8", 1); // Decided, the other way.
    harness_advance(scene.harness, 31 * 60 * 1000);
    end_with(&scene, &half, "8", 1); // And then unknown.
    assert_null(machine_transaction_find(scene.leader->machine, half.position));
    harness_send(scene.pipe, 7111, 6, 0, NO_BODY, "position", half.position_text, NULL);
    expect_answer(scene.pipe, 6, 22);
    scene_free(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_go_by_age_segment_by_segment),
        cmocka_unit_test(the_newest_segments_stay_however_old),
        cmocka_unit_test(a_clock_that_is_wrong_for_a_moment_costs_nothing),
        cmocka_unit_test(no_limit_by_age_keeps_all),
        cmocka_unit_test(messages_go_when_the_log_is_too_large),
        cmocka_unit_test(a_disk_that_fills_up_takes_one_segment_after_the_other),
        cmocka_unit_test(the_fuller_the_disk_the_more_goes_but_not_all_at_once),
        cmocka_unit_test(a_follower_has_nothing_cut),
        cmocka_unit_test(a_cut_that_got_lost_is_proposed_anew),
        cmocka_unit_test(a_pull_below_the_first_offset_is_told_where_to_go_on),
        cmocka_unit_test(a_message_cut_while_it_is_read_makes_the_client_ask_again),
        cmocka_unit_test(the_first_offset_and_time_are_those_of_what_is_left),
        cmocka_unit_test(the_id_and_the_key_of_a_cut_message_find_nothing),
        cmocka_unit_test(a_search_by_time_before_the_first_message_finds_the_first_one),
        cmocka_unit_test(a_pending_half_is_kept_whatever_presses),
        cmocka_unit_test(an_expired_half_that_was_cut_is_shown_as_rolled_back_by_retention),
    };
    return cmocka_run_group_tests_name("retention", tests, NULL, NULL);
}
