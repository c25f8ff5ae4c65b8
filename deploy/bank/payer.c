/* Service A of the demo: pays service B, one transfer a transaction.
 *
 * The local transaction debits the account and records the transfer in one SQLite transaction.
 * Whoever decides a transfer first, the payment or a check-back, writes its row; the row's key
 * makes that the only decision there can ever be. So a check that comes before, while or after the
 * payment runs, in this process or after a restart, always gives the answer that stands. */
#include "client/include/raftmq.h"
#include "deploy/bank/database.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    AMOUNT = 100,
    REFUSE_EVERY = 20,  /* Such transfers are more than the account may pay at once. */
    UNKNOWN_EVERY = 15, /* After such ones A does not say what it did: the broker has to ask. */
    RETRY_MS = 50,
    ID_SIZE = 32,
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL);"
    "INSERT OR IGNORE INTO account VALUES (1, 1000000);"
    "CREATE TABLE IF NOT EXISTS transfer (id TEXT PRIMARY KEY, amount INTEGER NOT NULL,"
    " state TEXT NOT NULL CHECK (state IN ('paid', 'refused')));";

struct payer {
    sqlite3 *database;
    sqlite3_mutex *mutex; /* Checks run on other threads; one SQLite transaction at a time. */
    const char *topic;
    long count;
    long
        die_after; /* Number of the transfer after whose local commit this process dies; 0: none. */
};

/* One transfer while it is sent. */
struct transfer {
    struct payer *payer;
    long number;
    char id[ID_SIZE];
};

/* Write the decision on a transfer unless there is one; returns the one that stands. */
static enum raftmq_transaction settle(struct payer *payer, const char *id, bool pay)
{
    sqlite3 *database = payer->database;
    // Takes the write lock at once, so that reading and writing are one step.
    sqlite3_mutex_enter(payer->mutex);
    database_run(database, "BEGIN IMMEDIATE");
    sqlite3_stmt *insert =
        database_prepare(database, "INSERT OR IGNORE INTO transfer VALUES (?1, ?2, ?3)");
    sqlite3_bind_text(insert, 1, id, -1, SQLITE_STATIC);
    sqlite3_bind_int(insert, 2, AMOUNT);
    sqlite3_bind_text(insert, 3, pay ? "paid" : "refused", -1, SQLITE_STATIC);
    database_change(database, insert);
    sqlite3_finalize(insert);
    if (sqlite3_changes(database) == 1 && pay) {
        database_run(database, "UPDATE account SET balance = balance - 100 WHERE id = 1");
    }
    sqlite3_stmt *select =
        database_prepare(database, "SELECT state = 'paid' FROM transfer WHERE id = ?1");
    sqlite3_bind_text(select, 1, id, -1, SQLITE_STATIC);
    bool paid = database_change(database, select) && sqlite3_column_int(select, 0) == 1;
    sqlite3_finalize(select);
    database_run(database, "COMMIT");
    sqlite3_mutex_leave(payer->mutex);
    return paid ? RAFTMQ_TRANSACTION_COMMIT : RAFTMQ_TRANSACTION_ROLLBACK;
}

/* The local transaction, while the broker holds the message back. */
static enum raftmq_transaction execute(void *context, const struct raftmq_send_result *result)
{
    const struct transfer *transfer = context;
    (void)result;
    bool pay = transfer->number % REFUSE_EVERY != 0;
    enum raftmq_transaction outcome = settle(transfer->payer, transfer->id, pay);
    if (transfer->number == transfer->payer->die_after) {
        kill(getpid(), SIGKILL); // Between the local commit and telling the broker.
    }
    return transfer->number % UNKNOWN_EVERY == 0 ? RAFTMQ_TRANSACTION_UNKNOWN : outcome;
}

/* The broker asks: the database knows. What was never begun is refused now, for good. */
static enum raftmq_transaction check(void *context, const struct raftmq_received *message)
{
    return settle(context, message->keys, false);
}

