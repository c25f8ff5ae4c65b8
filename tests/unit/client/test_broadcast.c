/* Broadcasting consumers against a fake broker on loopback, and the file of their offsets. */
#include "tests/support/fake_broker.h"
#include "tests/support/golden.h"
#include "tests/support/temp_directory.h"
#include "tests/support/test.h"
#include "tests/support/wait.h"

#include "client/include/raftmq.h"
#include "client/local_offsets.h"
#include "common/base/file.h"

#include <stdio.h>
#include <unistd.h>

enum { QUEUES = FAKE_BROKERS * FAKE_QUEUES };

/* One process, so to say, with a directory of its own. */
struct place {
    struct temp_directory directory;
    struct raftmq_client *client;
    struct raftmq_consumer *consumer;
    atomic_int done;
    atomic_int deliveries;
    atomic_int fail_times;
};

struct fixture {
    struct fake_broker fake;
    struct place places[2];
    struct raftmq_producer *producer;
    struct raftmq_error error;
};

static enum raftmq_consumed listen_all(void *context, const struct raftmq_received *message)
{
    struct place *place = context;
    (void)message;
    atomic_fetch_add(&place->deliveries, 1);
    if (atomic_load(&place->fail_times) > 0) {
        atomic_fetch_sub(&place->fail_times, 1);
        return RAFTMQ_CONSUME_LATER;
    }
    atomic_fetch_add(&place->done, 1);
    return RAFTMQ_CONSUMED;
}

static int setup(void **state)
{
    struct fixture *fixture = mem_zalloc(sizeof *fixture);
    char address[32];
    fake_broker_start(&fixture->fake);
    const struct raftmq_client_options options = {
        .nameservers = fake_broker_address(&fixture->fake, address),
        .rebalance_ms = 50,
        .persist_offsets_ms = 20,
    };
    for (int i = 0; i < 2; i++) {
        temp_directory_make(&fixture->places[i].directory);
        assert_int_equal(raftmq_client_new(&options, &fixture->places[i].client, &fixture->error),
                         RAFTMQ_OK);
    }
    assert_int_equal(
        raftmq_producer_new(fixture->places[0].client, "p", NULL, NULL, &fixture->producer, NULL),
        RAFTMQ_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    raftmq_producer_close(fixture->producer);
    for (int i = 0; i < 2; i++) {
        raftmq_consumer_close(fixture->places[i].consumer);
        raftmq_client_close(fixture->places[i].client);
        temp_directory_remove(&fixture->places[i].directory);
    }
    fake_broker_stop(&fixture->fake);
    free(fixture);
    return 0;
}

static enum raftmq_status consume(struct fixture *fixture, struct place *place,
                                  const char *directory, bool orderly)
{
    const struct raftmq_subscription subscription = {.topic = "T"};
    const struct raftmq_consumer_options options = {
        .group = "c",
        .subscriptions = &subscription,
        .subscription_count = 1,
        .listener = listen_all,
        .context = place,
        .from = RAFTMQ_FROM_FIRST,
        .orderly = orderly,
        .broadcasting = true,
        .offsets_directory = directory,
        .retries_max = 2,
        .redeliver_ms = 5,
    };
    return raftmq_consumer_new(place->client, &options, &place->consumer, &fixture->error);
}

static void stop(struct place *place)
{
    raftmq_consumer_close(place->consumer);
    place->consumer = NULL;
}

static void send_some(struct fixture *fixture, int count)
{
    const struct raftmq_message message = {.topic = "T", .body = "x", .body_size = 1};
    for (int i = 0; i < count; i++) {
        assert_int_equal(raftmq_send(fixture->producer, &message, 0, NULL, &fixture->error),
                         RAFTMQ_OK);
    }
}

static void every_member_gets_everything_and_goes_on_where_it_was(void **state)
{
    struct fixture *fixture = *state;
    struct place *places = fixture->places;
    send_some(fixture, 40);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(consume(fixture, &places[i], places[i].directory.path, i == 1), RAFTMQ_OK);
        WAIT_FOR(atomic_load(&places[i].done) == 40);
        assert_int_equal(raftmq_consumer_queue_count(places[i].consumer), QUEUES); // No retries.
    }
    stop(&places[0]);
    send_some(fixture, 20);
    WAIT_FOR(atomic_load(&places[1].done) == 60);
    assert_int_equal(consume(fixture, &places[0], places[0].directory.path, false), RAFTMQ_OK);
    WAIT_FOR(atomic_load(&places[0].done) == 60);
    stop(&places[0]);
    stop(&places[1]);
    // Nothing again, nothing missed, and the brokers were told of no offset, lock or failure.
    assert_int_equal(atomic_load(&places[0].deliveries), 60);
    assert_int_equal(atomic_load(&places[1].deliveries), 60);
    assert_int_equal(atomic_load(&fixture->fake.last_offset[0][0]), -1);
    assert_int_equal(atomic_load(&fixture->fake.locks), 0);
    assert_int_equal(atomic_load(&fixture->fake.given_back), 0);
}

