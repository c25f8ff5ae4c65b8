/* dead_letters, replay: what settles a letter, against a server that has one and answers as each
 * test says. */
#include "tests/support/answer_server.h"
#include "tests/support/test.h"
#include "tests/support/words.h"

#include "admin/replay.h"
#include "common/remoting/body_stats.h"
#include "common/remoting/codes.h"
#include "common/remoting/properties.h"

enum { ARGUMENTS_MAX = 16, LETTERS = 3 };

/* %DLQ%G of one broker: letters 0, 1 and 2. */
static struct {
    struct answer_server *fake;
    bool has_copy[LETTERS];
    bool swallow_send;  /* Stored, but the answer is lost. */
    bool group_unknown; /* As long as it was not created. */
    int64_t mark;
    int sends;
    int groups_created;
    char last_topic[64];
    struct buf last_properties;
} world;

static char output[65536];
static char errors[4096];

static void put_letter(struct buf *out, int64_t offset, const char *topic, const char *named)
{
    char key[16];
    struct buf properties = {0};
    snprintf(key, sizeof key, "K%lld", (long long)offset);
    properties_append(&properties, 0, PROPERTY_UNIQUE_KEY, slice_text(key));
    if (named != NULL) {
        properties_append(&properties, 0, PROPERTY_DEAD_LETTER, slice_text(named));
    }
    const struct message message = {
        .queue_offset = offset,
        .store_time_ms = 1000000 + offset,
        .reconsume_times = 17,
        .body = slice_text("body"),
        .topic = slice_text(topic),
        .properties = buf_slice(&properties),
    };
    message_encode(&message, out);
    size_t at = out->size - message_size(&message);
    be64_put(out->data + at + MESSAGE_AT_QUEUE_OFFSET, (uint64_t)offset);
    buf_close(&properties);
}

static bool answer_cluster(struct command *response, struct buf *scratch)
{
    // Two replicas at one address: whoever goes on to the second one is counted.
    buf_printf(scratch,
               "{\"brokerAddrTable\":{\"b\":{\"brokerAddrs\":{0:\"%s\",1:\"%s\"},\"brokerName\":"
               "\"b\",\"cluster\":\"C\"}},\"clusterAddrTable\":{\"C\":[\"b\"]}}",
               answer_server_address(world.fake), answer_server_address(world.fake));
    response->body = buf_slice(scratch);
    return true;
}

static bool answer_stats(struct command *response, struct buf *scratch)
{
    const struct topic_stats_entry entry = {.queue = {slice_text("%DLQ%G"), slice_text("b"), 0},
                                            .offset_max = LETTERS};
    topic_stats_encode(&(struct topic_stats){.count = 1, .entries = &entry}, scratch);
    response->body = buf_slice(scratch);
    return true;
}

static bool answer_pull(const struct command *request, struct command *response,
                        struct buf *scratch)
{
    int64_t offset = 0;
    assert_int_equal(command_i64(request, "queueOffset", true, &offset), STATUS_OK);
    for (int64_t i = offset; i < LETTERS; i++) {
        put_letter(scratch, i, "%DLQ%G", NULL);
    }
    command_add(response, "nextBeginOffset", slice_text("3"));
    response->body = buf_slice(scratch);
    return true;
}

static bool answer_query(const struct command *request, struct command *response,
                         struct buf *scratch)
{
    struct slice key = {0};
    struct slice topic = {0};
    assert_true(command_find(request, "key", &key) && command_find(request, "topic", &topic));
    int64_t offset = key.data[1] - '0';
    put_letter(scratch, offset, "%RETRY%G", "b:0:9"); // That of another letter does not count.
    if (world.has_copy[offset] && slice_equals_text(topic, "%RETRY%G")) {
        char id[16];
        snprintf(id, sizeof id, "b:0:%lld", (long long)offset);
        put_letter(scratch, offset, "%RETRY%G", id);
    }
    response->body = buf_slice(scratch);
    return true;
}

static bool answer_send(const struct command *request, struct command *response)
{
    struct slice properties = {0};
    struct slice topic = {0};
    struct slice key = {0};
    assert_true(command_find(request, "i", &properties) && command_find(request, "b", &topic));
    snprintf(world.last_topic, sizeof world.last_topic, "%.*s", SLICE_ARGS(topic));
    buf_clear(&world.last_properties);
    buf_put_slice(&world.last_properties, properties);
    world.sends++;
    assert_true(properties_find(properties, PROPERTY_UNIQUE_KEY, &key));
    world.has_copy[key.data[1] - '0'] = true;
    command_add(response, "msgId", slice_text("7F00000100002A9F0000000000000010"));
    return !world.swallow_send;
}

