/* A member of a consumer group that tells on standard output what its listener does, for
 * test_client.py and test_pop.py: `client_member NAMESRV HOW GROUP TOPIC [DIRECTORY]`, until
 * standard input ends.
 *
 *   orderly, concurrent, broadcasting   "begin NS BROKER QUEUE OFFSET TIMES BODY", then the same
 *                                       with "done" or "failed". Bodies say how it ends: "once…"
 *                                       fails the first time, "bad…" always
 *   popping                             the same by two threads of a simple consumer: "done" is
 *                                       acknowledged, "over" is one that was over by then,
 *                                       "failed" is left alone
 *   answering                           replies "re: BODY"
 *   asking                              sends each line of standard input as a request and prints
 *                                       its reply, or how it failed */
#include "client/include/raftmq.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    LINE_SIZE = 256,
    WORK_NS = 2000000,
    RETRIES_MAX = 1,
    RETRY_LEVEL = 1,
    PERIOD_MS = 300,
    POP_THREADS = 2,
    POP_MAX = 4,
    POP_HIDDEN_MS = 5000,
    POP_AWAIT_MS = 1000,
};

/* What the threads that pop share. */
struct popping {
    struct raftmq_client *client;
    struct raftmq_simple_consumer *consumer;
    const char *group;
    atomic_bool over;
};

static void fail(const char *what, const struct raftmq_error *error)
{
    fprintf(stderr, "%s: %s\n", what, error->remark);
    exit(EXIT_FAILURE);
}

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/* One write a line, so that lines of several threads do not mix. */
static void tell(const char *what, const struct raftmq_received *message)
{
    char line[LINE_SIZE];
    int size =
        snprintf(line, sizeof line, "%s %" PRIu64 " %s %d %" PRId64 " %d %.*s\n", what, now_ns(),
                 message->broker, message->queue_id, message->queue_offset,
                 message->reconsume_times, (int)message->body_size, (const char *)message->body);
    fwrite(line, 1, (size_t)size, stdout);
    fflush(stdout);
}

static bool begins(const struct raftmq_received *message, const char *with)
{
    size_t size = strlen(with);
    return message->body_size >= size && memcmp(message->body, with, size) == 0;
}

static enum raftmq_consumed listen(void *context, const struct raftmq_received *message)
{
    const struct timespec work = {.tv_nsec = WORK_NS};
    (void)context;
    tell("begin", message);
    nanosleep(&work, NULL); // Listeners of two members would overlap, if anything let them.
    bool fails =
        begins(message, "bad") || (begins(message, "once") && message->reconsume_times == 0);
    tell(fails ? "failed" : "done", message);
    return fails ? RAFTMQ_CONSUME_LATER : RAFTMQ_CONSUMED;
}

static enum raftmq_consumed answer(void *context, const struct raftmq_received *message)
{
    char body[LINE_SIZE];
    struct raftmq_error error;
    int size = snprintf(body, sizeof body, "re: %.*s", (int)message->body_size,
                        (const char *)message->body);
    if (raftmq_answer(context, message, body, (size_t)size, 0, &error) != RAFTMQ_OK) {
        fprintf(stderr, "not answered: %s\n", error.remark);
    }
    return RAFTMQ_CONSUMED;
}

static void ask(struct raftmq_producer *producer, const char *topic)
{
    char line[LINE_SIZE];
    while (fgets(line, sizeof line, stdin) != NULL) {
        struct raftmq_reply *reply;
        struct raftmq_error error;
        const struct raftmq_message message = {
            .topic = topic, .body = line, .body_size = strcspn(line, "\n")};
        if (raftmq_request(producer, &message, 5000, &reply, &error) == RAFTMQ_OK) {
            printf("%.*s\n", (int)reply->message->body_size, (const char *)reply->message->body);
            raftmq_reply_free(reply);
        } else {
            printf("%s %s\n", raftmq_status_name(error.status), error.remark);
        }
        fflush(stdout);
    }
}

