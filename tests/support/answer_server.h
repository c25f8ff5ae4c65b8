/* A server of the remoting protocol on a thread of its own, answering as the test wants: nameserver
 * and broker in one. */
#ifndef TESTS_SUPPORT_ANSWER_SERVER_H
#define TESTS_SUPPORT_ANSWER_SERVER_H

#include "common/remoting/command.h"

struct answer_server;

/* Fill in the response, which has code 0; what it borrows must live until the next call (use
 * scratch, which is empty and has room for 1 MiB). False: no answer. Called on the server's thread.
 */
typedef bool (*answer_server_answer)(void *context, const struct command *request,
                                     struct command *response, struct buf *scratch);

/* Listen on a free port of 127.0.0.1. */
struct answer_server *answer_server_start(answer_server_answer answer, void *context);
/* "127.0.0.1:port"; valid until stopped. */
const char *answer_server_address(const struct answer_server *fake);
/* What either thread wrote before is seen by the other one after: call it before and after asking.
 */
void answer_server_sync(struct answer_server *fake);
void answer_server_stop(struct answer_server *fake);

#endif