static bool answer(void *context, const struct command *request, struct command *response,
                   struct buf *scratch)
{
    (void)context;
    switch (request->code) {
    case REQUEST_GET_BROKER_CLUSTER_INFO:
        return answer_cluster(response, scratch);
    case REQUEST_GET_TOPIC_STATS_INFO:
        return answer_stats(response, scratch);
    case REQUEST_QUERY_CONSUMER_OFFSET:
        buf_reserve(scratch, 64);
        command_add_i64(response, "offset", world.mark, scratch);
        return true;
    case REQUEST_UPDATE_CONSUMER_OFFSET:
        response->code =
            world.group_unknown ? RESPONSE_SUBSCRIPTION_GROUP_NOT_EXIST : RESPONSE_SUCCESS;
        return world.group_unknown ||
               command_i64(request, "commitOffset", true, &world.mark) == STATUS_OK;
    case REQUEST_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP:
        world.groups_created++;
        world.group_unknown = false;
        return true;
    case REQUEST_PULL_MESSAGE:
        return answer_pull(request, response, scratch);
    case REQUEST_QUERY_MESSAGE:
        return answer_query(request, response, scratch);
    case REQUEST_SEND_MESSAGE_V2:
        return answer_send(request, response);
    case REQUEST_VIEW_MESSAGE_BY_ID:
        put_letter(scratch, 0, "%RETRY%G", NULL);
        response->body = buf_slice(scratch);
        return true;
    default:
        response->code = RESPONSE_REQUEST_CODE_NOT_SUPPORTED;
        return true;
    }
}

/* timeout_ms: of each call; where an answer is lost it is waited for so long. */
static enum cli_exit run_with(const char *line, int timeout_ms)
{
    char program[] = "raftmq";
    char copy[512];
    char *arguments[ARGUMENTS_MAX] = {program};
    snprintf(copy, sizeof copy, "%s -o json -t %d -n %s", line, timeout_ms,
             answer_server_address(world.fake));
    int count = words_split(copy, arguments, 1, ARGUMENTS_MAX);
    memset(output, 0, sizeof output);
    memset(errors, 0, sizeof errors);
    FILE *out = fmemopen(output, sizeof output, "w");
    FILE *err = fmemopen(errors, sizeof errors, "w");
    answer_server_sync(world.fake);
    enum cli_exit code = cli_main(count, arguments, out, err);
    answer_server_sync(world.fake);
    fclose(out);
    fclose(err);
    return code;
}

static enum cli_exit run(const char *line)
{
    return run_with(line, 30000);
}

static void assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" is not in:\n%s", part, text);
    }
}

static int open_world(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.fake = answer_server_start(answer, NULL);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    answer_server_stop(world.fake);
    buf_close(&world.last_properties);
    return 0;
}

static void a_letter_has_a_name_of_three_parts(void **state)
{
    (void)state;
    struct slice broker;
    int32_t queue;
    int64_t offset;
    assert_true(letter_id_parse("broker-a:1:42", &broker, &queue, &offset));
    assert_true(slice_equals_text(broker, "broker-a"));
    assert_int_equal(queue, 1);
    assert_int_equal(offset, 42);
    assert_true(letter_id_parse("a:b:0:0", &broker, &queue, &offset));
    assert_true(slice_equals_text(broker, "a:b"));
    const char *const wrong[] = {"",     ":",      "a",      "a:1",    ":0:1",     "a:0:",
                                 "a::1", "a:-1:0", "a:0x:1", "a:0:-1", "a:1024:0", "a:0:9e9"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(letter_id_parse(wrong[i], &broker, &queue, &offset));
    }
}

