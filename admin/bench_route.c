/* Where the brokers of a load are now: asked of a nameserver again, without stopping the loop,
 * while a connection is down. Leaders move; a generator that does not follow measures the wrong
 * thing. */
#include "admin/bench.h"

#include "common/remoting/codes.h"

static bool server_host(struct bench *bench, struct host *host);
static void route_apply(struct bench *bench, struct slice body);

static void on_command(struct conn *conn, const struct command *command, struct slice frame)
{
    (void)frame;
    if (command_is_response(command) && command->code == RESPONSE_SUCCESS) {
        route_apply(conn_context(conn), command->body);
    }
    conn_close(conn, STATUS_OK);
}

static void on_close(struct conn *conn, enum status why)
{
    (void)why;
    struct bench *bench = conn_context(conn);
    bench->route_conn = NULL;
}

void bench_route_refresh(struct bench *bench)
{
    static const struct conn_events events = {.on_command = on_command, .on_close = on_close};
    struct conn_options options = {.events = &events, .context = bench};
    struct host host;
    if (bench->route_conn != NULL) {
        return; // Still asking.
    }
    bench->route_turn++;
    if (!server_host(bench, &host) ||
        conn_connect(&bench->loop, host, &options, &bench->route_conn) != STATUS_OK) {
        bench->route_conn = NULL;
        return;
    }
    struct command request;
    command_init_request(&request, REQUEST_GET_ROUTEINFO_BY_TOPIC, 1);
    command_add(&request, "topic", slice_text(bench->topic));
    command_add(&request, "acceptStandardJsonOnly", slice_text("true"));
    conn_send_command(bench->route_conn, &request);
}

/* The nameservers in turns. */
static bool server_host(struct bench *bench, struct host *host)
{
    const struct raftmq_client *client = bench->cli->client;
    const char *server = raftmq_client_nameserver(client, bench->route_turn);
    if (server == NULL) {
        bench->route_turn = 0;
        server = raftmq_client_nameserver(client, 0);
    }
    return host_parse(slice_text(server), host) == STATUS_OK;
}

static void route_apply(struct bench *bench, struct slice text)
{
    struct route route = {0};
    if (topic_route_decode(text, &route.body, &route.route) != STATUS_OK) {
        return;
    }
    for (size_t i = 0; i < bench->target_count; i++) {
        struct bench_target *target = &bench->targets[i];
        const struct broker_data *broker = route_broker(&route, name_slice(&target->name));
        struct host host;
        if (broker != NULL && broker_host(broker, &host)) {
            target->host = host; // For connections that are made from now on.
        }
    }
    route_close(&route);
}