static void consume(struct raftmq_client *client, struct raftmq_producer *producer, char **words)
{
    char line[LINE_SIZE];
    struct raftmq_consumer *consumer;
    struct raftmq_error error;
    bool answering = strcmp(words[2], "answering") == 0;
    bool concurrent = strcmp(words[2], "concurrent") == 0;
    const struct raftmq_subscription subscription = {.topic = words[4]};
    const struct raftmq_consumer_options options = {
        .group = words[3],
        .subscriptions = &subscription,
        .subscription_count = 1,
        .listener = answering ? answer : listen,
        .context = producer,
        .from = RAFTMQ_FROM_FIRST,
        .orderly = strcmp(words[2], "orderly") == 0,
        .broadcasting = strcmp(words[2], "broadcasting") == 0,
        .offsets_directory = words[5],
        .retries_max = concurrent ? RETRIES_MAX : 0,
        .retry_level = concurrent ? RETRY_LEVEL : 0,
        .redeliver_ms = 20,
    };
    if (raftmq_consumer_new(client, &options, &consumer, &error) != RAFTMQ_OK) {
        fail("consumer", &error);
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
    }
    raftmq_consumer_close(consumer);
}

/* Until it is known how it ended: a lost answer is none. */
static void acknowledge(const struct popping *popping, const struct raftmq_received *message)
{
    struct raftmq_error error;
    while (raftmq_ack(popping->client, popping->group, message->topic, message->handle, 0,
                      &error) != RAFTMQ_OK) {
        if (error.status == RAFTMQ_REFUSED) {
            tell("over", message);
            return;
        }
    }
    tell("done", message);
}

static void *pop_in_a_thread(void *context)
{
    struct popping *popping = context;
    const struct timespec work = {.tv_nsec = WORK_NS};
    while (!atomic_load(&popping->over)) {
        struct raftmq_messages *messages;
        struct raftmq_error error;
        if (raftmq_receive(popping->consumer, POP_MAX, POP_HIDDEN_MS, POP_AWAIT_MS, &messages,
                           &error) != RAFTMQ_OK) {
            fprintf(stderr, "not received: %s\n", error.remark);
            continue;
        }
        for (size_t i = 0; i < messages->count; i++) {
            const struct raftmq_received *message = &messages->messages[i];
            tell("begin", message);
            nanosleep(&work, NULL);
            if (begins(message, "once") && message->delivery_attempt == 1) {
                tell("failed", message);
            } else {
                acknowledge(popping, message);
            }
        }
        raftmq_messages_free(messages);
    }
    return NULL;
}

static void pop(struct raftmq_client *client, char **words)
{
    char line[LINE_SIZE];
    struct raftmq_error error;
    struct popping popping = {.client = client, .group = words[3]};
    pthread_t threads[POP_THREADS];
    const struct raftmq_subscription subscription = {.topic = words[4]};
    const struct raftmq_simple_consumer_options options = {
        .group = words[3],
        .subscriptions = &subscription,
        .subscription_count = 1,
        .from = RAFTMQ_FROM_FIRST,
    };
    if (raftmq_simple_consumer_new(client, &options, &popping.consumer, &error) != RAFTMQ_OK) {
        fail("simple consumer", &error);
    }
    for (int i = 0; i < POP_THREADS; i++) {
        if (pthread_create(&threads[i], NULL, pop_in_a_thread, &popping) != 0) {
            exit(EXIT_FAILURE);
        }
    }
    while (fgets(line, sizeof line, stdin) != NULL) {
    }
    atomic_store(&popping.over, true);
    for (int i = 0; i < POP_THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    raftmq_simple_consumer_close(popping.consumer);
}

int main(int argc, char **argv)
{
    struct raftmq_client *client;
    struct raftmq_producer *producer;
    struct raftmq_error error;
    if (argc < 5) {
        fprintf(stderr, "usage: %s NAMESRV HOW GROUP TOPIC [DIRECTORY]\n", argv[0]);
        return EXIT_FAILURE;
    }
    const struct raftmq_client_options options = {
        .nameservers = argv[1],
        .rebalance_ms = PERIOD_MS,
        .poll_routes_ms = PERIOD_MS,
        .heartbeat_ms = PERIOD_MS,
        .persist_offsets_ms = PERIOD_MS,
    };
    if (raftmq_client_new(&options, &client, &error) != RAFTMQ_OK ||
        raftmq_producer_new(client, "members", NULL, NULL, &producer, &error) != RAFTMQ_OK) {
        fail("client", &error);
    }
    if (strcmp(argv[2], "asking") == 0) {
        ask(producer, argv[4]);
    } else if (strcmp(argv[2], "popping") == 0) {
        pop(client, argv);
    } else {
        consume(client, producer, argv);
    }
    raftmq_producer_close(producer);
    raftmq_client_close(client);
    return EXIT_SUCCESS;
}
