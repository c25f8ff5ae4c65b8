#include "broker/host/registrar.h"

#include "broker/core/topic_tables.h"
#include "common/net/conn.h"
#include "common/remoting/body_register.h"
#include "common/remoting/codes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    RETRY_MS = 500,
    REGISTRATION_LEASE_PERIODS = 4, /* A nameserver forgets us after so many missed ones. */
    ASK_TIMEOUT_MS = 1000,
    ASKED_MAX = 10000,
    SILENCE_MAX_MS = 5000, /* Of one that was told something; then its connection is dead. */
    /* A registration of so many bytes is not repeated for a millisecond: with very many topics it
     * takes longer to make than they take to change. */
    BYTES_PER_REST_MS = 64 * 1024,
};

/* One nameserver. */
struct link {
    struct registrar *registrar;
    struct host host;
    struct conn *conn;
    uint64_t retry_ms; /* No new connection before, monotonic. */
    bool unreachable;  /* Said once. */
    uint64_t told_ms;  /* When the oldest registration was sent that is not answered; 0: none. */
};

/* A request of ours that a nameserver is to answer. */
struct asked {
    struct list link_node; /* In registrar.asked, oldest first. */
    struct link *link;
    int32_t opaque;
    uint64_t since_ms;
    nameserver_cb *done;
    void *context;
};

struct registrar {
    uv_loop_t *loop;
    struct broker *broker;
    struct link links[NAMESERVERS_MAX];
    size_t link_count;
    bool soon;
    uint64_t registered_ms;
    uint64_t rest_ms; /* Until then, `soon` waits. */
    bool too_large;   /* Said once. */
    int32_t next_opaque;
    struct list asked;
    size_t asked_count;
    size_t ask_turn;
    bool was_leader; /* What the nameservers were told last. */
    bool closing;
    size_t open_count;
    void (*on_closed)(void *context);
    void *context;
};

static void on_command(struct conn *conn, const struct command *command, struct slice frame);
static void on_close(struct conn *conn, enum status why);
static void register_at(struct registrar *registrar, bool everywhere);
static void asked_end_all(struct registrar *registrar, const struct link *link);
static void unregister_all(struct registrar *registrar);
static void finish(struct registrar *registrar);

static const struct conn_events events = {.on_command = on_command, .on_close = on_close};

struct registrar *registrar_new(uv_loop_t *loop, struct broker *broker)
{
    struct registrar *registrar = mem_zalloc(sizeof *registrar);
    registrar->loop = loop;
    registrar->broker = broker;
    registrar->soon = true;
    list_init(&registrar->asked);
    registrar->link_count = broker->settings->nameserver_count;
    for (size_t i = 0; i < registrar->link_count; i++) {
        registrar->links[i].registrar = registrar;
        registrar->links[i].host = broker->settings->nameservers[i];
    }
    return registrar;
}

void registrar_close(struct registrar *registrar, void (*on_closed)(void *context), void *context)
{
    registrar->closing = true;
    registrar->on_closed = on_closed;
    registrar->context = context;
    asked_end_all(registrar, NULL);
    unregister_all(registrar);
    registrar->open_count++; // So that the last connection does not finish within this loop.
    for (size_t i = 0; i < registrar->link_count; i++) {
        if (registrar->links[i].conn != NULL) {
            registrar->open_count++;
            conn_close(registrar->links[i].conn, STATUS_OK); // Lets what was queued out.
        }
    }
    if (--registrar->open_count == 0) {
        finish(registrar);
    }
}

static void finish(struct registrar *registrar)
{
    if (registrar->on_closed != NULL) {
        registrar->on_closed(registrar->context);
    }
    free(registrar);
}

void registrar_soon(struct registrar *registrar)
{
    registrar->soon = true;
}

void registrar_turn_end(struct registrar *registrar)
{
    if (registrar->soon &&
        clock_monotonic_ms(registrar->broker->ports->clock) >= registrar->rest_ms) {
        register_at(registrar, true);
    }
}

static int32_t next_opaque(struct registrar *registrar)
{
    registrar->next_opaque = registrar->next_opaque == INT32_MAX ? 1 : registrar->next_opaque + 1;
    return registrar->next_opaque;
}

/* --- Asking ------------------------------------------------------------------------------- */

static void asked_end(struct registrar *registrar, struct asked *asked,
                      const struct command *response)
{
    list_remove(&asked->link_node);
    registrar->asked_count--;
    asked->done(asked->context, response);
    free(asked);
}

/* Nobody answers what was asked over a link, or over any (NULL). */
static void asked_end_all(struct registrar *registrar, const struct link *link)
{
    LIST_FOREACH(at, &registrar->asked)
    {
        struct asked *asked = CONTAINER_OF(at, struct asked, link_node);
        if (link == NULL || asked->link == link) {
            asked_end(registrar, asked, NULL);
        }
    }
}

