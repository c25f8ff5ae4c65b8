/* Requests of our own about a group's members (extension.h): add, promote, remove, drain. */
#include "broker/core/broker.h"
#include "broker/core/processors.h"
#include "common/remoting/extension.h"

#include <inttypes.h>

static bool parse_action(struct slice text, enum member_action *action)
{
    static const struct {
        const char *name;
        enum member_action action;
    } actions[] = {
        {"add", MEMBER_ADD},
        {"promote", MEMBER_PROMOTE},
        {"remove", MEMBER_REMOVE},
    };
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (slice_equals_text(text, actions[i].name)) {
            *action = actions[i].action;
            return true;
        }
    }
    return false;
}

enum status process_member(struct broker *broker, struct request *request)
{
    struct slice text = {0};
    int64_t id = 0;
    enum member_action action = MEMBER_ADD;
    enum status status = command_i64(request->command, "memberId", true, &id);
    if (status != STATUS_OK) {
        return status;
    }
    command_find(request->command, "action", &text);
    if (id <= 0 || !parse_action(text, &action)) {
        return request_fail(request, STATUS_INVALID_ARGUMENT,
                            "memberId must be positive, and action add, promote or remove");
    }
    const struct member_ports *members = &broker->ports->members;
    const char *why = NULL;
    status = members->change(members->context, (uint64_t)id, action, &why);
    log_info(broker->log, "membership change asked for", "member=%" PRId64 " action=%.*s result=%s",
             id, SLICE_ARGS(text), status_name(status));
    return status == STATUS_OK || why == NULL ? status : request_fail(request, status, "%s", why);
}

enum status process_recover(struct broker *broker, struct request *request)
{
    int64_t last = 0;
    enum status status = command_i64(request->command, "lastIndex", true, &last);
    if (status != STATUS_OK) {
        return status;
    }
    const struct member_ports *members = &broker->ports->members;
    status = members->recover(members->context, (uint64_t)last);
    log_error(broker->log, "asked to become the only member", "lastIndex=%" PRId64 " result=%s",
              last, status_name(status));
    switch (status) {
    case STATUS_STALE:
        return request_fail(request, status, "the log no longer ends at entry %" PRId64, last);
    case STATUS_REFUSED:
        return request_fail(request, status, "the group has a leader: nothing is to be recovered");
    default:
        return status;
    }
}

enum status process_drain(struct broker *broker, struct request *request)
{
    struct slice text = {0};
    command_find(request->command, "on", &text);
    bool on = slice_equals_text(text, "true");
    if (!on && !slice_equals_text(text, "false")) {
        return request_fail(request, STATUS_INVALID_ARGUMENT, "on must be true or false");
    }
    if (broker->draining != on) {
        log_info(broker->log, on ? "drained: wants no leadership" : "no longer drained", "%s", "");
    }
    broker->draining = on;
    broker->ports->members.drain(broker->ports->members.context, on);
    return STATUS_OK;
}
