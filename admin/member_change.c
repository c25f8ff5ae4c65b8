#include "admin/member_change.h"

#include "admin/output.h"
#include "admin/replica_status.h"
#include "common/base/clock.h"
#include "common/remoting/codes.h"
#include "common/remoting/extension.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum {
    POLL_MS = 200,
    /* A node that was only just started has not contacted every leader yet. */
    CONTACT_MS = 5000,
};

static const char *step_name(enum member_step step)
{
    switch (step) {
    case STEP_ADD:
        return "add";
    case STEP_PROMOTE:
        return "promote";
    case STEP_REMOVE:
        return "remove";
    }
    return "";
}

static void pause_between_tries(void)
{
    usleep(POLL_MS * 1000);
}

static json_int_t integer(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* What the leader of a group says of itself and the others; borrowed from status. NULL: none. */
static const json_t *leader_answer(const json_t *status)
{
    const char *leader = json_string_value(json_object_get(status, "leader"));
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(status, "replicas"), i, row)
    {
        const char *address = json_string_value(json_object_get(row, "address"));
        if (leader != NULL && address != NULL && strcmp(leader, address) == 0) {
            return json_object_get(row, "status");
        }
    }
    return NULL;
}

/* Is the step done, by a membership that is committed? */
static bool is_done(const json_t *answer, int64_t id, enum member_step step)
{
    size_t i;
    json_t *member;
    const char *is = "none";
    json_array_foreach(json_object_get(answer, "members"), i, member)
    {
        if (integer(member, "id") == id) {
            is = json_string_value(json_object_get(member, "membership"));
        }
    }
    if (is == NULL || !json_is_false(json_object_get(answer, "changePending"))) {
        return false;
    }
    switch (step) {
    case STEP_ADD:
        return strcmp(is, "none") != 0;
    case STEP_PROMOTE:
        return strcmp(is, "voter") == 0;
    case STEP_REMOVE:
        return strcmp(is, "none") == 0;
    }
    return false;
}

/* Hand leadership over if the server to be removed has it. */
static enum cli_exit leave_leadership(struct cli *cli, const struct broker_data *group,
                                      const json_t *answer, int64_t id)
{
    struct command request;
    struct cli_reply reply = {0};
    if (integer(answer, "memberId") != id) {
        return CLI_OK;
    }
    command_init_request(&request, REQUEST_RAFTMQ_TRANSFER, 1);
    enum cli_exit code = ask_leader(cli, group, &request, &reply);
    cli_reply_close(&reply);
    return code;
}

/* Is this answer one to a question that came too early? */
static bool too_early(const struct command *answer, enum member_step step, uint64_t asking_ms)
{
    return answer->code == RESPONSE_SYSTEM_BUSY || answer->code == RESPONSE_SERVICE_NOT_AVAILABLE ||
           (answer->code == RESPONSE_QUERY_NOT_FOUND && step == STEP_ADD && asking_ms < CONTACT_MS);
}

/* Ask once, after asking for asking_ms. *again: it was too early. */
static enum cli_exit ask(struct cli *cli, const struct broker_data *group, int64_t id,
                         enum member_step step, uint64_t asking_ms, bool *again)
{
    struct command request;
    struct cli_reply reply = {0};
    struct buf scratch = {0};
    buf_reserve(&scratch, 64);
    command_init_request(&request, REQUEST_RAFTMQ_MEMBER, 1);
    command_add_i64(&request, "memberId", id, &scratch);
    command_add(&request, "action", slice_text(step_name(step)));
    enum cli_exit code = call_leader(cli, group, &request, &reply);
    *again = code == CLI_OK && too_early(&reply.command, step, asking_ms);
    if (code == CLI_OK && !*again && reply.command.code != RESPONSE_SUCCESS) {
        code = cli_refused(cli, group->name, &reply.command);
    }
    cli_reply_close(&reply);
    buf_close(&scratch);
    return code;
}

enum cli_exit member_step(struct cli *cli, const struct broker_data *group, int64_t id,
                          enum member_step step, uint64_t deadline_ms)
{
    uint64_t begun_ms = clock_monotonic_ms(clock_system());
    for (uint64_t now = begun_ms; now < deadline_ms; now = clock_monotonic_ms(clock_system())) {
        json_t *status = group_status(cli, group);
        const json_t *answer = leader_answer(status);
        bool done = answer != NULL && is_done(answer, id, step);
        bool again = true;
        enum cli_exit code = CLI_OK;
        if (answer != NULL && !done && step == STEP_REMOVE) {
            code = leave_leadership(cli, group, answer, id);
        }
        if (answer != NULL && !done && code == CLI_OK) {
            code = ask(cli, group, id, step, now - begun_ms, &again);
        }
        json_decref(status);
        if (done || code != CLI_OK) {
            return code;
        }
        pause_between_tries();
    }
    return cli_fail(cli, CLI_UNREACHABLE,
                    "%.*s: to %s node %" PRId64
                    " took too long; it may still happen, look with 'raftmq node list'",
                    SLICE_ARGS(group->name), step_name(step), id);
}

/* Address of the group's replica on a server, to be freed; NULL if it does not answer. */
static char *find_replica(struct cli *cli, const struct broker_data *group, int64_t id)
{
    json_t *status = group_status(cli, group);
    char *found = NULL;
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(status, "replicas"), i, row)
    {
        if (found == NULL && integer(row, "memberId") == id) {
            found = mem_copy_text(slice_text(json_string_value(json_object_get(row, "address"))));
        }
    }
    json_decref(status);
    return found;
}

enum cli_exit member_drain(struct cli *cli, const struct broker_data *group, int64_t id, bool on)
{
    struct command request;
    struct cli_reply reply = {0};
    char *address = find_replica(cli, group, id);
    if (address == NULL) {
        return cli_fail(cli, CLI_UNREACHABLE, "%.*s: node %" PRId64 " does not answer",
                        SLICE_ARGS(group->name), id);
    }
    command_init_request(&request, REQUEST_RAFTMQ_DRAIN, 1);
    command_add(&request, "on", slice_text(on ? "true" : "false"));
    enum cli_exit code = CLI_OK;
    if (!cli_call(cli, address, &request, &reply)) {
        code = cli_fail(cli, CLI_UNREACHABLE, "%s: %s", address, reply.error.remark);
    } else if (reply.command.code != RESPONSE_SUCCESS) {
        code = cli_refused(cli, group->name, &reply.command);
    }
    cli_reply_close(&reply);
    free(address);
    return code;
}