static void a_copy_is_the_letter_as_if_it_came_for_the_first_time(void **state)
{
    (void)state;
    const struct broker_data broker = {.name = slice_text("b")};
    const struct letter_queue queue = {.broker = &broker};
    struct buf out = {0};
    struct message letter = {
        .queue_offset = 5,
        .properties = slice_text("RETRY_TOPIC\1T\2DELAY\1"
                                 "18\2KEYS\1k\2REAL_TOPIC\1r\2"
                                 "RAFTMQ_DEAD_LETTER\1b:0:1\2UNIQ_KEY\1u\2MAX_RECONSUME_TIMES\1"
                                 "3"
                                 "\2color\1red\2"),
    };
    assert_true(replay_properties(&queue, &letter, &out));
    assert_true(slice_equals_text(buf_slice(&out),
                                  "RETRY_TOPIC\1T\2KEYS\1k\2UNIQ_KEY\1u\2color\1red\2"
                                  "RAFTMQ_DEAD_LETTER\1b:0:5\2"));
    // Without a unique key it gets one, the same one each time.
    letter.properties = slice_text("color\1red\2");
    buf_clear(&out);
    assert_true(replay_properties(&queue, &letter, &out));
    assert_true(slice_equals_text(buf_slice(&out), "color\1red\2UNIQ_KEY\1"
                                                   "DEAD-b:0:5\2"
                                                   "RAFTMQ_DEAD_LETTER\1b:0:5\2"));
    // No room for its mark: it is not sent without.
    struct buf large = {0};
    buf_put_text(&large, "a\1");
    while (large.size < MESSAGE_PROPERTIES_MAX - 10) {
        buf_put_u8(&large, 'x');
    }
    letter.properties = buf_slice(&large);
    buf_clear(&out);
    assert_false(replay_properties(&queue, &letter, &out));
    buf_close(&large);
    buf_close(&out);
}

static void letters_with_a_copy_are_passed_over_and_the_mark_follows(void **state)
{
    (void)state;
    world.has_copy[0] = true;
    assert_int_equal(run("dlq replay G --all"), CLI_OK);
    assert_contains(output, "\"replayed\": 2");
    assert_contains(output, "\"settledBefore\": 1");
    assert_int_equal(world.sends, 2);
    assert_string_equal(world.last_topic, "%RETRY%G");
    assert_int_equal(world.mark, 3);
    assert_int_equal(run("dlq replay G --all"), CLI_OK);
    assert_int_equal(world.sends, 2);
}

static void a_letter_out_of_turn_is_settled_by_its_copy_alone(void **state)
{
    (void)state;
    assert_int_equal(run("dlq replay G b:0:1"), CLI_OK);
    assert_int_equal(world.sends, 1);
    assert_int_equal(world.mark, 0);
    // Once those before it are settled, the mark goes over it.
    assert_int_equal(run("dlq replay G b:0:0"), CLI_OK);
    assert_int_equal(world.mark, 2);
    assert_int_equal(run("dlq show G"), CLI_OK);
    assert_contains(output, "b:0:2");
    assert_null(strstr(output, "b:0:1"));
}

static void a_send_whose_answer_is_lost_is_not_repeated_by_the_run_nor_by_the_next(void **state)
{
    (void)state;
    world.swallow_send = true;
    assert_int_equal(run_with("dlq replay G --all --max 1", 1000), CLI_UNREACHABLE);
    assert_int_equal(world.sends, 1);
    assert_int_equal(world.mark, 0);
    world.swallow_send = false;
    assert_int_equal(run("dlq replay G b:0:0"), CLI_OK);
    assert_int_equal(world.sends, 1);
    assert_contains(output, "\"settledBefore\": 1");
    assert_int_equal(world.mark, 1);
}

static void a_broker_that_wants_to_know_the_group_of_the_mark_is_told(void **state)
{
    (void)state;
    world.group_unknown = true;
    assert_int_equal(run("dlq purge G --yes"), CLI_OK);
    assert_int_equal(world.groups_created, 1);
    assert_int_equal(world.mark, 3);
}

static void a_purge_that_was_not_confirmed_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(run("dlq purge G"), CLI_FAILED);
    assert_contains(output, "\"letters\": 3");
    assert_contains(errors, "--yes");
    assert_int_equal(world.mark, 0);
}

static void a_mark_of_a_topic_that_was_deleted_does_not_hide_letters(void **state)
{
    (void)state;
    world.mark = 1000;
    assert_int_equal(run("dlq show G"), CLI_OK);
    assert_contains(output, "b:0:0");
}

#define world_test(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_letter_has_a_name_of_three_parts),
        cmocka_unit_test(a_copy_is_the_letter_as_if_it_came_for_the_first_time),
        world_test(letters_with_a_copy_are_passed_over_and_the_mark_follows),
        world_test(a_letter_out_of_turn_is_settled_by_its_copy_alone),
        world_test(a_send_whose_answer_is_lost_is_not_repeated_by_the_run_nor_by_the_next),
        world_test(a_broker_that_wants_to_know_the_group_of_the_mark_is_told),
        world_test(a_purge_that_was_not_confirmed_changes_nothing),
        world_test(a_mark_of_a_topic_that_was_deleted_does_not_hide_letters),
    };
    return cmocka_run_group_tests_name("dead_letters", tests, NULL, NULL);
}
