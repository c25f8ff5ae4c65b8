/* A server of the remoting protocol on a thread of its own, answering as the test wants: nameserver
 * and broker in one. */
#ifndef TESTS_SUPPORT_FAKE_BROKER_H
#define TESTS_SUPPORT_FAKE_BROKER_H

#include "common/remoting/command.h"

struct fake_broker;

/* Fill in the response, which has code 0; what it borrows must live until the next call (use
 * scratch, which is empty and has room for 1 MiB). False: no answer. Called on the server's thread.
 */
typedef bool (*fake_broker_answer)(void *context, const struct command *request,
                                   struct command *response, struct buf *scratch);

/* Listen on a free port of 127.0.0.1. */
struct fake_broker *fake_broker_start(fake_broker_answer answer, void *context);
/* "127.0.0.1:port"; valid until stopped. */
const char *fake_broker_address(const struct fake_broker *fake);
/* What either thread wrote before is seen by the other one after: call it before and after asking.
 */
void fake_broker_sync(struct fake_broker *fake);
void fake_broker_stop(struct fake_broker *fake);

#endif
