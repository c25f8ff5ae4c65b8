/* Delayed messages through the broker core: what clients may ask for, what consumers see when, and
 * that each is seen once. */
#include "tests/support/test.h"

#include "common/remoting/properties.h"
#include "tests/support/broker_harness.h"

#include <inttypes.h>
#include <stdio.h>

/* A tick finds what is due, and may have just missed it. */
enum { LATE_MAX_MS = 2 * BROKER_TICK_MS };

struct world {
    struct harness *harness;
    struct harness_pipe *pipe;
};

static int open_world(void **state)
{
    struct world *world = mem_zalloc(sizeof *world);
    world->harness = harness_new(3);
    harness_link(&world->harness->replicas[1]);
    world->pipe = harness_connect(harness_leader(world->harness), 5000);
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

static void send_to(struct harness_pipe *pipe, const char *queue, const char *properties,
                    const char *body)
{
    harness_send(pipe, 310, 1, 0, slice_text(body), "a", "P", "b", "T", "c", "TBW102", "d", "4",
                 "e", queue, "f", "0", "g", "1700000000001", "h", "7", "i", properties, "j", "0",
                 NULL);
    harness_commit(pipe->replica->harness);
}

/* The answer's code, and where the message is by its msgId. */
static int32_t stored_at(struct harness_pipe *pipe, int64_t *position)
{
    struct command response;
    struct slice id;
    struct host host;
    assert_true(harness_receive(pipe, &response));
    if (response.code == 0) {
        assert_true(command_find(&response, "msgId", &id));
        assert_int_equal(offset_message_id_parse(id, &host, position), STATUS_OK);
    } else {
        assert_true(response.remark.size > 0);
    }
    return response.code;
}

static int32_t send_code(struct harness_pipe *pipe, const char *properties)
{
    int64_t position;
    send_to(pipe, "0", properties, "m");
    return stored_at(pipe, &position);
}

/* How many messages a consumer can see in a queue; the last one is decoded into *message. */
static int64_t visible(struct harness_pipe *pipe, const char *queue, struct message *message)
{
    struct command response;
    int64_t next = 0;
    harness_send(pipe, 11, 3, 0, slice_of(NULL, 0), "consumerGroup", "G", "topic", "T", "queueId",
                 queue, "queueOffset", "0", "maxMsgNums", "32", "sysFlag", "4", "commitOffset", "0",
                 "subscription", "*", NULL);
    assert_true(harness_receive(pipe, &response));
    if (response.code == 0) {
        assert_int_equal(command_i64(&response, "nextBeginOffset", true, &next), STATUS_OK);
        for (size_t at = 0, size; at < response.body.size; at += size) {
            assert_int_equal(message_decode(slice_from(response.body, at), message, &size),
                             STATUS_OK);
        }
    } else {
        assert_int_equal(response.code, 19);
    }
    return next;
}

static void assert_property(const struct message *message, const char *name, const char *expected)
{
    struct slice value;
    bool found = properties_find(message->properties, name, &value);
    assert_true(found == (expected != NULL));
    assert_true(expected == NULL || slice_equals_text(value, expected));
}

static uint64_t waiting(struct world *world)
{
    struct machine_counters counters;
    machine_counters(harness_leader(world->harness)->machine, &counters);
    return counters.delayed_waiting;
}

/* Code of VIEW_MESSAGE_BY_ID; the message is copied into bytes. */
static int32_t view(struct harness_pipe *pipe, int64_t position, struct buf *bytes)
{
    struct command response;
    char offset[24];
    snprintf(offset, sizeof offset, "%" PRId64, position);
    harness_send(pipe, 33, 4, 0, slice_of(NULL, 0), "offset", offset, NULL);
    assert_true(harness_receive(pipe, &response));
    buf_clear(bytes);
    buf_put_slice(bytes, response.body);
    return response.code;
}

static void a_level_delays_a_message_that_then_shows_as_it_was_sent(void **state)
{
    struct world *world = *state;
    struct message message;
    int64_t position;
    send_to(world->pipe, "2", "UNIQ_KEY\001U1\002DELAY\0011\002TAGS\001a\002k\001v", "later");
    assert_int_equal(stored_at(world->pipe, &position), 0);
    int64_t sent_ms = (int64_t)world->harness->now_ms;
    harness_advance(world->harness, 1000 - BROKER_TICK_MS);
    assert_int_equal(visible(world->pipe, "2", &message), 0);
    harness_advance(world->harness, LATE_MAX_MS);
    assert_int_equal(visible(world->pipe, "2", &message), 1);
    assert_true(slice_equals_text(message.body, "later"));
    assert_true(slice_equals_text(message.topic, "T"));
    assert_int_equal(message.queue_id, 2);
    assert_int_equal(message.queue_offset, 0);
    assert_int_equal(message.flag, 7);
    assert_int_equal(message.born_time_ms, 1700000000001);
    assert_true(message.store_time_ms >= sent_ms + 1000);
    assert_int_equal(message.sys_flag & SYS_FLAG_TRANSACTION_MASK, 0);
    assert_int_equal(message.prepared_offset, 0);
    assert_true(message.physical_offset > position);
    assert_property(&message, "UNIQ_KEY", "U1");
    assert_property(&message, "DELAY", "1");
    assert_property(&message, "REAL_TOPIC", "T");
    assert_property(&message, "REAL_QID", "2");
    assert_property(&message, "k", "v");
    assert_property(&message, "TIMER_OUT_MS", NULL);
    harness_advance(world->harness, 5000);
    assert_int_equal(visible(world->pipe, "2", &message), 1);
    assert_int_equal(waiting(world), 0);
}

/* Its sender has an id from the beginning, its consumers another one. */
static void both_ids_of_a_delayed_message_lead_to_it(void **state)
{
    struct world *world = *state;
    struct buf before = {0};
    struct buf after = {0};
    struct message message;
    int64_t position;
    send_to(world->pipe, "1", "UNIQ_KEY\001U1\002DELAY\0011\002", "later");
    assert_int_equal(stored_at(world->pipe, &position), 0);
    assert_int_equal(view(world->pipe, position, &before), 0);
    harness_message(buf_slice(&before), &message);
    assert_true(slice_equals_text(message.body, "later"));
    assert_int_equal(message.prepared_offset, 0);
    assert_int_equal(message.physical_offset, position);
    assert_int_equal(message.store_time_ms, (int64_t)world->harness->now_ms);
    send_to(world->pipe, "1", "UNIQ_KEY\001U1\002", "another one with that key");
    assert_int_equal(stored_at(world->pipe, &(int64_t){0}), 0);
    harness_advance(world->harness, 1100);
    assert_int_equal(visible(world->pipe, "1", &message), 2);
    int64_t shown_at = message.physical_offset;
    assert_int_equal(view(world->pipe, shown_at, &before), 0);
    assert_int_equal(view(world->pipe, position, &after), 0);
    assert_true(slice_equals(buf_slice(&before), buf_slice(&after)));
    harness_message(buf_slice(&after), &message);
    assert_int_equal(message.physical_offset, shown_at);
    assert_int_equal(message.queue_offset, 1);
    // The same through whatever a body pretends to be.
    assert_int_equal(view(world->pipe, position + 1, &after), 1);
    buf_close(&before);
    buf_close(&after);
}

static void timers_are_due_to_the_millisecond_and_levels_go_before_them(void **state)
{
    struct world *world = *state;
    struct message message;
    char at[64];
    int64_t now = (int64_t)world->harness->now_ms;
    snprintf(at, sizeof at, "TIMER_DELIVER_MS\001%" PRId64 "\002", now + 300);
    assert_int_equal(send_code(world->pipe, at), 0);
    assert_int_equal(send_code(world->pipe, "TIMER_DELAY_MS\001500\002TIMER_DELIVER_MS\0011\002"),
                     0);
    assert_int_equal(send_code(world->pipe, "TIMER_DELAY_SEC\0011\002TIMER_DELAY_MS\0011\002"), 0);
    assert_int_equal(send_code(world->pipe, "DELAY\0012\002TIMER_DELAY_SEC\0011\002"), 0);
    assert_int_equal(waiting(world), 4);
    harness_advance(world->harness, 250);
    assert_int_equal(visible(world->pipe, "0", &message), 0);
    harness_advance(world->harness, LATE_MAX_MS);
    assert_int_equal(visible(world->pipe, "0", &message), 1);
    snprintf(at, sizeof at, "%" PRId64, now + 300);
    assert_property(&message, "TIMER_OUT_MS", at);
    assert_property(&message, "TIMER_DELIVER_MS", at);
    harness_advance(world->harness, 200);
    assert_int_equal(visible(world->pipe, "0", &message), 2);
    harness_advance(world->harness, 500);
    assert_int_equal(visible(world->pipe, "0", &message), 3);
    assert_property(&message, "TIMER_DELAY_SEC", "1");
    harness_advance(world->harness, 3900);
    assert_int_equal(visible(world->pipe, "0", &message), 3);
    harness_advance(world->harness, 200);
    assert_int_equal(visible(world->pipe, "0", &message), 4);
    assert_property(&message, "DELAY", "2");
    assert_property(&message, "TIMER_DELAY_SEC", NULL);
}

static void what_is_due_already_is_an_ordinary_message(void **state)
{
    struct world *world = *state;
    struct message message;
    static const char *const properties[] = {
        "DELAY\0010\002",
        "DELAY\001-1\002",
        "TIMER_DELAY_MS\0010\002",
        "TIMER_DELAY_MS\001-5\002",
        "TIMER_DELIVER_MS\0011\002",
        // It was delayed by a broker before.
        "TIMER_DELAY_MS\00160000\002TIMER_OUT_MS\0011\002",
    };
    int64_t count = sizeof properties / sizeof properties[0];
    for (int64_t i = 0; i < count; i++) {
        assert_int_equal(send_code(world->pipe, properties[i]), 0);
        assert_int_equal(visible(world->pipe, "0", &message), i + 1);
        assert_property(&message, "REAL_TOPIC", NULL);
    }
    assert_int_equal(waiting(world), 0);
}

static void delays_that_cannot_be_honoured_are_refused(void **state)
{
    struct world *world = *state;
    struct settings *settings = &harness_leader(world->harness)->settings;
    struct harness_pipe *pipe = world->pipe;
    static const char *const bad[] = {
        "DELAY\001soon\002",
        "DELAY\00199999999999999999999\002",
        "TIMER_DELAY_SEC\001259201\002",
        "TIMER_DELAY_SEC\0019223372036854775807\002",
        "TIMER_DELAY_MS\001259200001\002",
        "TIMER_DELIVER_MS\0019223372036854775807\002",
        "TIMER_DELAY_MS\0011.5\002",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(send_code(pipe, bad[i]), 13);
    }
    assert_null(machine_topic_find(harness_leader(world->harness)->machine, slice_text("T")));
    assert_int_equal(send_code(pipe, "TIMER_DELAY_SEC\001259200\002"), 0);
    assert_int_equal(send_code(pipe, "DELAY\00199\002"), 0); // As the highest level.
    settings->timers_enabled = false;
    assert_int_equal(send_code(pipe, "TIMER_DELAY_SEC\0011\002"), 1);
    assert_int_equal(send_code(pipe, "DELAY\0011\002"), 0);
    settings->timers_enabled = true;
    assert_int_equal(waiting(world), 3);
    harness_advance(world->harness, 7200000 - 1000);
    assert_int_equal(waiting(world), 2);
    harness_advance(world->harness, 1000 + LATE_MAX_MS);
    assert_int_equal(waiting(world), 1);
}

static void put_item(struct buf *body, const char *properties)
{
    size_t start = body->size;
    memset(buf_extend(body, 16), 0, 16);
    buf_put_be32(body, 2);
    buf_put_text(body, "hi");
    buf_put_be16(body, (uint16_t)strlen(properties));
    buf_put_text(body, properties);
    be32_put(body->data + start, (uint32_t)(body->size - start));
}

static int32_t batch_code(struct harness_pipe *pipe, const char *properties, const char *item)
{
    struct command response;
    struct buf body = {0};
    put_item(&body, "UNIQ_KEY\001U1\002");
    put_item(&body, item);
    harness_send(pipe, 320, 1, 0, buf_slice(&body), "a", "P", "b", "T", "c", "TBW102", "d", "4",
                 "e", "0", "f", "0", "g", "0", "h", "0", "i", properties, "m", "true", NULL);
    harness_commit(pipe->replica->harness);
    assert_true(harness_receive(pipe, &response));
    buf_close(&body);
    return response.code;
}

static void nothing_in_a_batch_can_be_delayed(void **state)
{
    struct world *world = *state;
    assert_int_equal(batch_code(world->pipe, "", "UNIQ_KEY\001U2\002"), 0);
    assert_int_equal(batch_code(world->pipe, "DELAY\0011\002", "UNIQ_KEY\001U2\002"), 13);
    assert_int_equal(batch_code(world->pipe, "", "DELAY\0011\002"), 13);
    assert_int_equal(batch_code(world->pipe, "", "TIMER_DELAY_MS\0019\002"), 13);
    assert_int_equal(batch_code(world->pipe, "", "DELAY\0010\002"), 0);
}

/* --- Transactions --- */

static int32_t commit_half(struct harness_pipe *pipe, int64_t position, int64_t half_offset)
{
    struct command response;
    char texts[2][24];
    snprintf(texts[0], sizeof texts[0], "%" PRId64, position);
    snprintf(texts[1], sizeof texts[1], "%" PRId64, half_offset);
    harness_send(pipe, 37, 2, 0, slice_of(NULL, 0), "producerGroup", "P", "tranStateTableOffset",
                 texts[1], "commitLogOffset", texts[0], "commitOrRollback", "8", NULL);
    harness_commit(pipe->replica->harness);
    assert_true(harness_receive(pipe, &response));
    return response.code;
}

static void the_delay_of_a_transaction_begins_at_its_commit(void **state)
{
    struct world *world = *state;
    struct message message;
    static const char *const delays[] = {"DELAY\0011\002", "TIMER_DELAY_MS\0011000\002"};
    for (int64_t i = 0; i < 2; i++) {
        char properties[128];
        int64_t position;
        snprintf(properties, sizeof properties,
                 "UNIQ_KEY\001U%d\002TRAN_MSG\001true\002PGROUP\001P\002%s", (int)i, delays[i]);
        send_to(world->pipe, "3", properties, "paid");
        assert_int_equal(stored_at(world->pipe, &position), 0);
        assert_int_equal(waiting(world), 0);
        harness_advance(world->harness, 3000);
        assert_int_equal(visible(world->pipe, "3", &message), i);
        assert_int_equal(commit_half(world->pipe, position, i), 0);
        assert_int_equal(waiting(world), 1);
        const struct broker *broker = &harness_leader(world->harness)->broker;
        assert_string_equal(
            checker_reason(&broker->checker,
                           machine_transaction_find(broker->machine, (uint64_t)position)),
            "committed, and not yet visible: its delay has begun");
        harness_advance(world->harness, 900);
        assert_int_equal(visible(world->pipe, "3", &message), i);
        harness_advance(world->harness, 100 + LATE_MAX_MS);
        assert_int_equal(visible(world->pipe, "3", &message), i + 1);
        assert_int_equal(message.sys_flag & SYS_FLAG_TRANSACTION_MASK, SYS_FLAG_COMMIT);
        assert_int_equal(message.prepared_offset, position);
        assert_property(&message, "TRAN_MSG", "true");
        assert_property(&message, "REAL_QID", "3");
        assert_property(&message, "TIMER_OUT_MS", NULL); // Nobody knew when it was sent.
    }
}

/* --- Whoever leads, whoever is asked --- */

static void a_follower_takes_delayed_messages_too(void **state)
{
    struct world *world = *state;
    struct harness_pipe *pipe = harness_connect(&world->harness->replicas[1], 5001);
    struct message message;
    struct buf bytes = {0};
    int64_t position;
    send_to(pipe, "1", "UNIQ_KEY\001U1\002DELAY\0011\002", "later");
    assert_int_equal(stored_at(pipe, &position), 0);
    assert_int_equal(view(pipe, position, &bytes), 0);
    harness_message(buf_slice(&bytes), &message);
    assert_true(slice_equals_text(message.body, "later"));
    assert_int_equal(visible(pipe, "1", &message), 0);
    harness_advance(world->harness, 1000 + LATE_MAX_MS);
    assert_int_equal(visible(pipe, "1", &message), 1);
    assert_int_equal(visible(world->pipe, "1", &message), 1);
    buf_close(&bytes);
    harness_disconnect(pipe);
}

static void a_burst_does_not_wait_for_a_tick_a_round(void **state)
{
    enum { BURST = 5000 };
    struct world *world = *state;
    struct machine_counters counters;
    int64_t position;
    for (int i = 0; i < BURST; i++) {
        harness_send(world->pipe, 310, 1, 0, slice_text("m"), "a", "P", "b", "T", "c", "TBW102",
                     "d", "4", "e", "0", "f", "0", "g", "1", "h", "0", "i", "DELAY\0011\002", "j",
                     "0", NULL);
    }
    harness_commit(world->harness);
    for (int i = 0; i < BURST; i++) {
        assert_int_equal(stored_at(world->pipe, &position), 0);
    }
    assert_int_equal(waiting(world), BURST);
    harness_advance(world->harness, 1000 + LATE_MAX_MS);
    assert_int_equal(waiting(world), 0);
    machine_counters(harness_leader(world->harness)->machine, &counters);
    assert_int_equal(counters.delayed_fired, BURST);
    assert_int_equal(harness_leader(world->harness)->broker.scheduler.under_way, 0);
}

static void nothing_is_lost_while_the_log_has_no_room(void **state)
{
    struct world *world = *state;
    struct harness_replica *leader = harness_leader(world->harness);
    struct message message;
    assert_int_equal(send_code(world->pipe, "DELAY\0011\002"), 0);
    leader->broker.log_full = true;
    harness_advance(world->harness, 5000);
    assert_int_equal(visible(world->pipe, "0", &message), 0);
    assert_int_equal(leader->broker.scheduler.under_way, 0);
    leader->broker.log_full = false;
    harness_advance(world->harness, LATE_MAX_MS);
    assert_int_equal(visible(world->pipe, "0", &message), 1);
}

static void only_the_leader_fires(void **state)
{
    struct world *world = *state;
    struct broker *leader = &harness_leader(world->harness)->broker;
    struct replica_state leading = leader->state;
    struct replica_state following = leading;
    struct message message;
    assert_int_equal(send_code(world->pipe, "DELAY\0011\002"), 0);
    following.role = REPLICA_FOLLOWER;
    following.leader_id = 0;
    broker_on_state(leader, &following);
    size_t entries = world->harness->entry_count;
    harness_advance(world->harness, 3000);
    assert_int_equal(world->harness->entry_count, entries);
    leading.term++;
    broker_on_state(leader, &leading);
    harness_advance(world->harness, LATE_MAX_MS);
    assert_int_equal(visible(world->pipe, "0", &message), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, close_world)
    const struct CMUnitTest tests[] = {
        TEST(a_level_delays_a_message_that_then_shows_as_it_was_sent),
        TEST(both_ids_of_a_delayed_message_lead_to_it),
        TEST(timers_are_due_to_the_millisecond_and_levels_go_before_them),
        TEST(what_is_due_already_is_an_ordinary_message),
        TEST(delays_that_cannot_be_honoured_are_refused),
        TEST(nothing_in_a_batch_can_be_delayed),
        TEST(the_delay_of_a_transaction_begins_at_its_commit),
        TEST(a_follower_takes_delayed_messages_too),
        TEST(a_burst_does_not_wait_for_a_tick_a_round),
        TEST(nothing_is_lost_while_the_log_has_no_room),
        TEST(only_the_leader_fires),
    };
#undef TEST
    return cmocka_run_group_tests_name("delay", tests, NULL, NULL);
}
