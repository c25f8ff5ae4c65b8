#include "tests/support/sync_call.h"

#include "tests/support/test.h"

enum { TIMEOUT_MS = 10000 };

static void on_command(struct conn *conn, const struct command *command, struct slice frame)
{
    struct sync_client *client = conn_context(conn);
    if (command_is_response(command)) {
        buf_clear(&client->frame);
        buf_put_slice(&client->frame, frame);
        (void)rpc_on_command(client->rpc, conn, command);
    }
}

static void on_close(struct conn *conn, enum status why)
{
    struct sync_client *client = conn_context(conn);
    client->closed = true;
    client->why = why;
    rpc_on_close(client->rpc, conn, why);
}

static const struct conn_events conn_events = {on_command, on_close};

void sync_client_open(struct sync_client *client, uv_loop_t *loop, struct host host)
{
    const struct conn_options options = {.events = &conn_events, .context = client};
    *client = (struct sync_client){.loop = loop, .rpc = rpc_new(loop, 16)};
    if (conn_connect(loop, host, &options, &client->conn) != STATUS_OK) {
        fail_msg("cannot connect");
    }
}

void sync_client_close(struct sync_client *client)
{
    if (!client->closed) {
        conn_close(client->conn, STATUS_OK);
    }
    while (!client->closed) {
        uv_run(client->loop, UV_RUN_ONCE);
    }
    rpc_close(client->rpc);
    uv_run(client->loop, UV_RUN_NOWAIT);
    buf_close(&client->frame);
    buf_close(&client->scratch);
}

static void on_end(void *context, enum status status, const struct command *response)
{
    struct sync_client *client = context;
    (void)response;
    client->answered = true;
    client->status = status;
}

int32_t sync_call(struct sync_client *client, struct command *request)
{
    client->answered = false;
    if (rpc_call(client->rpc, client->conn, request, TIMEOUT_MS, on_end, client) !=
        STATUS_PENDING) {
        fail_msg("the call was refused");
    }
    while (!client->answered) {
        uv_run(client->loop, UV_RUN_ONCE);
    }
    if (client->status != STATUS_OK) {
        fail_msg("the call ended with %s", status_name(client->status));
    }
    buf_clear(&client->scratch);
    if (command_decode(buf_slice(&client->frame), &client->scratch, &client->response) !=
        STATUS_OK) {
        fail_msg("the answer cannot be decoded");
    }
    return client->response.code;
}
