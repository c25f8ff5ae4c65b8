#include "admin/call.h"

#include "common/base/arena.h"
#include "common/remoting/codes.h"

static void take_response(struct cli_reply *reply);
static const char *copy(struct arena *arena, struct slice text);

void cli_reply_close(struct cli_reply *reply)
{
    raftmq_response_free(reply->response);
    reply->response = NULL;
}

bool cli_call(struct cli *cli, const char *address, const struct command *request,
              struct cli_reply *reply)
{
    struct arena texts = {0};
    struct raftmq_property *fields = arena_array(&texts, request->field_count + 1, sizeof *fields);
    for (uint32_t i = 0; i < request->field_count; i++) {
        fields[i].name = copy(&texts, request->fields[i].name);
        fields[i].value = copy(&texts, request->fields[i].value);
    }
    cli_reply_close(reply);
    enum raftmq_status status =
        raftmq_invoke(cli->client, address, request->code, fields, request->field_count,
                      request->body.data, request->body.size, 0, &reply->response, &reply->error);
    arena_close(&texts);
    if (status != RAFTMQ_OK) {
        return false;
    }
    take_response(reply);
    return true;
}

static void take_response(struct cli_reply *reply)
{
    const struct raftmq_response *response = reply->response;
    ASSERT(response->field_count <= HEADER_FIELDS_MAX);
    reply->command = (struct command){
        .code = response->code,
        .remark = slice_text(response->remark),
        .field_count = (uint32_t)response->field_count,
        .body = slice_of(response->body, response->body_size),
    };
    for (size_t i = 0; i < response->field_count; i++) {
        reply->command.fields[i] = (struct field){
            .name = slice_text(response->fields[i].name),
            .value = slice_text(response->fields[i].value),
        };
    }
}

static const char *copy(struct arena *arena, struct slice text)
{
    return (const char *)arena_copy(arena, text).data;
}

enum cli_exit cli_client_failed(struct cli *cli, const struct raftmq_error *error)
{
    bool unknown = error->code == RESPONSE_TOPIC_NOT_EXIST ||
                   error->code == RESPONSE_SUBSCRIPTION_GROUP_NOT_EXIST;
    switch (error->status) {
    case RAFTMQ_INVALID_ARGUMENT:
        return cli_fail(cli, CLI_USAGE, "%s", error->remark);
    case RAFTMQ_REFUSED:
        return cli_fail(cli, unknown ? CLI_NOT_FOUND : CLI_FAILED, "%s (%d) %s",
                        response_code_name(error->code), error->code, error->remark);
    default:
        return cli_fail(cli, CLI_UNREACHABLE, "%s", error->remark);
    }
}
