/* All of libraftmq that a user of Apache RocketMQ would call, once, against the nameserver that is
 * named on the command line. Ends at the first answer that is not as promised. Transactions are
 * left to the demo's payer and payee. */
#include "client/include/raftmq.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TOPIC "ClientTest"
#define GROUP "client-test"

enum {
    QUEUES = 4,
    TAGGED = 20,
    SHARDED = 8,
    BATCH = 10,
    ASYNC = 50,
    LARGE_SIZE = 20000,
    SENT = TAGGED + SHARDED + BATCH + ASYNC + 3, /* And one each: large, one-way, delayed. */
    WAIT_MS = 15000,
    STEP_MS = 20,
    DELAY_MS = 1000,
    HIDDEN_MS = 60000,
    SHORT_MS = 1000,
    QUIET_MS = 2000,
    REDELIVERED_MS = 60000, /* Apache RocketMQ looks after what is due when it comes to it. */
    NOT_SUPPORTED = 3,
    QUERY_NOT_FOUND = 22,
    SUBSCRIPTION_PARSE_FAILED = 23,
};

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s (last error: %s, code %" PRId32 ", %s)\n",          \
                    __FILE__, __LINE__, #condition, raftmq_status_name(last.status), last.code,    \
                    last.remark);                                                                  \
            exit(EXIT_FAILURE);                                                                    \
        }                                                                                          \
    } while (0)

static struct raftmq_error last;
static char large[LARGE_SIZE];

