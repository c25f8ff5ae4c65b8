/* One request and its answer, by way of libraftmq. */
#ifndef ADMIN_CALL_H
#define ADMIN_CALL_H

#include "admin/cli.h"
#include "client/include/raftmq.h"
#include "common/remoting/command.h"

/* A zeroed reply is empty. `command` (code, remark, fields and body; no more) borrows from it until
 * it is closed or used again. */
struct cli_reply {
    struct command command;
    struct raftmq_response *response;
    struct raftmq_error error;
};

void cli_reply_close(struct cli_reply *reply);

/* Send a request to "ip:port", or to the first nameserver that answers if address is NULL, and wait
 * for the answer, whatever its code. False: there is none, and reply->error.remark says why. */
WARN_UNUSED bool cli_call(struct cli *cli, const char *address, const struct command *request,
                          struct cli_reply *reply);

/* Tell the person how a call of libraftmq ended that did not end well; the code that says which
 * kind it is. */
enum cli_exit cli_client_failed(struct cli *cli, const struct raftmq_error *error);

#endif
