#include "client/client.h"

#include "client/heartbeat.h"
#include "common/base/decimal.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    TIMEOUT_DEFAULT_MS = 3000,
    ATTEMPTS_DEFAULT = 3,
    SENDS_DEFAULT = 10000,
    WORKERS_DEFAULT = 8,
    PERIOD_DEFAULT_MS = 30000,
    REBALANCE_DEFAULT_MS = 20000,
    PERSIST_DEFAULT_MS = 5000,
    INSTANCE_NAME_MAX = 64,
};

static void fill_defaults(struct raftmq_client_options *options);
static enum raftmq_status read_nameservers(struct raftmq_client *client, const char *text,
                                           struct raftmq_error *error);
static void add_nameserver(struct raftmq_client *client, struct host host);
static enum status resolve(struct slice text, struct host *host);
static uint32_t own_address(const struct host *nameserver);
static void make_id(struct raftmq_client *client, const char *instance_name);
static void start_loop(struct raftmq_client *client);
static void run_loop(void *argument);
static void stop_loop(void *argument);
static void on_connections_closed(struct raftmq_client *client);

enum raftmq_status raftmq_client_new(const struct raftmq_client_options *options,
                                     struct raftmq_client **out, struct raftmq_error *error)
{
    if (options->instance_name != NULL && strlen(options->instance_name) > INSTANCE_NAME_MAX) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT, "the instance name is too long");
    }
    if (options->worker_threads > WORKERS_MAX) {
        return error_set(error, RAFTMQ_INVALID_ARGUMENT, "more than %d worker threads",
                         WORKERS_MAX);
    }
    struct raftmq_client *client = mem_zalloc(sizeof *client);
    client->options = *options;
    client->clock = clock_system();
    client->random = random_system();
    fill_defaults(&client->options);
    log_init(&client->log, stderr, options->verbose ? LOG_WARN : LOG_SILENT, "libraftmq");
    enum raftmq_status status = read_nameservers(client, options->nameservers, error);
    if (status != RAFTMQ_OK) {
        free(client);
        return status;
    }
    make_id(client, options->instance_name);
    start_loop(client);
    if (!workers_init(&client->workers, &client->tasks, client->options.worker_threads)) {
        tasks_run(&client->tasks, stop_loop, client);
        uv_thread_join(&client->thread);
        uv_loop_close(&client->loop);
        free(client);
        return error_set(error, RAFTMQ_OVERLOADED, "no thread can be started");
    }
    *out = client;
    return error_none(error);
}

static void fill_defaults(struct raftmq_client_options *options)
{
    options->nameservers = NULL;
    options->instance_name = NULL;
    options->timeout_ms = options->timeout_ms == 0 ? TIMEOUT_DEFAULT_MS : options->timeout_ms;
    options->send_attempts_max =
        options->send_attempts_max == 0 ? ATTEMPTS_DEFAULT : options->send_attempts_max;
    options->sends_max = options->sends_max == 0 ? SENDS_DEFAULT : options->sends_max;
    options->worker_threads =
        options->worker_threads == 0 ? WORKERS_DEFAULT : options->worker_threads;
    options->poll_routes_ms =
        options->poll_routes_ms == 0 ? PERIOD_DEFAULT_MS : options->poll_routes_ms;
    options->heartbeat_ms = options->heartbeat_ms == 0 ? PERIOD_DEFAULT_MS : options->heartbeat_ms;
    options->rebalance_ms =
        options->rebalance_ms == 0 ? REBALANCE_DEFAULT_MS : options->rebalance_ms;
    options->persist_offsets_ms =
        options->persist_offsets_ms == 0 ? PERSIST_DEFAULT_MS : options->persist_offsets_ms;
}

static enum raftmq_status read_nameservers(struct raftmq_client *client, const char *text,
                                           struct raftmq_error *error)
{
    struct routes *routes = &client->routes;
    struct slice unresolved = {0};
    struct slice rest = slice_text(text);
    while (rest.size > 0) {
        const uint8_t *end = memchr(rest.data, ';', rest.size);
        size_t size = end == NULL ? rest.size : (size_t)(end - rest.data);
        struct slice one = slice_of(rest.data, size);
        rest = slice_from(rest, end == NULL ? size : size + 1);
        if (size == 0) {
            continue;
        }
        struct host host;
        enum status status = resolve(one, &host);
        if (status == STATUS_NOT_FOUND) {
            log_warn(&client->log, "nameserver left out, its name does not resolve", "name=%.*s",
                     SLICE_ARGS(one));
            unresolved = one;
        } else if (status != STATUS_OK || routes->nameserver_count == NAMESERVERS_MAX) {
            return error_set(error, RAFTMQ_INVALID_ARGUMENT,
                             "nameserver \"%.*s\" is not a host:port, or one too many",
                             SLICE_ARGS(one));
        } else {
            add_nameserver(client, host);
        }
    }
    if (routes->nameserver_count > 0) {
        return RAFTMQ_OK;
    }
    return unresolved.size == 0
               ? error_set(error, RAFTMQ_INVALID_ARGUMENT, "no nameserver is given")
               : error_set(error, RAFTMQ_INVALID_ARGUMENT,
                           "nameserver \"%.*s\" does not resolve to an IPv4 address",
                           SLICE_ARGS(unresolved));
}