static void asked_tick(struct registrar *registrar, uint64_t now)
{
    while (!list_empty(&registrar->asked)) {
        struct asked *asked = CONTAINER_OF(registrar->asked.next, struct asked, link_node);
        if (now - asked->since_ms < ASK_TIMEOUT_MS) {
            return;
        }
        asked_end(registrar, asked, NULL);
    }
}

/* Is it the answer to what somebody asked? */
static bool asked_answer(struct registrar *registrar, const struct command *response)
{
    LIST_FOREACH(at, &registrar->asked)
    {
        struct asked *asked = CONTAINER_OF(at, struct asked, link_node);
        if (asked->opaque == response->opaque) {
            asked_end(registrar, asked, response);
            return true;
        }
    }
    return false;
}

/* In turn, of those that can be reached; NULL if there is none. */
static struct link *link_to_ask(struct registrar *registrar)
{
    for (size_t i = 0; i < registrar->link_count; i++) {
        struct link *link = &registrar->links[registrar->ask_turn++ % registrar->link_count];
        if (link->conn != NULL && !link->unreachable) {
            return link;
        }
    }
    return NULL;
}

void registrar_ask(struct registrar *registrar, struct command *request, nameserver_cb *done,
                   void *context)
{
    struct link *link = registrar->closing ? NULL : link_to_ask(registrar);
    if (link == NULL || registrar->asked_count >= ASKED_MAX) {
        done(context, NULL);
        return;
    }
    struct asked *asked = mem_zalloc(sizeof *asked);
    asked->link = link;
    asked->opaque = next_opaque(registrar);
    asked->since_ms = clock_monotonic_ms(registrar->broker->ports->clock);
    asked->done = done;
    asked->context = context;
    list_append(&registrar->asked, &asked->link_node);
    registrar->asked_count++;
    request->opaque = asked->opaque;
    conn_send_command(link->conn, request);
}

/* --- Registering -------------------------------------------------------------------------- */

/* One whose machine lost power does not say so, and TCP needs minutes to find out. */
static void drop_silent(struct registrar *registrar, uint64_t now)
{
    for (size_t i = 0; i < registrar->link_count; i++) {
        struct link *link = &registrar->links[i];
        if (link->conn != NULL && link->told_ms != 0 && now >= link->told_ms + SILENCE_MAX_MS) {
            conn_close(link->conn, STATUS_TIMED_OUT);
        }
    }
}

void registrar_tick(struct registrar *registrar)
{
    const struct broker *broker = registrar->broker;
    uint64_t now = clock_monotonic_ms(broker->ports->clock);
    asked_tick(registrar, now);
    drop_silent(registrar, now);
    bool due = now - registrar->registered_ms >= broker->settings->register_period_ms;
    bool away = false;
    for (size_t i = 0; i < registrar->link_count; i++) {
        away |= registrar->links[i].conn == NULL && now >= registrar->links[i].retry_ms;
    }
    if (due || away) {
        // One that came back must hear of us at once, not at the next period; the others need not.
        register_at(registrar, due);
    }
}

static struct conn *connect_link(struct link *link, uint64_t now)
{
    const struct registrar *registrar = link->registrar;
    if (link->conn == NULL && now >= link->retry_ms) {
        const struct conn_options options = {
            .events = &events,
            .context = link,
            .log = registrar->broker->log,
        };
        if (conn_connect(registrar->loop, link->host, &options, &link->conn) != STATUS_OK) {
            link->conn = NULL;
            link->retry_ms = now + RETRY_MS;
        }
    }
    return link->conn;
}

/* Apply bounds what all topics take together. Should it be more all the same, most of them are
 * better than none: one too many must not take the whole group from its clients. */
static void encode_body(struct registrar *registrar, struct topic_table *table, struct buf *body)
{
    enum { BODY_MAX = FRAME_SIZE_MAX - HEADER_SIZE_MAX };
    size_t count = table->count;
    register_body_encode(table, body);
    while (body->size > BODY_MAX) {
        table->count = table->count / 4 * 3;
        buf_clear(body);
        register_body_encode(table, body);
    }
    if (table->count < count && !registrar->too_large) {
        log_error(registrar->broker->log, "too many topics for one registration",
                  "registered=%zu of=%zu; delete topics, or shorten their names and attributes",
                  table->count, count);
    }
    registrar->too_large = table->count < count;
}

/* The header that 103 and 104 share; texts live in `texts`, which must not move. */
static void add_identity(const struct registrar *registrar, struct command *command,
                         uint64_t broker_id, struct buf *texts)
{
    const struct broker *broker = registrar->broker;
    buf_reserve(texts, 128);
    size_t start = texts->size;
    host_format(broker->self->client_host, texts);
    struct slice address = slice_of(texts->data + start, texts->size - start);
    command_add(command, "brokerName", name_slice(&broker->group->name));
    command_add(command, "brokerAddr", address);
    command_add(command, "clusterName", name_slice(&broker->settings->cluster));
    command_add_i64(command, "brokerId", (int64_t)broker_id, texts);
}

