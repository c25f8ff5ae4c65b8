/* Inside the fake broker: which file answers which requests. Its own thread only.
 *
 *   fake_broker.c           start and stop, routes, administration
 *   fake_broker_producer.c  sends, transactions, replies, recalls
 *   fake_broker_consumer.c  heartbeats, pulls, offsets, locks, what is given back
 *   fake_broker_pop.c       pops, acknowledgements, who waits to be told */
#ifndef TESTS_SUPPORT_FAKE_BROKER_ROLES_H
#define TESTS_SUPPORT_FAKE_BROKER_ROLES_H

#include "tests/support/fake_broker.h"
#include "tests/support/test.h"

#include "common/remoting/message.h"

/* Answer a request of that role; false if it is none. */
typedef bool fake_role(struct fake_broker *fake, int broker, struct conn *conn,
                       const struct command *command);
fake_role fake_producer_on_command;
fake_role fake_consumer_on_command;
fake_role fake_pop_on_command;

/* Every few milliseconds: answer those who wait. */
void fake_consumer_on_tick(struct fake_broker *fake);
void fake_pop_on_tick(struct fake_broker *fake);

/* Free those who wait. */
void fake_consumer_close(struct fake_broker *fake);
void fake_pop_close(struct fake_broker *fake);

/* RESET_CONSUMER_CLIENT_OFFSET to whoever is connected, as Apache RocketMQ does. */
void fake_consumer_send_resets(struct fake_broker *fake);

/* NOTIFY_CONSUMER_IDS_CHANGED to whoever is connected. */
void fake_consumer_send_notices(struct fake_broker *fake);

/* A client's answer to what this broker asked. */
void fake_producer_on_answer(struct fake_broker *fake, const struct command *answer);

/* "broker-a", "broker-b"; and "127.0.0.1:port". */
const char *fake_broker_name(int broker);
void fake_broker_host(const struct fake_broker *fake, int broker, struct buf *out);

/* A connection by its id; NULL: it is gone. */
struct conn *fake_broker_conn(struct fake_broker *fake, int broker, uint64_t id);

/* A field of a request; empty, or 0, if it is absent. */
static inline struct slice fake_field(const struct command *command, const char *name)
{
    struct slice value = {0};
    (void)command_find(command, name, &value);
    return value;
}

static inline int64_t fake_number(const struct command *command, const char *name)
{
    int64_t value = 0;
    if (command_i64(command, name, false, &value) != STATUS_OK) {
        return 0;
    }
    return value;
}

#endif
