/* Service B of the demo: credits what A has paid, each transfer once.
 *
 * A message may come more than once (that is what at-least-once means), so the transfer's id is the
 * key of the row that credits it; a second delivery is counted and changes nothing. Now and then B
 * fails on purpose and is given the message again. */
#include "client/include/raftmq.h"
#include "deploy/bank/database.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { FAIL_EVERY = 25 };

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);"
    "INSERT OR IGNORE INTO account VALUES (1, 0);"
    "CREATE TABLE IF NOT EXISTS credit (transfer TEXT PRIMARY KEY, amount INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);"
    "INSERT OR IGNORE INTO counter VALUES ('deliveries', 0), ('duplicates', 0), ('failures', 0);";

struct payee {
    sqlite3 *database;
    sqlite3_mutex *mutex; /* The listener runs on several threads; one transaction at a time. */
};

static void count(sqlite3 *database, const char *name)
{
    sqlite3_stmt *statement =
        database_prepare(database, "UPDATE counter SET value = value + 1 WHERE name = ?1");
    sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    database_change(database, statement);
    sqlite3_finalize(statement);
}

static void credit(sqlite3 *database, const struct raftmq_received *message)
{
    sqlite3_stmt *insert =
        database_prepare(database, "INSERT OR IGNORE INTO credit VALUES (?1, CAST(?2 AS INTEGER))");
    sqlite3_bind_text(insert, 1, message->keys, -1, SQLITE_STATIC);
    sqlite3_bind_text(insert, 2, message->body, (int)message->body_size, SQLITE_STATIC);
    database_change(database, insert);
    sqlite3_finalize(insert);
    if (sqlite3_changes(database) == 0) {
        count(database, "duplicates");
        return;
    }
    sqlite3_stmt *update = database_prepare(
        database, "UPDATE account SET balance = balance + CAST(?1 AS INTEGER) WHERE id = 1");
    sqlite3_bind_text(update, 1, message->body, (int)message->body_size, SQLITE_STATIC);
    database_change(database, update);
    sqlite3_finalize(update);
}

static enum raftmq_consumed on_message(void *context, const struct raftmq_received *message)
{
    struct payee *payee = context;
    sqlite3 *database = payee->database;
    sqlite3_mutex_enter(payee->mutex);
    int64_t deliveries =
        database_number(database, "SELECT value FROM counter WHERE name = 'deliveries'", 0);
    bool fails = deliveries % FAIL_EVERY == FAIL_EVERY - 1;
    database_run(database, "BEGIN IMMEDIATE");
    count(database, "deliveries");
    if (fails) {
        count(database, "failures");
    } else {
        credit(database, message);
    }
    database_run(database, "COMMIT");
    sqlite3_mutex_leave(payee->mutex);
    return fails ? RAFTMQ_CONSUME_LATER : RAFTMQ_CONSUMED;
}

static int usage(void)
{
    fputs("usage: bank-payee -n NAMESRV -d DATABASE -t TOPIC\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct raftmq_subscription subscription = {0};
    const char *nameservers = NULL;
    const char *path = NULL;
    for (int option; (option = getopt(argc, argv, "n:d:t:")) != -1;) {
        switch (option) {
        case 'n':
            nameservers = optarg;
            break;
        case 'd':
            path = optarg;
            break;
        case 't':
            subscription.topic = optarg;
            break;
        default:
            return usage();
        }
    }
    if (nameservers == NULL || path == NULL || subscription.topic == NULL) {
        return usage();
    }
    sigset_t signals;
    int signal_number;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); // Before threads start: only sigwait() sees them.

    struct payee payee = {.database = database_open(path, schema),
                          .mutex = sqlite3_mutex_alloc(SQLITE_MUTEX_FAST)};
    struct raftmq_client *client;
    struct raftmq_consumer *consumer;
    struct raftmq_error error;
    const struct raftmq_client_options options = {
        .nameservers = nameservers,
        .poll_routes_ms = 1000,
        .heartbeat_ms = 1000,
        .rebalance_ms = 1000,
    };
    const struct raftmq_consumer_options consuming = {
        .group = "bank-payee",
        .subscriptions = &subscription,
        .subscription_count = 1,
        .listener = on_message,
        .context = &payee,
        .from = RAFTMQ_FROM_FIRST,
        .redeliver_ms = 200,
    };
    if (raftmq_client_new(&options, &client, &error) != RAFTMQ_OK ||
        raftmq_consumer_new(client, &consuming, &consumer, &error) != RAFTMQ_OK) {
        fprintf(stderr, "payee: %s\n", error.remark);
        return EXIT_FAILURE;
    }
    sigwait(&signals, &signal_number);
    raftmq_consumer_close(consumer);
    raftmq_client_close(client);
    sqlite3_mutex_free(payee.mutex);
    sqlite3_close(payee.database);
    return EXIT_SUCCESS;
}