static uint64_t broker_id(const struct broker *broker, bool leads)
{
    return leads ? 0 : broker->self->id;
}

/* Register at all nameservers, or only at those that a connection is to be made to. */
static void register_at(struct registrar *registrar, bool everywhere)
{
    struct broker *broker = registrar->broker;
    uint64_t now = clock_monotonic_ms(broker->ports->clock);
    bool leads = broker_leads(broker);
    if (!broker->ports->members.belongs(broker->ports->members.context)) {
        return; // A server that waits to be added, or was removed.
    }
    if (leads && !broker->ports->quorum_fresh(broker->ports->context)) {
        return; // Maybe deposed: say nothing until a majority has been heard of.
    }
    if (everywhere) {
        registrar->soon = false;
        registrar->registered_ms = now;
        registrar->was_leader = leads;
    }

    struct topic_tables tables;
    struct command request;
    struct buf body = {0};
    struct buf texts = {0};
    topic_tables_open(broker, &tables);
    if (!leads) {
        tables.table.count = 0; // Topics are the leader's to announce.
    }
    encode_body(registrar, &tables.table, &body);
    registrar->rest_ms = now + body.size / BYTES_PER_REST_MS;
    topic_tables_close(&tables);
    command_init_request(&request, REQUEST_REGISTER_BROKER, next_opaque(registrar));
    add_identity(registrar, &request, broker_id(broker, leads), &texts);
    command_add(&request, "haServerAddr", request.fields[1].value);
    command_add_i64(&request, "heartbeatTimeoutMillis",
                    (int64_t)broker->settings->register_period_ms * REGISTRATION_LEASE_PERIODS,
                    &texts);
    command_add(&request, "enableActingMaster", slice_text("false"));
    command_add(&request, "compressed", slice_text("false"));
    command_add(&request, "bodyCrc32", slice_text("0"));
    request.body = buf_slice(&body);
    for (size_t i = 0; i < registrar->link_count; i++) {
        bool connected = registrar->links[i].conn != NULL;
        struct conn *conn = connect_link(&registrar->links[i], now);
        if (conn != NULL && (everywhere || !connected)) {
            conn_send_command(conn, &request);
            registrar->links[i].told_ms =
                registrar->links[i].told_ms == 0 ? now : registrar->links[i].told_ms;
        }
    }
    buf_close(&body);
    buf_close(&texts);
}

static void unregister_all(struct registrar *registrar)
{
    struct command request;
    struct buf texts = {0};
    command_init_request(&request, REQUEST_UNREGISTER_BROKER, next_opaque(registrar));
    request.flag = COMMAND_FLAG_ONEWAY;
    add_identity(registrar, &request, broker_id(registrar->broker, registrar->was_leader), &texts);
    for (size_t i = 0; i < registrar->link_count; i++) {
        if (registrar->links[i].conn != NULL) {
            conn_send_command(registrar->links[i].conn, &request);
        }
    }
    buf_close(&texts);
}

static void on_command(struct conn *conn, const struct command *command, struct slice frame)
{
    struct link *link = conn_context(conn);
    struct broker *broker = link->registrar->broker;
    (void)frame;
    if (!command_is_response(command)) {
        return; // A Java nameserver announces changes of slaves (905), which mean nothing here.
    }
    link->told_ms = 0;
    if (asked_answer(link->registrar, command)) {
        return;
    }
    if (command->code != 0) {
        log_warn(broker->log, "a nameserver refuses the registration", "code=%d remark=%.*s",
                 command->code, SLICE_ARGS(command->remark));
    } else if (link->unreachable) {
        link->unreachable = false;
        log_info(broker->log, "nameserver reached again", "");
    }
}

static void on_close(struct conn *conn, enum status why)
{
    struct link *link = conn_context(conn);
    struct registrar *registrar = link->registrar;
    link->conn = NULL;
    link->told_ms = 0;
    asked_end_all(registrar, link);
    if (registrar->closing) {
        if (--registrar->open_count == 0) {
            finish(registrar);
        }
        return;
    }
    link->retry_ms = clock_monotonic_ms(registrar->broker->ports->clock) + RETRY_MS;
    if (!link->unreachable) {
        struct buf address = {0};
        link->unreachable = true;
        host_format(link->host, &address);
        log_warn(registrar->broker->log, "nameserver not reachable, trying again",
                 "address=%.*s why=%s; check that it runs and namesrvAddr is right",
                 SLICE_ARGS(buf_slice(&address)), status_name(why));
        buf_close(&address);
    }
}
