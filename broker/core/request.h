/* A request while it is being processed, and the return address of one that waits. */
#ifndef BROKER_CORE_REQUEST_H
#define BROKER_CORE_REQUEST_H

#include "broker/core/channel.h"
#include "common/base/status.h"
#include "common/remoting/command.h"

struct broker;

/* Where an answer goes: small, copied into whatever waits, looked up when the time has come. */
struct reply_to {
    uint64_t channel_id;
    int32_t code;
    int32_t opaque;
    uint8_t serialize_type;
    bool oneway;
};

/* Lives on the dispatcher's stack; the command and all it borrows die when the processor returns.
 */
struct request {
    const struct command *command;
    struct channel *channel; /* The client's, also when it is behind another replica. */
    struct reply_to to;
    struct command response; /* Fields and body added by the processor; they may borrow from scratch
                                and body, which live as long. */
    struct buf body;         /* If not empty: the response's body. */
    char scratch[2048];
    size_t scratch_size;
    char remark[256];
};

/* Add response fields. Numbers are written into scratch. */
void request_add_i64(struct request *request, const char *name, int64_t value);
void request_add_text(struct request *request, const char *name, struct slice value);

/* Say more about an error than its status does; returns status. */
enum status request_fail(struct request *request, enum status status, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* Send a response to a return address; harmless if the channel is gone or the call was oneway. */
void broker_reply(struct broker *broker, const struct reply_to *to, struct command *response);
/* An error by its status; remark NULL = the status's text. */
void broker_reply_status(struct broker *broker, const struct reply_to *to, enum status status,
                         const char *remark);
/* Begin a response for a return address. */
void reply_init(struct command *response, const struct reply_to *to, int32_t code);

/* Waiter for operations whose answer is no more than the status. */
struct waiter;
struct operation;
struct operation_result;
void reply_with_status(struct broker *broker, const struct waiter *waiter,
                       const struct operation *operation, const struct operation_result *result);
/* The same for deletions: what was not there is gone as wanted. */
void reply_deleted(struct broker *broker, const struct waiter *waiter,
                   const struct operation *operation, const struct operation_result *result);

#endif