static void pause_ms(long ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static int64_t now_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* Brokers tell nameservers of a new topic when they come to it. */
static void create_topic(struct raftmq_client *client)
{
    const struct raftmq_topic_config config = {
        .topic = TOPIC, .read_queues = QUEUES, .write_queues = QUEUES};
    struct raftmq_queues *queues = NULL;
    CHECK(raftmq_topic_create(client, NULL, &config, &last) == RAFTMQ_OK);
    for (long waited = 0; queues == NULL; waited += STEP_MS) {
        if (raftmq_topic_queues(client, TOPIC, &queues, &last) != RAFTMQ_OK) {
            CHECK(last.status == RAFTMQ_NO_ROUTE && waited < WAIT_MS);
            queues = NULL;
            pause_ms(STEP_MS);
        }
    }
    CHECK(queues->count == QUEUES);
    raftmq_queues_free(queues);
}

static void send_one_by_one(struct raftmq_producer *producer)
{
    const struct raftmq_property property = {"colour", "blue"};
    struct raftmq_send_result result;
    for (int i = 0; i < TAGGED; i++) {
        const struct raftmq_message message = {
            .topic = TOPIC,
            .body = "tagged",
            .body_size = 6,
            .tags = i % 2 == 0 ? "even" : "odd",
            .properties = &property,
            .property_count = 1,
        };
        CHECK(raftmq_send(producer, &message, 0, &result, &last) == RAFTMQ_OK);
        CHECK(result.status == RAFTMQ_SENT && result.queue_id < QUEUES);
    }
    int32_t queue = -1;
    int64_t next = -1;
    for (int i = 0; i < SHARDED; i++) {
        const struct raftmq_message message = {
            .topic = TOPIC, .body = "sharded", .body_size = 7, .shard_key = "account 7"};
        CHECK(raftmq_send(producer, &message, 0, &result, &last) == RAFTMQ_OK);
        CHECK(i == 0 || (result.queue_id == queue && result.queue_offset == next));
        queue = result.queue_id;
        next = result.queue_offset + 1;
    }
    const struct raftmq_message message = {
        .topic = TOPIC, .body = large, .body_size = sizeof large, .keys = "large"};
    CHECK(raftmq_send(producer, &message, 0, &result, &last) == RAFTMQ_OK);
}

static void on_sent(void *context, const struct raftmq_send_result *result,
                    const struct raftmq_error *error)
{
    atomic_int *sent = context;
    if (error->status == RAFTMQ_OK && result->status == RAFTMQ_SENT) {
        atomic_fetch_add(sent, 1);
    }
}

static void send_in_other_ways(struct raftmq_producer *producer)
{
    struct raftmq_message batch[BATCH];
    struct raftmq_send_result result;
    for (int i = 0; i < BATCH; i++) {
        batch[i] = (struct raftmq_message){.topic = TOPIC, .body = "batched", .body_size = 7};
    }
    CHECK(raftmq_send_batch(producer, batch, BATCH, 0, &result, &last) == RAFTMQ_OK);
    CHECK(strlen(result.message_id) > 0 && strlen(result.offset_message_id) > 0);
    const struct raftmq_message delayed = {
        .topic = TOPIC, .body = "delayed", .body_size = 7, .delay_level = 1};
    CHECK(raftmq_send(producer, &delayed, 0, &result, &last) == RAFTMQ_OK);
    const struct raftmq_message other = {.topic = TOPIC, .body = "other", .body_size = 5};
    CHECK(raftmq_send_oneway(producer, &other) == RAFTMQ_OK);
    atomic_int sent = 0;
    for (int i = 0; i < ASYNC; i++) {
        CHECK(raftmq_send_async(producer, &other, 0, on_sent, &sent) == RAFTMQ_OK);
    }
    for (long waited = 0; atomic_load(&sent) < ASYNC; waited += STEP_MS) {
        CHECK(waited < WAIT_MS);
        pause_ms(STEP_MS);
    }
    // Of a topic that is not there yet: the broker makes it from its template.
    const struct raftmq_message made = {.topic = TOPIC "Made", .body = "other", .body_size = 5};
    CHECK(raftmq_send(producer, &made, 0, &result, &last) == RAFTMQ_OK);
}

/* Look closely at what has something to look at. */
static void check_pulled(const struct raftmq_received *message)
{
    CHECK(strcmp(message->topic, TOPIC) == 0);
    if (strcmp(message->keys, "large") == 0) {
        CHECK(message->body_size == sizeof large &&
              memcmp(message->body, large, sizeof large) == 0);
    } else if (strlen(message->tags) > 0) {
        const char *colour = raftmq_received_property(message, "colour");
        CHECK(colour != NULL && strcmp(colour, "blue") == 0);
    } else if (message->body_size == 7 && memcmp(message->body, "delayed", 7) == 0) {
        // Kept by the broker for a while; its clock and steps are its own.
        CHECK(message->stored_ms - message->born_ms >= DELAY_MS / 2);
    }
}

static int64_t pull_queue(struct raftmq_client *client, const struct raftmq_queue *queue)
{
    struct raftmq_pull_options options = {.group = GROUP, .queue = *queue};
    int64_t count = 0;
    int64_t end;
    CHECK(raftmq_offset_min(client, queue, &options.offset, &last) == RAFTMQ_OK);
    CHECK(raftmq_offset_max(client, queue, &end, &last) == RAFTMQ_OK);
    while (options.offset < end) {
        struct raftmq_pulled *pulled;
        CHECK(raftmq_pull(client, &options, &pulled, &last) == RAFTMQ_OK);
        CHECK(pulled->status == RAFTMQ_PULL_FOUND && pulled->count > 0);
        for (size_t i = 0; i < pulled->count; i++) {
            CHECK(pulled->messages[i].queue_offset == options.offset + (int64_t)i);
            check_pulled(&pulled->messages[i]);
        }
        count += (int64_t)pulled->count;
        options.offset = pulled->next_offset;
        raftmq_pulled_free(pulled);
    }
    return count;
}

static void check_ends(struct raftmq_client *client, const struct raftmq_queue *queue)
{
    struct raftmq_pull_options options = {.group = GROUP, .queue = *queue};
    struct raftmq_pulled *pulled;
    int64_t end;
    int64_t offset = -1;
    CHECK(raftmq_offset_max(client, queue, &end, &last) == RAFTMQ_OK);
    options.offset = end;
    CHECK(raftmq_pull(client, &options, &pulled, &last) == RAFTMQ_OK);
    CHECK(pulled->status == RAFTMQ_PULL_NONE && pulled->next_offset == end);
    raftmq_pulled_free(pulled);
    options.offset = end + 100;
    CHECK(raftmq_pull(client, &options, &pulled, &last) == RAFTMQ_OK);
    CHECK(pulled->status == RAFTMQ_PULL_OFFSET_MOVED && pulled->next_offset == end);
    raftmq_pulled_free(pulled);
    CHECK(raftmq_offset_search(client, queue, 1, &offset, &last) == RAFTMQ_OK && offset == 0);
    CHECK(raftmq_offset_search(client, queue, now_ms() + 60000, &offset, &last) == RAFTMQ_OK);
    CHECK(offset == end || offset == end - 1); // 4.9 answers the last message.
    // 4.9 has every group begin with 0 while nothing of the queue was removed.
    if (raftmq_offset_query(client, "nobody", queue, &offset, &last) == RAFTMQ_OK) {
        CHECK(offset == 0);
    } else {
        CHECK(last.status == RAFTMQ_REFUSED && last.code == QUERY_NOT_FOUND);
    }
}

/* Apache RocketMQ looks after waiting pulls every 5 s only, which is more than this timeout. */
static void pull_and_wait(const char *nameservers)
{
    const struct raftmq_client_options options = {.nameservers = nameservers, .timeout_ms = 2000};
    struct raftmq_pull_options waiting = {.group = GROUP, .hold_ms = 100};
    struct raftmq_client *client;
    struct raftmq_queues *queues;
    struct raftmq_pulled *pulled;
    CHECK(raftmq_client_new(&options, &client, &last) == RAFTMQ_OK);
    CHECK(raftmq_topic_queues(client, TOPIC, &queues, &last) == RAFTMQ_OK);
    waiting.queue = queues->queues[0];
    CHECK(raftmq_offset_max(client, &waiting.queue, &waiting.offset, &last) == RAFTMQ_OK);
    CHECK(raftmq_pull(client, &waiting, &pulled, &last) == RAFTMQ_OK);
    CHECK(pulled->status == RAFTMQ_PULL_NONE && pulled->next_offset == waiting.offset);
    raftmq_pulled_free(pulled);
    raftmq_queues_free(queues);
    raftmq_client_close(client);
}

static void pull_all(struct raftmq_client *client)
{
    struct raftmq_queues *queues;
    CHECK(raftmq_topic_queues(client, TOPIC, &queues, &last) == RAFTMQ_OK);
    int64_t count = 0;
    for (long waited = 0; count < SENT; waited += STEP_MS) { // One of them is delayed.
        CHECK(waited < WAIT_MS);
        pause_ms(STEP_MS);
        count = 0;
        for (size_t i = 0; i < queues->count; i++) {
            count += pull_queue(client, &queues->queues[i]);
        }
    }
    CHECK(count == SENT);
    for (size_t i = 0; i < queues->count; i++) {
        check_ends(client, &queues->queues[i]);
    }
    raftmq_queues_free(queues);
}

static enum raftmq_consumed on_message(void *context, const struct raftmq_received *message)
{
    atomic_int *received = context;
    atomic_fetch_add(received, strcmp(message->tags, "odd") == 0 ? 1 : 1000);
    return RAFTMQ_CONSUMED;
}

static void consume_odd(struct raftmq_client *client, const char *group, const char *expression,
                        enum raftmq_expression type)
{
    atomic_int received = 0;
    const struct raftmq_subscription subscription = {TOPIC, expression, type};
    const struct raftmq_consumer_options options = {
        .group = group,
        .subscriptions = &subscription,
        .subscription_count = 1,
        .listener = on_message,
        .context = &received,
        .from = RAFTMQ_FROM_FIRST,
    };
    struct raftmq_consumer *consumer;
    CHECK(raftmq_consumer_new(client, &options, &consumer, &last) == RAFTMQ_OK);
    for (long waited = 0; atomic_load(&received) < TAGGED / 2; waited += STEP_MS) {
        CHECK(waited < WAIT_MS);
        pause_ms(STEP_MS);
    }
    CHECK(raftmq_consumer_queue_count(consumer) >= QUEUES); // The retry topic comes later.
    raftmq_consumer_close(consumer);
    CHECK(atomic_load(&received) == TAGGED / 2);
}

static void sql_is_taken_or_refused(struct raftmq_client *client)
{
    struct raftmq_subscription subscription = {TOPIC, "colour = ", RAFTMQ_SQL92};
    atomic_int received = 0;
    const struct raftmq_consumer_options options = {
        .group = GROUP "Broken",
        .subscriptions = &subscription,
        .subscription_count = 1,
        .listener = on_message,
        .context = &received,
    };
    struct raftmq_consumer *consumer;
    CHECK(raftmq_consumer_new(client, &options, &consumer, &last) == RAFTMQ_REFUSED);
    CHECK(last.code == SUBSCRIPTION_PARSE_FAILED);
    consume_odd(client, GROUP "Sql", "colour = 'blue' AND TAGS NOT IN ('even')", RAFTMQ_SQL92);
    // Pulls bring their expression along.
    struct raftmq_queues *queues;
    size_t count = 0;
    CHECK(raftmq_topic_queues(client, TOPIC, &queues, &last) == RAFTMQ_OK);
    for (size_t i = 0; i < queues->count; i++) {
        struct raftmq_pull_options pull = {
            .group = GROUP,
            .queue = queues->queues[i],
            .expression = "TAGS = 'odd'",
            .expression_type = RAFTMQ_SQL92,
        };
        struct raftmq_pulled *pulled;
        CHECK(raftmq_pull(client, &pull, &pulled, &last) == RAFTMQ_OK);
        count += pulled->count;
        raftmq_pulled_free(pulled);
    }
    CHECK(count == TAGGED / 2);
    raftmq_queues_free(queues);
}

/* Receive what has not come yet and acknowledge it; how many there were, and whether the one that
 * was to come again is among them. */
static size_t receive_some(struct raftmq_client *client, struct raftmq_simple_consumer *consumer,
                           bool *again)
{
    const char *handles[RAFTMQ_RECEIVE_MAX];
    struct raftmq_messages *messages;
    CHECK(raftmq_receive(consumer, 0, HIDDEN_MS, REDELIVERED_MS, &messages, &last) == RAFTMQ_OK);
    size_t count = messages->count;
    CHECK(count > 0);
    for (size_t i = 0; i < count; i++) {
        const struct raftmq_received *message = &messages->messages[i];
        CHECK(strcmp(message->topic, TOPIC) == 0);
        CHECK(message->delivery_attempt == 1 || (message->delivery_attempt == 2 && !*again));
        *again |= message->delivery_attempt == 2;
        handles[i] = message->handle;
    }
    CHECK(raftmq_ack(client, GROUP "Pop", TOPIC, handles[0], 0, &last) == RAFTMQ_OK);
    if (count > 1) {
        CHECK(raftmq_ack_all(client, GROUP "Pop", TOPIC, handles + 1, count - 1, 0, &last) ==
              RAFTMQ_OK);
    }
    raftmq_messages_free(messages);
    return count;
}

/* All that was sent is popped once; the one whose time was cut short comes again, as the only one.
 * Versions before 5 cannot do it and say so. */
static void pop_all(struct raftmq_client *client)
{
    const struct raftmq_subscription subscription = {.topic = TOPIC};
    const struct raftmq_simple_consumer_options options = {
        .group = GROUP "Pop",
        .subscriptions = &subscription,
        .subscription_count = 1,
        .from = RAFTMQ_FROM_FIRST,
    };
    struct raftmq_simple_consumer *consumer;
    struct raftmq_messages *messages;
    char handle[RAFTMQ_HANDLE_SIZE];
    bool again = false;
    CHECK(raftmq_simple_consumer_new(client, &options, &consumer, &last) == RAFTMQ_OK);
    if (raftmq_receive(consumer, 1, SHORT_MS, 0, &messages, &last) != RAFTMQ_OK) {
        CHECK(last.status == RAFTMQ_REFUSED && last.code == NOT_SUPPORTED);
        raftmq_simple_consumer_close(consumer);
        return;
    }
    CHECK(messages->count == 1); // It is not acknowledged, and comes again.
    CHECK(messages->messages[0].delivery_attempt == 1);
    CHECK(raftmq_change_invisible(client, GROUP "Pop", TOPIC, messages->messages[0].handle,
                                  SHORT_MS, 0, handle, &last) == RAFTMQ_OK);
    raftmq_messages_free(messages);
    for (size_t count = 1; count < SENT + 1;) {
        count += receive_some(client, consumer, &again);
    }
    CHECK(again);
    CHECK(raftmq_receive(consumer, 0, HIDDEN_MS, QUIET_MS, &messages, &last) == RAFTMQ_OK);
    CHECK(messages->count == 0);
    raftmq_messages_free(messages);
    raftmq_simple_consumer_close(consumer);
}

/* Only after the group has consumed: Apache RocketMQ refuses offsets of groups it never saw. */
static void set_offsets(struct raftmq_client *client)
{
    struct raftmq_queues *queues;
    CHECK(raftmq_topic_queues(client, TOPIC, &queues, &last) == RAFTMQ_OK);
    for (size_t i = 0; i < queues->count; i++) {
        const struct raftmq_queue *queue = &queues->queues[i];
        int64_t offset = -1;
        CHECK(raftmq_offset_update(client, GROUP, queue, 1, &last) == RAFTMQ_OK);
        CHECK(raftmq_offset_query(client, GROUP, queue, &offset, &last) == RAFTMQ_OK);
        CHECK(offset == 1);
    }
    raftmq_queues_free(queues);
}

static bool is_named(const struct raftmq_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void check_statistics(struct raftmq_client *client)
{
    struct raftmq_stats *stats;
    struct raftmq_names *names;
    int64_t count = 0;
    CHECK(raftmq_topic_stats(client, TOPIC, &stats, &last) == RAFTMQ_OK);
    CHECK(stats->count == QUEUES);
    for (size_t i = 0; i < stats->count; i++) {
        CHECK(stats->queues[i].queue.queue_id == (int32_t)i);
        count += stats->queues[i].offset_max - stats->queues[i].offset_min;
    }
    CHECK(count == SENT);
    raftmq_stats_free(stats);
    CHECK(raftmq_consume_stats(client, GROUP, TOPIC, &stats, &last) == RAFTMQ_OK);
    CHECK(stats->count == QUEUES);
    raftmq_stats_free(stats);
    CHECK(raftmq_topic_list(client, &names, &last) == RAFTMQ_OK && is_named(names, TOPIC));
    raftmq_names_free(names);
    CHECK(raftmq_group_list(client, &names, &last) == RAFTMQ_OK && is_named(names, GROUP));
    raftmq_names_free(names);
}

static void delete_topic(struct raftmq_client *client)
{
    struct raftmq_route *route;
    CHECK(raftmq_topic_delete(client, NULL, TOPIC, &last) == RAFTMQ_OK);
    CHECK(raftmq_topic_route(client, TOPIC, &route, &last) == RAFTMQ_NO_ROUTE);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: apache_client NAMESRV\n", stderr);
        return 2;
    }
    const struct raftmq_client_options options = {
        .nameservers = argv[1],
        .timeout_ms = 10000,
        .compress_above = 4096,
        .rebalance_ms = 500,
        .heartbeat_ms = 1000,
        .verbose = true,
    };
    struct raftmq_client *client;
    struct raftmq_producer *producer;
    memset(large, 'x', sizeof large);
    CHECK(raftmq_client_new(&options, &client, &last) == RAFTMQ_OK);
    CHECK(raftmq_producer_new(client, GROUP "-producer", NULL, NULL, &producer, &last) ==
          RAFTMQ_OK);
    create_topic(client);
    send_one_by_one(producer);
    send_in_other_ways(producer);
    pull_all(client);
    pull_and_wait(argv[1]);
    consume_odd(client, GROUP, "odd || none", RAFTMQ_TAGS);
    sql_is_taken_or_refused(client);
    pop_all(client);
    set_offsets(client);
    check_statistics(client);
    raftmq_producer_close(producer);
    delete_topic(client);
    raftmq_client_close(client);
    return EXIT_SUCCESS;
}
