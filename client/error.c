#include "client/error.h"

#include "common/remoting/codes.h"

#include <stdarg.h>
#include <stdio.h>

enum raftmq_status error_set(struct raftmq_error *error, enum raftmq_status status,
                             const char *format, ...)
{
    if (error != NULL) {
        va_list args;
        error->status = status;
        error->code = -1;
        va_start(args, format);
        vsnprintf(error->remark, sizeof error->remark, format, args);
        va_end(args);
    }
    return status;
}

enum raftmq_status error_none(struct raftmq_error *error)
{
    error_set(error, RAFTMQ_OK, "%s", "");
    if (error != NULL) {
        error->code = 0;
    }
    return RAFTMQ_OK;
}

enum raftmq_status error_of_status(struct raftmq_error *error, enum status status)
{
    enum raftmq_status mapped = RAFTMQ_CONNECTION_LOST;
    switch (status) {
    case STATUS_OK:
        return error_none(error);
    case STATUS_TIMED_OUT:
        mapped = RAFTMQ_TIMED_OUT;
        break;
    case STATUS_CONNECT_FAILED:
        mapped = RAFTMQ_CONNECT_FAILED;
        break;
    case STATUS_OVERLOADED:
    case STATUS_LIMIT:
        mapped = RAFTMQ_OVERLOADED;
        break;
    case STATUS_CANCELED:
        mapped = RAFTMQ_CLOSED;
        break;
    case STATUS_MALFORMED:
        mapped = RAFTMQ_MALFORMED;
        break;
    case STATUS_TOPIC_UNKNOWN:
    case STATUS_NOT_FOUND:
        mapped = RAFTMQ_NO_ROUTE;
        break;
    default:
        break;
    }
    return error_set(error, mapped, "%s", status_text(status));
}

enum raftmq_status error_of_response(struct raftmq_error *error, const struct command *response)
{
    if (response->remark.size > 0) {
        error_set(error, RAFTMQ_REFUSED, "%.*s", SLICE_ARGS(response->remark));
    } else {
        error_set(error, RAFTMQ_REFUSED, "%s", response_code_name(response->code));
    }
    if (error != NULL) {
        error->code = response->code;
    }
    return RAFTMQ_REFUSED;
}

const char *raftmq_status_name(enum raftmq_status status)
{
    static const char *const names[] = {
        "OK",        "INVALID_ARGUMENT", "NO_ROUTE",
        "REFUSED",   "CONNECT_FAILED",   "CONNECTION_LOST",
        "TIMED_OUT", "OVERLOADED",       "CLOSED",
        "MALFORMED",
    };
    return (size_t)status < sizeof names / sizeof names[0] ? names[status] : "UNKNOWN";
}

const char *raftmq_version(void)
{
    return RAFTMQ_VERSION;
}
