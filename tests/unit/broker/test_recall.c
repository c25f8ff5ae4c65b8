/* Timer messages that are taken back: by their handle, in time, and by nothing else. */
#include "tests/support/test.h"

#include "broker/core/recall_handle.h"
#include "common/base/base64url.h"
#include "tests/support/broker_harness.h"

#include <inttypes.h>
#include <stdio.h>

struct world {
    struct harness *harness;
    struct harness_pipe *pipe;
    char handle[512]; /* Of the message sent last; "" if its answer had none. */
};

static int open_world(void **state)
{
    struct world *world = mem_zalloc(sizeof *world);
    world->harness = harness_new(3);
    harness_link(&world->harness->replicas[1]);
    world->pipe = harness_connect(harness_leader(world->harness), 5000);
    for (size_t i = 0; i < 3; i++) {
        world->harness->replicas[i].settings.recall_enabled = true;
    }
    *state = world;
    return 0;
}

static int close_world(void **state)
{
    struct world *world = *state;
    harness_disconnect(world->pipe);
    harness_free(world->harness);
    free(world);
    return 0;
}

static void send_with(struct world *world, const char *topic, const char *properties)
{
    struct command response;
    struct slice handle = {0};
    harness_send(world->pipe, 310, 1, 0, slice_text("m"), "a", "P", "b", topic, "c", "TBW102", "d",
                 "4", "e", "0", "f", "0", "g", "1", "h", "0", "i", properties, "j", "0", NULL);
    harness_commit(world->harness);
    assert_true(harness_receive(world->pipe, &response));
    assert_int_equal(response.code, 0);
    (void)command_find(&response, "recallHandle", &handle);
    snprintf(world->handle, sizeof world->handle, "%.*s", SLICE_ARGS(handle));
}

/* The code; a success names the message. */
static int32_t recall(struct harness_pipe *pipe, const char *topic, const char *handle)
{
    struct command response;
    struct slice id;
    harness_send(pipe, 370, 2, 0, slice_of(NULL, 0), "producerGroup", "P", "topic", topic,
                 "recallHandle", handle, NULL);
    harness_commit(pipe->replica->harness);
    assert_true(harness_receive(pipe, &response));
    assert_int_equal(response.opaque, 2);
    if (response.code == 0) {
        assert_true(command_find(&response, "msgId", &id));
        assert_true(slice_equals_text(id, "U1"));
    } else {
        assert_true(response.remark.size > 0);
    }
    return response.code;
}

static int64_t visible(struct world *world)
{
    const struct queue *queue =
        machine_queue_find(harness_leader(world->harness)->machine, slice_text("T"), 0);
    return queue->offset_next;
}

static void a_handle_is_what_clients_expect(void **state)
{
    (void)state;
    struct buf begun = {0};
    struct buf text = {0};
    struct buf scratch = {0};
    struct recall_handle handle;
    assert_true(recall_handle_begin(slice_text("T"), slice_text("broker-a"), 1700000000500,
                                    slice_text("U1"), &begun));
    recall_handle_end(buf_slice(&begun), 597, &text);
    assert_true(
        slice_equals_text(buf_slice(&text), "djEgVCBicm9rZXItYSAxNzAwMDAwMDAwNTAwIFUxLjU5Nw=="));
    buf_put_text(&scratch, "before");
    assert_true(recall_handle_parse(buf_slice(&text), &scratch, &handle));
    assert_true(slice_equals_text(handle.topic, "T"));
    assert_true(slice_equals_text(handle.broker, "broker-a"));
    assert_true(slice_equals_text(handle.unique_key, "U1"));
    assert_int_equal(handle.deliver_ms, 1700000000500);
    assert_int_equal(handle.position, 597);
    buf_clear(&begun);
    assert_false(
        recall_handle_begin(slice_text("T"), slice_text("b"), 1, slice_text("a b"), &begun));
    assert_false(recall_handle_begin(slice_text("T"), slice_text("b"), 1, slice_text(""), &begun));
    assert_int_equal(begun.size, 0);
    buf_close(&begun);
    buf_close(&text);
    buf_close(&scratch);
}

