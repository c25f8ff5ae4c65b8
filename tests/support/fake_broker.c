#include "tests/support/fake_broker_roles.h"

#include "common/remoting/body_route.h"
#include "common/remoting/body_stats.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"

#include <stdio.h>

enum { TICK_MS = 5 };

static void on_command(struct loop_peer *peer, struct conn *conn, const struct command *command);
static void on_tick(uv_timer_t *timer);
static void answer_late_routes(struct fake_broker *fake);
static void on_wake(uv_async_t *async);

static void run(void *argument)
{
    struct fake_broker *fake = argument;
    uv_run(&fake->loop, UV_RUN_DEFAULT);
}

void fake_broker_start(struct fake_broker *fake)
{
    memset(fake, 0, sizeof *fake);
    list_init(&fake->held);
    list_init(&fake->watches);
    list_init(&fake->late);
    list_init(&fake->curious);
    atomic_store(&fake->refuse_broker, -1);
    uv_loop_init(&fake->loop);
    for (int i = 0; i < FAKE_BROKERS; i++) {
        fake->peers[i].on_command = on_command;
        fake->peers[i].context = fake;
        loop_peer_open(&fake->peers[i], &fake->loop, 0);
        for (int q = 0; q < FAKE_QUEUES; q++) {
            fake->queues[i][q].committed = -1;
            atomic_store(&fake->last_offset[i][q], -1);
        }
    }
    uv_async_init(&fake->loop, &fake->wake, on_wake);
    fake->wake.data = fake;
    uv_timer_init(&fake->loop, &fake->tick);
    fake->tick.data = fake;
    uv_timer_start(&fake->tick, on_tick, TICK_MS, TICK_MS);
    uv_thread_create(&fake->thread, run, fake);
}

void fake_broker_stop(struct fake_broker *fake)
{
    atomic_store(&fake->stopping, true);
    uv_async_send(&fake->wake);
    uv_thread_join(&fake->thread);
    if (uv_loop_close(&fake->loop) != 0) {
        fail_msg("the fake broker's loop has handles left");
    }
    for (int b = 0; b < FAKE_BROKERS; b++) {
        for (int q = 0; q < FAKE_QUEUES; q++) {
            for (size_t i = 0; i < fake->queues[b][q].count; i++) {
                buf_close(&fake->queues[b][q].messages[i]);
            }
        }
    }
    for (size_t i = 0; i < fake->half_count; i++) {
        buf_close(&fake->halves[i].encoded);
    }
    LIST_FOREACH(at, &fake->late)
    {
        free(CONTAINER_OF(at, struct fake_late, node));
    }
    fake_consumer_close(fake);
    fake_pop_close(fake);
}

const char *fake_broker_address(const struct fake_broker *fake, char text[32])
{
    snprintf(text, 32, "127.0.0.1:%u", fake->peers[0].listener.port);
    return text;
}

void fake_broker_drop(struct fake_broker *fake)
{
    atomic_store(&fake->drop_connections, true);
    uv_async_send(&fake->wake);
}

void fake_broker_reset(struct fake_broker *fake)
{
    atomic_store(&fake->reset, true);
    uv_async_send(&fake->wake);
}

void fake_broker_notify(struct fake_broker *fake)
{
    atomic_store(&fake->notify, true);
    uv_async_send(&fake->wake);
}

