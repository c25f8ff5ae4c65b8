/* Pulling by hand, offsets and administration against a fake broker on loopback. */
#include "tests/support/fake_broker.h"
#include "tests/support/test.h"

#include "client/include/raftmq.h"

#include <stdio.h>

struct fixture {
    struct fake_broker fake;
    struct raftmq_client *client;
    struct raftmq_producer *producer;
    struct raftmq_error error;
};

static int setup(void **state)
{
    struct fixture *fixture = mem_zalloc(sizeof *fixture);
    char address[32];
    fake_broker_start(&fixture->fake);
    const struct raftmq_client_options options = {
        .nameservers = fake_broker_address(&fixture->fake, address), .timeout_ms = 1000};
    assert_int_equal(raftmq_client_new(&options, &fixture->client, &fixture->error), RAFTMQ_OK);
    assert_int_equal(
        raftmq_producer_new(fixture->client, "p", NULL, NULL, &fixture->producer, NULL), RAFTMQ_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    raftmq_producer_close(fixture->producer);
    raftmq_client_close(fixture->client);
    fake_broker_stop(&fixture->fake);
    free(fixture);
    return 0;
}

/* All to the queue that "k" maps to. */
static struct raftmq_queue send_some(struct fixture *fixture, int count, const char *tags)
{
    static struct raftmq_send_result result;
    for (int i = 0; i < count; i++) {
        const struct raftmq_message message = {
            .topic = "T", .body = "x", .body_size = 1, .shard_key = "k", .tags = tags};
        assert_int_equal(raftmq_send(fixture->producer, &message, 0, &result, &fixture->error),
                         RAFTMQ_OK);
    }
    return (struct raftmq_queue){"T", result.broker, result.queue_id};
}

static void pulls_find_what_is_there_and_say_what_is_not(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_pulled *pulled;
    struct raftmq_pull_options options = {.group = "g", .queue = send_some(fixture, 40, "red")};
    assert_int_equal(raftmq_pull(fixture->client, &options, &pulled, &fixture->error), RAFTMQ_OK);
    assert_int_equal(pulled->status, RAFTMQ_PULL_FOUND);
    assert_int_equal(pulled->count, 32);
    assert_int_equal(pulled->next_offset, 32);
    assert_int_equal(pulled->offset_max, 40);
    assert_int_equal(pulled->messages[31].queue_offset, 31);
    assert_string_equal(pulled->messages[0].tags, "red");
    raftmq_pulled_free(pulled);
    options.expression = "blue";
    assert_int_equal(raftmq_pull(fixture->client, &options, &pulled, NULL), RAFTMQ_OK);
    assert_int_equal(pulled->status, RAFTMQ_PULL_NO_MATCH);
    assert_int_equal(pulled->next_offset, 32);
    raftmq_pulled_free(pulled);
    options.expression_type = RAFTMQ_SQL92; // The fake broker lets all through.
    assert_int_equal(raftmq_pull(fixture->client, &options, &pulled, NULL), RAFTMQ_OK);
    assert_int_equal(pulled->count, 32);
    assert_int_equal(atomic_load(&fixture->fake.sql_pulls), 1);
    raftmq_pulled_free(pulled);
    options.offset = 40;
    assert_int_equal(raftmq_pull(fixture->client, &options, &pulled, NULL), RAFTMQ_OK);
    assert_int_equal(pulled->status, RAFTMQ_PULL_NONE);
    raftmq_pulled_free(pulled);
    options.offset = 1000;
    assert_int_equal(raftmq_pull(fixture->client, &options, &pulled, NULL), RAFTMQ_OK);
    assert_int_equal(pulled->status, RAFTMQ_PULL_OFFSET_MOVED);
    assert_int_equal(pulled->next_offset, 40);
    raftmq_pulled_free(pulled);
    options.queue.broker = "nobody";
    assert_int_equal(raftmq_pull(fixture->client, &options, &pulled, &fixture->error),
                     RAFTMQ_NO_ROUTE);
}

static void offsets_are_asked_and_told(void **state)
{
    struct fixture *fixture = *state;
    int64_t offset = -1;
    struct raftmq_queue queue = send_some(fixture, 3, NULL);
    assert_int_equal(raftmq_offset_min(fixture->client, &queue, &offset, NULL), RAFTMQ_OK);
    assert_int_equal(offset, 0);
    assert_int_equal(raftmq_offset_max(fixture->client, &queue, &offset, NULL), RAFTMQ_OK);
    assert_int_equal(offset, 3);
    assert_int_equal(raftmq_offset_search(fixture->client, &queue, 5, &offset, NULL), RAFTMQ_OK);
    assert_int_equal(offset, 0);
    assert_int_equal(raftmq_offset_query(fixture->client, "g", &queue, &offset, &fixture->error),
                     RAFTMQ_REFUSED);
    assert_int_equal(fixture->error.code, 22);
    assert_int_equal(raftmq_offset_update(fixture->client, "g", &queue, 2, NULL), RAFTMQ_OK);
    assert_int_equal(raftmq_offset_query(fixture->client, "g", &queue, &offset, NULL), RAFTMQ_OK);
    assert_int_equal(offset, 2);
}

static void routes_clusters_and_queues_are_shown(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_route *route;
    struct raftmq_queues *queues;
    assert_int_equal(raftmq_topic_route(fixture->client, "T", &route, NULL), RAFTMQ_OK);
    assert_int_equal(route->broker_count, FAKE_BROKERS);
    assert_string_equal(route->brokers[0].name, "broker-a");
    assert_int_equal(route->brokers[0].addresses[0].id, 0);
    assert_int_equal(route->queue_count, FAKE_BROKERS);
    assert_int_equal(route->queues[1].perm, 6);
    raftmq_route_free(route);
    assert_int_equal(raftmq_topic_route(fixture->client, "Nowhere", &route, &fixture->error),
                     RAFTMQ_NO_ROUTE);
    assert_int_equal(fixture->error.code, 17);
    assert_int_equal(raftmq_cluster_info(fixture->client, &route, NULL), RAFTMQ_OK);
    assert_int_equal(route->broker_count, FAKE_BROKERS);
    assert_string_equal(route->brokers[1].cluster, "C1");
    raftmq_route_free(route);
    assert_int_equal(raftmq_topic_queues(fixture->client, "T", &queues, NULL), RAFTMQ_OK);
    assert_int_equal(queues->count, FAKE_BROKERS * FAKE_QUEUES);
    assert_string_equal(queues->queues[3].broker, "broker-b");
    assert_int_equal(queues->queues[3].queue_id, 1);
    raftmq_queues_free(queues);
}

static void topics_are_made_and_deleted_everywhere(void **state)
{
    struct fixture *fixture = *state;
    const struct raftmq_topic_config config = {.topic = "New"};
    assert_int_equal(raftmq_topic_create(fixture->client, "C1", &config, NULL), RAFTMQ_OK);
    assert_int_equal(atomic_load(&fixture->fake.admin_calls), FAKE_BROKERS);
    assert_int_equal(raftmq_topic_delete(fixture->client, NULL, "New", NULL), RAFTMQ_OK);
    assert_int_equal(atomic_load(&fixture->fake.admin_calls), 2 * FAKE_BROKERS + 1);
    assert_int_equal(raftmq_topic_create(fixture->client, "elsewhere", &config, &fixture->error),
                     RAFTMQ_NO_ROUTE);
}

static void lists_and_statistics_gather_all_brokers(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_names *names;
    struct raftmq_stats *stats;
    send_some(fixture, 3, NULL);
    assert_int_equal(raftmq_topic_list(fixture->client, &names, NULL), RAFTMQ_OK);
    assert_int_equal(names->count, 2);
    assert_string_equal(names->names[1], "U");
    raftmq_names_free(names);
    assert_int_equal(raftmq_group_list(fixture->client, &names, NULL), RAFTMQ_OK);
    assert_int_equal(names->count, 2); // Named by both brokers, told once.
    raftmq_names_free(names);
    assert_int_equal(raftmq_topic_stats(fixture->client, "T", &stats, NULL), RAFTMQ_OK);
    assert_int_equal(stats->count, FAKE_BROKERS * FAKE_QUEUES);
    assert_string_equal(stats->queues[0].queue.broker, "broker-a");
    int64_t total = 0;
    for (size_t i = 0; i < stats->count; i++) {
        total += stats->queues[i].offset_max;
        assert_int_equal(stats->queues[i].consumer_offset, -1);
    }
    assert_int_equal(total, 3);
    raftmq_stats_free(stats);
    assert_int_equal(raftmq_consume_stats(fixture->client, "g", NULL, &stats, &fixture->error),
                     RAFTMQ_REFUSED); // The fake broker does not know that request.
    assert_int_equal(fixture->error.code, 3);
}

static void any_request_can_be_sent(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_response *response;
    char address[32];
    const struct raftmq_property field = {"topic", "T"};
    assert_int_equal(raftmq_invoke(fixture->client, NULL, 105, &field, 1, NULL, 0, 0, &response,
                                   &fixture->error),
                     RAFTMQ_OK);
    assert_int_equal(response->code, 0);
    assert_true(response->body_size > 0);
    raftmq_response_free(response);
    assert_int_equal(raftmq_invoke(fixture->client, fake_broker_address(&fixture->fake, address),
                                   4711, NULL, 0, "body", 4, 0, &response, NULL),
                     RAFTMQ_OK);
    assert_int_equal(response->code, 3);
    raftmq_response_free(response);
    assert_int_equal(
        raftmq_invoke(fixture->client, "127.0.0.1:1", 105, NULL, 0, NULL, 0, 0, &response, NULL),
        RAFTMQ_CONNECT_FAILED);
    assert_int_equal(
        raftmq_invoke(fixture->client, "nonsense", 105, NULL, 0, NULL, 0, 0, &response, NULL),
        RAFTMQ_INVALID_ARGUMENT);
}

static void an_answer_may_be_as_large_as_a_frame(void **state)
{
    struct fixture *fixture = *state;
    struct raftmq_response *response;
    char address[32];
    assert_int_equal(raftmq_invoke(fixture->client, fake_broker_address(&fixture->fake, address),
                                   FAKE_REQUEST_LARGEST, NULL, 0, NULL, 0, 10000, &response, NULL),
                     RAFTMQ_OK);
    assert_int_equal(response->code, 0);
    assert_in_range(response->body_size, FRAME_SIZE_MAX - 64, FRAME_SIZE_MAX);
    assert_int_equal(((const char *)response->body)[response->body_size - 1], 'x');
    raftmq_response_free(response);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pulls_find_what_is_there_and_say_what_is_not),
        TEST(offsets_are_asked_and_told),
        TEST(routes_clusters_and_queues_are_shown),
        TEST(topics_are_made_and_deleted_everywhere),
        TEST(lists_and_statistics_gather_all_brokers),
        TEST(any_request_can_be_sent),
        TEST(an_answer_may_be_as_large_as_a_frame),
    };
    return cmocka_run_group_tests_name("client_admin", tests, NULL, NULL);
}
