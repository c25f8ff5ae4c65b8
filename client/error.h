/* Filling struct raftmq_error. Any thread. */
#ifndef CLIENT_ERROR_H
#define CLIENT_ERROR_H

#include "client/include/raftmq.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/remoting/command.h"

/* Set *error (may be NULL) and return status. */
enum raftmq_status error_set(struct raftmq_error *error, enum raftmq_status status,
                             const char *format, ...) PRINTF_LIKE(3, 4);

/* All went well. */
enum raftmq_status error_none(struct raftmq_error *error);

/* How a call ended without an answer. */
enum raftmq_status error_of_status(struct raftmq_error *error, enum status status);

/* A server's refusal: its code and remark. */
enum raftmq_status error_of_response(struct raftmq_error *error, const struct command *response);

#endif