static void add_nameserver(struct raftmq_client *client, struct host host)
{
    struct buf text = {0};
    uint32_t place = client->routes.nameserver_count++;
    client->routes.nameservers[place] = host;
    host_format(host, &text);
    ASSERT(text.size < HOST_TEXT_SIZE);
    memcpy(client->nameservers[place], text.data, text.size);
    buf_close(&text);
}

/* Errors: STATUS_MALFORMED, STATUS_NOT_FOUND. */
static enum status resolve(struct slice text, struct host *host)
{
    if (host_parse(text, host) == STATUS_OK) {
        return STATUS_OK;
    }
    char name[NAME_MAX_SIZE + 1];
    size_t colon = text.size;
    int64_t port;
    while (colon > 0 && text.data[colon - 1] != ':') {
        colon--;
    }
    if (colon < 2 || colon > sizeof name || !decimal_parse(slice_from(text, colon), &port) ||
        port < 1 || port > 65535) {
        return STATUS_MALFORMED;
    }
    memcpy(name, text.data, colon - 1);
    name[colon - 1] = '\0';
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    if (getaddrinfo(name, NULL, &hints, &found) != 0) {
        return STATUS_NOT_FOUND;
    }
    const struct sockaddr_in *address = (const struct sockaddr_in *)(const void *)found->ai_addr;
    *host = (struct host){ntohl(address->sin_addr.s_addr), (uint32_t)port};
    freeaddrinfo(found);
    return STATUS_OK;
}

/* The address of ours that the first nameserver would see; nothing is sent to find it. */
static uint32_t own_address(const struct host *nameserver)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)nameserver->port),
                                  .sin_addr.s_addr = htonl(nameserver->address)};
    socklen_t size = sizeof address;
    uint32_t found = INADDR_LOOPBACK;
    int probe = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (probe >= 0) {
        if (connect(probe, (const struct sockaddr *)&address, size) == 0 &&
            getsockname(probe, (struct sockaddr *)&address, &size) == 0) {
            found = ntohl(address.sin_addr.s_addr);
        }
        close(probe);
    }
    return found;
}

/* "10.0.0.9@4711@name", as the other clients' are made. */
static void make_id(struct raftmq_client *client, const char *instance_name)
{
    struct buf id = {0};
    uint32_t address = own_address(&client->routes.nameservers[0]);
    buf_printf(&id, "%u.%u.%u.%u@%ld@", address >> 24, address >> 16 & 255, address >> 8 & 255,
               address & 255, (long)getpid());
    if (instance_name == NULL) {
        buf_printf(&id, "%016" PRIx64, random_next(&client->random));
    } else {
        buf_put_text(&id, instance_name);
    }
    (void)name_set(&client->id, buf_slice(&id)); // At most 20 + 1 + 20 + 1 + 64.
    buf_close(&id);
    client->keys = (struct unique_keys){
        .address = address,
        .pid = (uint16_t)getpid(),
        .process = (uint32_t)random_next(&client->random),
    };
}

static void start_loop(struct raftmq_client *client)
{
    list_init(&client->producers);
    list_init(&client->consumers);
    ASSERT(uv_loop_init(&client->loop) == 0);
    tasks_init(&client->tasks, &client->loop);
    alarms_init(&client->alarms, &client->loop);
    client->rpc = rpc_new(&client->loop, CALLS_MAX);
    connections_init(&client->connections, client);
    routes_init(&client->routes, client);
    client->heartbeat.ring = heartbeat_on_alarm;
    alarms_set(&client->alarms, &client->heartbeat, client->options.heartbeat_ms);
    ASSERT(uv_thread_create(&client->thread, run_loop, client) == 0);
}

static void run_loop(void *argument)
{
    struct raftmq_client *client = argument;
    conn_block_sigpipe();
    uv_run(&client->loop, UV_RUN_DEFAULT);
}

void raftmq_client_close(struct raftmq_client *client)
{
    if (client == NULL) {
        return;
    }
    workers_close(&client->workers);
    tasks_run(&client->tasks, stop_loop, client);
    uv_thread_join(&client->thread);
    ASSERT(uv_loop_close(&client->loop) == 0);
    free(client);
}

static void stop_loop(void *argument)
{
    struct raftmq_client *client = argument;
    ASSERT(list_empty(&client->producers) && list_empty(&client->consumers));
    client->closing = true;
    alarms_cancel(&client->alarms, &client->heartbeat);
    routes_close(&client->routes);
    connections_close(&client->connections, on_connections_closed);
}

static void on_connections_closed(struct raftmq_client *client)
{
    rpc_close(client->rpc);
    alarms_close(&client->alarms);
    tasks_close(&client->tasks);
}

const char *raftmq_client_id(const struct raftmq_client *client)
{
    return client->id.text;
}

const char *raftmq_client_nameserver(const struct raftmq_client *client, size_t place)
{
    return place < client->routes.nameserver_count ? client->nameservers[place] : NULL;
}