static void rubbish_is_no_handle(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "v1",
        "v1 T",
        "v1 T b",
        "v1 T b 1",
        "v1 T b 1 U",
        "v1 T b x U.1",
        "v1 T b -1 U.1",
        "v1 T b 1 U.x",
        "v1 T b 1 U.",
        "v2 T b 1 U.1",
        "v1 T b 1 U.1 more",
        "v1 T b 1 U.-1",
        " v1 T b 1 U.1",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct buf text = {0};
        struct buf scratch = {0};
        struct recall_handle handle;
        base64url_append(&text, slice_text(bad[i]));
        assert_false(recall_handle_parse(buf_slice(&text), &scratch, &handle));
        buf_close(&text);
        buf_close(&scratch);
    }
    struct buf scratch = {0};
    struct recall_handle handle;
    assert_false(recall_handle_parse(slice_text("no base64!"), &scratch, &handle));
    buf_close(&scratch);
}

static void what_is_recalled_in_time_is_never_seen(void **state)
{
    struct world *world = *state;
    send_with(world, "T", "UNIQ_KEY\001U1\002TIMER_DELAY_MS\0012000\002");
    assert_true(world->handle[0] != '\0');
    harness_advance(world->harness, 1000);
    assert_int_equal(recall(world->pipe, "T", world->handle), 0);
    assert_int_equal(recall(world->pipe, "T", world->handle), 604);
    harness_advance(world->harness, 3000);
    assert_int_equal(visible(world), 0);
    // Through a follower, too.
    struct harness_pipe *pipe = harness_connect(&world->harness->replicas[1], 5001);
    send_with(world, "T", "UNIQ_KEY\001U1\002TIMER_DELAY_MS\0012000\002");
    assert_int_equal(recall(pipe, "T", world->handle), 0);
    harness_disconnect(pipe);
    harness_advance(world->harness, 3000);
    assert_int_equal(visible(world), 0);
}

static void what_has_fired_or_is_anothers_stays(void **state)
{
    struct world *world = *state;
    send_with(world, "other", "UNIQ_KEY\001U1\002");
    send_with(world, "T", "UNIQ_KEY\001U1\002TIMER_DELAY_MS\0012000\002");
    assert_int_equal(recall(world->pipe, "other", world->handle), 604);
    assert_int_equal(recall(world->pipe, "nowhere", world->handle), 17);
    assert_int_equal(recall(world->pipe, "T", "bm90aGluZw=="), 604);
    struct buf forged = {0};
    base64url_append(&forged, slice_text("v1 T broker-b 1999999999999 U1.597"));
    assert_int_equal(recall(world->pipe, "T", buf_text(&forged)), 604);
    buf_clear(&forged);
    base64url_append(&forged, slice_text("v1 T broker-a 9999999999999 U2.597"));
    assert_int_equal(recall(world->pipe, "T", buf_text(&forged)), 604);
    buf_clear(&forged);
    base64url_append(&forged, slice_text("v1 T broker-a 9999999999999 .597"));
    assert_int_equal(recall(world->pipe, "T", buf_text(&forged)), 604);
    buf_close(&forged);
    harness_advance(world->harness, 2100);
    assert_int_equal(visible(world), 1);
    assert_int_equal(recall(world->pipe, "T", world->handle), 604);
    assert_int_equal(visible(world), 1);
}

static void only_timers_have_a_handle_and_only_if_it_is_switched_on(void **state)
{
    struct world *world = *state;
    send_with(world, "T", "UNIQ_KEY\001U1\002");
    assert_string_equal(world->handle, "");
    send_with(world, "T", "UNIQ_KEY\001U1\002DELAY\0013\002");
    assert_string_equal(world->handle, "");
    send_with(world, "%RETRY%G", "UNIQ_KEY\001U1\002TIMER_DELAY_MS\0012000\002");
    assert_string_equal(world->handle, "");
    send_with(world, "T",
              "UNIQ_KEY\001U1\002TRAN_MSG\001true\002PGROUP\001P\002TIMER_DELAY_MS\0012000\002");
    assert_string_equal(world->handle, "");
    send_with(world, "T", "UNIQ_KEY\001U2\002TIMER_DELAY_MS\0012000\002");
    assert_true(world->handle[0] != '\0');
    harness_send(world->pipe, 370, 2, 0, slice_of(NULL, 0), "topic", "T", NULL);
    struct command response;
    assert_true(harness_receive(world->pipe, &response));
    assert_int_equal(response.code, 29);
    harness_leader(world->harness)->settings.recall_enabled = false;
    assert_int_equal(recall(world->pipe, "T", world->handle), 16);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handle_is_what_clients_expect),
        cmocka_unit_test(rubbish_is_no_handle),
        TEST(what_is_recalled_in_time_is_never_seen),
        TEST(what_has_fired_or_is_anothers_stays),
        TEST(only_timers_have_a_handle_and_only_if_it_is_switched_on),
    };
#undef TEST
    return cmocka_run_group_tests_name("recall", tests, NULL, NULL);
}
