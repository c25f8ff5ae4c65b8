#include "nameserver/nameserver.h"

#include "nameserver/nameserver_internal.h"
#include "nameserver/settings.h"

#include <stdlib.h>

struct connection {
    struct list in_nameserver;
    struct nameserver *nameserver;
    struct conn *conn;
};

static void on_pending(struct listener *listener);
static void on_command(struct conn *conn, const struct command *command, struct slice frame);
static void on_close(struct conn *conn, enum status why);
static void on_scan(uv_timer_t *timer);
static void on_handle_closed(uv_handle_t *handle);
static void finish_if_closed(struct nameserver *nameserver);
static bool listen_host(const struct nameserver_options *options, struct host *host);

static const struct conn_events conn_events = {on_command, on_close};

enum status nameserver_new(const struct nameserver_options *options, struct nameserver **out)
{
    struct host host;
    const char *path = config_text(options->settings, "kvConfigPath");
    struct nameserver *nameserver = mem_zalloc(sizeof *nameserver);
    nameserver->options = *options;
    list_init(&nameserver->connections);
    enum status status = listen_host(options, &host) ? STATUS_OK : STATUS_INVALID_ARGUMENT;
    if (status == STATUS_OK) {
        status = kv_config_open(path, &nameserver->kv);
        if (status != STATUS_OK) {
            log_error(options->log, "cannot use the key-value configuration",
                      "file=%s error=%s fix=\"repair or remove the file\"", path,
                      status_name(status));
        }
    }
    if (status == STATUS_OK) {
        status = listener_open(&nameserver->listener, options->loop, host, on_pending, nameserver);
        if (status != STATUS_OK) {
            log_error(options->log, "cannot listen",
                      "port=%u fix=\"free the port or set listenPort\"", host.port);
        }
    }
    if (status != STATUS_OK) {
        kv_config_free(nameserver->kv);
        free(nameserver);
        return status;
    }
    nameserver->routes = route_table_new();
    uint64_t scan_ms = (uint64_t)config_integer(options->settings, "scanNotActiveBrokerInterval");
    nameserver->scanner.data = nameserver;
    nameserver->handles_open = 2;
    uv_timer_init(options->loop, &nameserver->scanner);
    uv_timer_start(&nameserver->scanner, on_scan, scan_ms, scan_ms);
    log_info(options->log, "nameserver listens", "port=%u version=%s", nameserver->listener.port,
             RAFTMQ_VERSION);
    *out = nameserver;
    return STATUS_OK;
}

static bool listen_host(const struct nameserver_options *options, struct host *host)
{
    struct buf text = {0};
    const char *address = config_text(options->settings, "bindAddress");
    buf_printf(&text, "%s:%d", address, (int)config_integer(options->settings, "listenPort"));
    bool valid = host_parse(buf_slice(&text), host) == STATUS_OK;
    buf_close(&text);
    if (!valid) {
        log_error(options->log, "bad configuration value",
                  "key=bindAddress value=\"%s\" allowed=\"an IPv4 address\"", address);
    }
    return valid;
}

uint32_t nameserver_port(const struct nameserver *nameserver)
{
    return nameserver->listener.port;
}

static void on_pending(struct listener *listener)
{
    struct nameserver *nameserver = listener->context;
    const struct config *settings = nameserver->options.settings;
    struct connection *connection = mem_zalloc(sizeof *connection);
    const struct conn_options options = {
        .events = &conn_events,
        .context = connection,
        .log = nameserver->options.log,
        .idle_timeout_ms =
            1000 * (uint64_t)config_integer(settings, "serverChannelMaxIdleTimeSeconds"),
    };
    connection->nameserver = nameserver;
    if (conn_accept((uv_stream_t *)&listener->tcp, &options, &connection->conn) != STATUS_OK) {
        free(connection);
        return;
    }
    list_append(&nameserver->connections, &connection->in_nameserver);
    nameserver->connection_count++;
    if (nameserver->connection_count > (size_t)config_integer(settings, "connectionsMax")) {
        log_warn(nameserver->options.log, "connection refused: there are too many",
                 "connectionsMax=%zu", nameserver->connection_count - 1);
        conn_close(connection->conn, STATUS_LIMIT);
    }
}

static void on_command(struct conn *conn, const struct command *command, struct slice frame)
{
    struct connection *connection = conn_context(conn);
    (void)frame;
    if (command_is_response(command)) {
        return; // Nothing was asked: an unmatched response is dropped.
    }
    struct command response;
    nameserver_answer(connection->nameserver, command, conn_id(conn), &response);
    if (!command_is_oneway(command)) {
        conn_send_command(conn, &response);
    }
}

static void on_close(struct conn *conn, enum status why)
{
    struct connection *connection = conn_context(conn);
    struct nameserver *nameserver = connection->nameserver;
    (void)why;
    size_t before = route_table_broker_count(nameserver->routes);
    route_table_disconnect(nameserver->routes, conn_id(conn));
    if (!nameserver->closing && route_table_broker_count(nameserver->routes) != before) {
        log_warn(nameserver->options.log, "broker gone: its connection closed", "brokers=%zu",
                 route_table_broker_count(nameserver->routes));
    }
    list_remove(&connection->in_nameserver);
    nameserver->connection_count--;
    free(connection);
    finish_if_closed(nameserver);
}

static void on_scan(uv_timer_t *timer)
{
    struct nameserver *nameserver = timer->data;
    size_t before = route_table_broker_count(nameserver->routes);
    route_table_expire(nameserver->routes, clock_monotonic_ms(nameserver->options.clock));
    if (route_table_broker_count(nameserver->routes) != before) {
        log_warn(nameserver->options.log, "broker gone: its registration lapsed", "brokers=%zu",
                 route_table_broker_count(nameserver->routes));
    }
}

void nameserver_close(struct nameserver *nameserver, void (*closed)(void *context), void *context)
{
    ASSERT(!nameserver->closing);
    nameserver->closing = true;
    nameserver->closed = closed;
    nameserver->closed_context = context;
    // Not listener_close(): this struct holds the listener and must know when the loop is done with
    // it.
    nameserver->listener.tcp.data = nameserver;
    uv_close((uv_handle_t *)&nameserver->listener.tcp, on_handle_closed);
    uv_close((uv_handle_t *)&nameserver->scanner, on_handle_closed);
    LIST_FOREACH(at, &nameserver->connections)
    {
        conn_close(CONTAINER_OF(at, struct connection, in_nameserver)->conn, STATUS_OK);
    }
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct nameserver *nameserver = handle->data;
    nameserver->handles_open--;
    finish_if_closed(nameserver);
}

static void finish_if_closed(struct nameserver *nameserver)
{
    if (!nameserver->closing || nameserver->handles_open > 0 || nameserver->connection_count > 0) {
        return;
    }
    void (*closed)(void *context) = nameserver->closed;
    void *context = nameserver->closed_context;
    route_table_free(nameserver->routes);
    kv_config_free(nameserver->kv);
    buf_close(&nameserver->body);
    buf_close(&nameserver->scratch);
    buf_close(&nameserver->remark);
    free(nameserver);
    closed(context);
}