static void pause_ms(long ms)
{
    const struct timespec time = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

/* Pay one transfer, however often it takes until the broker has its half message. */
static void pay(struct payer *payer, struct raftmq_producer *producer, long number)
{
    struct transfer transfer = {.payer = payer, .number = number};
    char body[64];
    snprintf(transfer.id, sizeof transfer.id, "transfer-%05ld", number);
    int size = snprintf(body, sizeof body, "%d", AMOUNT);
    const struct raftmq_message message = {
        .topic = payer->topic,
        .keys = transfer.id,
        .body = body,
        .body_size = (size_t)size,
    };
    for (;;) {
        struct raftmq_send_result result;
        struct raftmq_error error;
        enum raftmq_transaction outcome;
        enum raftmq_status status = raftmq_send_transaction(producer, &message, 0, execute,
                                                            &transfer, &result, &outcome, &error);
        if (status == RAFTMQ_OK) {
            return;
        }
        fprintf(stderr, "payer: %s: %s %s; again\n", transfer.id, raftmq_status_name(status),
                error.remark);
        pause_ms(RETRY_MS);
    }
}

/* Go on after the last transfer that the database knows. One that was sent but not begun before a
 * crash is refused when the broker asks, and is sent anew here; its row decides which comes first.
 */
static long first_number(const struct payer *payer)
{
    return 1 + database_number(payer->database,
                               "SELECT CAST(substr(max(id), 10) AS INTEGER) FROM transfer", 0);
}

static int usage(void)
{
    fputs("usage: bank-payer -n NAMESRV -d DATABASE -t TOPIC -c COUNT [-k DIE_AFTER] [-w PAUSE_MS]"
          " [-l LINGER_MS]\n",
          stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct payer payer = {0};
    const char *nameservers = NULL;
    const char *path = NULL;
    long wait_ms = 0;
    long linger_ms = 0;
    for (int option; (option = getopt(argc, argv, "n:d:t:c:k:w:l:")) != -1;) {
        switch (option) {
        case 'n':
            nameservers = optarg;
            break;
        case 'd':
            path = optarg;
            break;
        case 't':
            payer.topic = optarg;
            break;
        case 'c':
            payer.count = strtol(optarg, NULL, 10);
            break;
        case 'k':
            payer.die_after = strtol(optarg, NULL, 10);
            break;
        case 'w':
            wait_ms = strtol(optarg, NULL, 10);
            break;
        case 'l':
            linger_ms = strtol(optarg, NULL, 10);
            break;
        default:
            return usage();
        }
    }
    if (nameservers == NULL || path == NULL || payer.topic == NULL || payer.count < 1) {
        return usage();
    }
    struct raftmq_client *client;
    struct raftmq_producer *producer;
    struct raftmq_error error;
    const struct raftmq_client_options options = {
        .nameservers = nameservers,
        .poll_routes_ms = 1000,
        .heartbeat_ms = 1000,
        .timeout_ms = 5000,
    };
    payer.database = database_open(path, schema);
    payer.mutex = sqlite3_mutex_alloc(SQLITE_MUTEX_FAST);
    if (raftmq_client_new(&options, &client, &error) != RAFTMQ_OK ||
        raftmq_producer_new(client, "bank-payer", check, &payer, &producer, &error) != RAFTMQ_OK) {
        fprintf(stderr, "payer: %s\n", error.remark);
        return EXIT_FAILURE;
    }
    for (long number = first_number(&payer); number <= payer.count; number++) {
        pay(&payer, producer, number);
        pause_ms(wait_ms);
    }
    pause_ms(linger_ms); // Some transfers are not decided yet: stay to be asked about them.
    raftmq_producer_close(producer);
    raftmq_client_close(client);
    sqlite3_mutex_free(payer.mutex);
    sqlite3_close(payer.database);
    return EXIT_SUCCESS;
}