static void on_wake(uv_async_t *async)
{
    struct fake_broker *fake = async->data;
    if (atomic_load(&fake->stopping)) {
        uv_close((uv_handle_t *)&fake->wake, NULL);
        uv_close((uv_handle_t *)&fake->tick, NULL);
        for (int i = 0; i < FAKE_BROKERS; i++) {
            loop_peer_close(&fake->peers[i]);
        }
    } else if (atomic_exchange(&fake->reset, false)) {
        fake_consumer_send_resets(fake);
    } else if (atomic_exchange(&fake->notify, false)) {
        fake_consumer_send_notices(fake);
    } else if (atomic_exchange(&fake->drop_connections, false)) {
        for (int i = 0; i < FAKE_BROKERS; i++) {
            loop_peer_drop(&fake->peers[i]);
        }
        atomic_fetch_add(&fake->drops, 1);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct fake_broker *fake = timer->data;
    fake_consumer_on_tick(fake);
    fake_pop_on_tick(fake);
    answer_late_routes(fake);
}

const char *fake_broker_name(int broker)
{
    static const char *const names[FAKE_BROKERS] = {"broker-a", "broker-b"};
    return names[broker];
}

void fake_broker_host(const struct fake_broker *fake, int broker, struct buf *out)
{
    host_format(loop_peer_host(&fake->peers[broker]), out);
}

struct conn *fake_broker_conn(struct fake_broker *fake, int broker, uint64_t id)
{
    LIST_FOREACH(at, &fake->peers[broker].conns)
    {
        struct loop_peer_conn *entry = CONTAINER_OF(at, struct loop_peer_conn, in_peer);
        if (conn_id(entry->conn) == id) {
            return entry->conn;
        }
    }
    return NULL;
}

static int broker_of(const struct fake_broker *fake, const struct loop_peer *peer)
{
    return peer == &fake->peers[0] ? 0 : 1;
}

/* An empty topic: all brokers, without queues. */
static void answer_route(struct fake_broker *fake, struct conn *conn, const struct command *request,
                         struct slice topic)
{
    struct buf text[FAKE_BROKERS] = {{0}};
    struct buf out = {0};
    struct broker_address addresses[FAKE_BROKERS][2];
    struct broker_data brokers[FAKE_BROKERS];
    struct queue_data queues[FAKE_BROKERS];
    bool clusters = topic.size == 0;
    bool template = slice_equals_text(topic, TOPIC_DEFAULT);
    if (!clusters &&
        ((atomic_load(&fake->unknown_topic) && !template) || slice_equals_text(topic, "Nowhere"))) {
        loop_peer_answer(conn, request, RESPONSE_TOPIC_NOT_EXIST, (struct slice){0});
        return;
    }
    int follower_id = atomic_load(&fake->follower_id);
    for (int i = 0; i < FAKE_BROKERS; i++) {
        fake_broker_host(fake, i, &text[i]);
    }
    for (int i = 0; i < FAKE_BROKERS; i++) {
        addresses[i][0] = (struct broker_address){0, buf_slice(&text[i])};
        addresses[i][1] = (struct broker_address){follower_id, buf_slice(&text[1 - i])};
        brokers[i] = (struct broker_data){slice_text("C1"), slice_text(fake_broker_name(i)),
                                          follower_id == 0 ? 1 : 2, addresses[i]};
        queues[i] = (struct queue_data){slice_text(fake_broker_name(i)), FAKE_QUEUES, FAKE_QUEUES,
                                        template ? 7 : 6, 0};
    }
    if (clusters) {
        const struct cluster_info info = {FAKE_BROKERS, brokers};
        cluster_info_encode(&info, &out);
    } else {
        const struct topic_route route = {FAKE_BROKERS, brokers, FAKE_BROKERS, queues, {0}};
        topic_route_encode(&route, &out);
    }
    loop_peer_answer(conn, request, 0, buf_slice(&out));
    buf_close(&out);
    buf_close(&text[0]);
    buf_close(&text[1]);
}

static void on_route(struct fake_broker *fake, int broker, struct conn *conn,
                     const struct command *command)
{
    struct slice topic = fake_field(command, "topic");
    int late_ms = atomic_load(&fake->routes_late_ms);
    if (late_ms == 0) {
        answer_route(fake, conn, command, topic);
        return;
    }
    struct fake_late *late = mem_zalloc(sizeof *late);
    late->broker = broker;
    late->conn_id = conn_id(conn);
    late->request.opaque = command->opaque;
    late->request.serialize_type = command->serialize_type;
    late->due = uv_now(&fake->loop) + (uint64_t)late_ms;
    assert_true(name_set(&late->topic, topic));
    list_append(&fake->late, &late->node);
}

static void answer_late_routes(struct fake_broker *fake)
{
    LIST_FOREACH(at, &fake->late)
    {
        struct fake_late *late = CONTAINER_OF(at, struct fake_late, node);
        if (late->due > uv_now(&fake->loop)) {
            continue;
        }
        struct conn *conn = fake_broker_conn(fake, late->broker, late->conn_id);
        if (conn != NULL) {
            answer_route(fake, conn, &late->request, name_slice(&late->topic));
        }
        list_remove(&late->node);
        free(late);
    }
}

static void answer_stats(struct fake_broker *fake, int broker, struct conn *conn,
                         const struct command *command)
{
    struct topic_stats_entry entries[FAKE_QUEUES];
    const struct topic_stats stats = {0, FAKE_QUEUES, entries};
    struct buf out = {0};
    for (int i = 0; i < FAKE_QUEUES; i++) {
        entries[i] = (struct topic_stats_entry){
            .queue = {fake_field(command, "topic"), slice_text(fake_broker_name(broker)), i},
            .offset_max = (int64_t)fake->queues[broker][i].count,
        };
    }
    topic_stats_encode(&stats, &out);
    loop_peer_answer(conn, command, 0, buf_slice(&out));
    buf_close(&out);
}

static void answer_largest(struct conn *conn, const struct command *command)
{
    struct buf out = {0};
    buf_put_be32(&out, FRAME_SIZE_MAX - 4);
    buf_put_be32(&out, 0); // A header of JSON; its size is set below.
    buf_printf(&out, "{\"code\":0,\"flag\":1,\"opaque\":%d}", command->opaque);
    be32_put(out.data + 4, (uint32_t)out.size - FRAME_PREFIX_SIZE);
    size_t body_size = FRAME_SIZE_MAX - out.size;
    memset(buf_extend(&out, body_size), 'x', body_size);
    conn_send(conn, buf_slice(&out));
    buf_close(&out);
}

static void on_admin(struct fake_broker *fake, int broker, struct conn *conn,
                     const struct command *command)
{
    static const char groups[] = "{\"subscriptionGroupTable\":{\"g1\":{\"groupName\":\"g1\"},"
                                 "\"g2\":{\"groupName\":\"g2\"}}}";
    static const char topics[] = "{\"topicList\":[\"T\",\"U\"]}";
    atomic_fetch_add(&fake->admin_calls, 1);
    switch (command->code) {
    case REQUEST_GET_TOPIC_STATS_INFO:
        answer_stats(fake, broker, conn, command);
        break;
    case REQUEST_GET_ALL_SUBSCRIPTIONGROUP_CONFIG:
        loop_peer_answer(conn, command, 0, slice_text(groups));
        break;
    case REQUEST_GET_ALL_TOPIC_LIST_FROM_NAMESERVER:
        loop_peer_answer(conn, command, 0, slice_text(topics));
        break;
    case REQUEST_UPDATE_AND_CREATE_TOPIC:
    case REQUEST_DELETE_TOPIC_IN_BROKER:
    case REQUEST_DELETE_TOPIC_IN_NAMESRV:
        loop_peer_answer(conn, command, 0, (struct slice){0});
        break;
    case FAKE_REQUEST_LARGEST:
        answer_largest(conn, command);
        break;
    default:
        loop_peer_answer(conn, command, RESPONSE_REQUEST_CODE_NOT_SUPPORTED, (struct slice){0});
    }
}

static void on_command(struct loop_peer *peer, struct conn *conn, const struct command *command)
{
    struct fake_broker *fake = peer->context;
    int broker = broker_of(fake, peer);
    if (command_is_response(command)) {
        fake_producer_on_answer(fake, command);
    } else if (command->code == REQUEST_GET_BROKER_CLUSTER_INFO) {
        answer_route(fake, conn, command, (struct slice){0});
    } else if (command->code == REQUEST_GET_ROUTEINFO_BY_TOPIC) {
        on_route(fake, broker, conn, command);
    } else if (!fake_producer_on_command(fake, broker, conn, command) &&
               !fake_pop_on_command(fake, broker, conn, command) &&
               !fake_consumer_on_command(fake, broker, conn, command)) {
        on_admin(fake, broker, conn, command);
    }
}