static void what_fails_is_tried_here_and_then_given_up(void **state)
{
    struct fixture *fixture = *state;
    struct place *place = &fixture->places[0];
    for (int orderly = 0; orderly < 2; orderly++) {
        int deliveries = atomic_load(&place->deliveries);
        int done = atomic_load(&place->done);
        atomic_store(&place->fail_times, 3); // Two retries: one message fails for good.
        send_some(fixture, 1);
        assert_int_equal(consume(fixture, place, place->directory.path, orderly == 1), RAFTMQ_OK);
        WAIT_FOR(atomic_load(&place->deliveries) == deliveries + 3);
        send_some(fixture, 8);
        WAIT_FOR(atomic_load(&place->done) == done + 8);
        stop(place);
    }
}

static void a_reset_reaches_what_is_kept_here(void **state)
{
    struct fixture *fixture = *state;
    struct place *place = &fixture->places[0];
    send_some(fixture, 12);
    assert_int_equal(consume(fixture, place, place->directory.path, false), RAFTMQ_OK);
    WAIT_FOR(atomic_load(&place->done) == 12);
    fake_broker_reset(&fixture->fake);
    WAIT_FOR(atomic_load(&place->done) == 24);
    assert_int_equal(atomic_load(&fixture->fake.last_offset[0][0]), -1);
}

static void a_directory_serves_one_process_at_a_time(void **state)
{
    struct fixture *fixture = *state;
    struct place *places = fixture->places;
    assert_int_equal(consume(fixture, &places[0], places[0].directory.path, false), RAFTMQ_OK);
    assert_int_equal(consume(fixture, &places[1], places[0].directory.path, false),
                     RAFTMQ_INVALID_ARGUMENT);
    assert_non_null(strstr(fixture->error.remark, "another consumer"));
    assert_int_equal(consume(fixture, &places[1], "no/such/directory", false),
                     RAFTMQ_INVALID_ARGUMENT);
    assert_int_equal(consume(fixture, &places[1], NULL, false), RAFTMQ_INVALID_ARGUMENT);
    stop(&places[0]);
    assert_int_equal(consume(fixture, &places[1], places[0].directory.path, false), RAFTMQ_OK);
    stop(&places[1]);
}

static void a_damaged_file_is_not_taken_for_an_empty_one(void **state)
{
    struct fixture *fixture = *state;
    struct place *place = &fixture->places[0];
    char path[TEMP_PATH_MAX + 16];
    snprintf(path, sizeof path, "%s/c.offsets", place->directory.path);
    assert_int_equal(file_replace(path, slice_text("raftmq offsets 1\n0 5 T b\n")), STATUS_OK);
    assert_int_equal(consume(fixture, place, place->directory.path, false),
                     RAFTMQ_INVALID_ARGUMENT);
    assert_non_null(strstr(fixture->error.remark, "c.offsets"));
}

static void the_file_says_what_was_set(void **state)
{
    (void)state;
    struct local_offsets offsets = {0};
    struct local_offsets again = {0};
    struct buf text = {0};
    bool changed = false;
    assert_true(
        local_offsets_set(&offsets, slice_text("T"), slice_text("broker a"), 0, 7, &changed));
    assert_true(local_offsets_set(&offsets, slice_text("%RETRY%g"), slice_text("b"), 12, INT64_MAX,
                                  &changed));
    assert_true(changed);
    changed = false;
    assert_true(
        local_offsets_set(&offsets, slice_text("T"), slice_text("broker a"), 0, 7, &changed));
    assert_false(changed);
    assert_false(local_offsets_set(&offsets, slice_text("T"), slice_text("b\nc"), 0, 7, &changed));
    local_offsets_encode(&offsets, &text);
    golden_check("client/local_offsets.hex", buf_slice(&text));
    assert_int_equal(local_offsets_decode(buf_slice(&text), &again), STATUS_OK);
    assert_int_equal(local_offsets_find(&again, slice_text("T"), slice_text("broker a"), 0), 7);
    assert_int_equal(local_offsets_find(&again, slice_text("%RETRY%g"), slice_text("b"), 12),
                     INT64_MAX);
    assert_int_equal(local_offsets_find(&again, slice_text("T"), slice_text("broker a"), 1), -1);
    local_offsets_close(&again);
    for (size_t size = 0; size < text.size; size++) {
        assert_int_equal(local_offsets_decode(slice_of(text.data, size), &again), STATUS_CORRUPT);
        local_offsets_close(&again);
        text.data[size] ^= 1;
        assert_int_equal(local_offsets_decode(buf_slice(&text), &again), STATUS_CORRUPT);
        local_offsets_close(&again);
        text.data[size] ^= 1;
    }
    buf_put_u8(&text, '\n');
    assert_int_equal(local_offsets_decode(buf_slice(&text), &again), STATUS_CORRUPT);
    local_offsets_close(&again);
    local_offsets_close(&offsets);
    buf_close(&text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_member_gets_everything_and_goes_on_where_it_was),
        TEST(what_fails_is_tried_here_and_then_given_up),
        TEST(a_reset_reaches_what_is_kept_here),
        TEST(a_directory_serves_one_process_at_a_time),
        TEST(a_damaged_file_is_not_taken_for_an_empty_one),
        cmocka_unit_test(the_file_says_what_was_set),
    };
    return cmocka_run_group_tests_name("broadcast", tests, NULL, NULL);
}
