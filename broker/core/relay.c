#include "broker/core/relay.h"

#include "broker/core/broker.h"
#include "broker/core/dispatch.h"
#include "common/remoting/extension.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { REFUSED_REST_MS = 20 /* Before a leader that took nothing is asked again. */ };

/* A request on its way. */
struct relayed {
    struct map_node node; /* By our opaque, once sent. */
    struct list link;     /* In held or sent. */
    int32_t opaque;
    uint64_t connection; /* To the leader: the last one that it was sent on, 0: none. */
    uint64_t refused_ms; /* When that leader said that it does not lead; 0: it did not. */
    bool copy_only;
    struct reply_to to;
    struct host host;
    uint64_t since_ms;
    struct buf frame; /* The client's own: while it is held, and if there is room, once sent. */
};

struct relay {
    struct broker *broker;
    struct map by_opaque;
    struct list held;
    struct list sent;
    size_t count;
    size_t kept_bytes; /* In frames. */
    int32_t next_opaque;
    bool missed_closing; /* The leader has not been told of a client that is gone. */
};

/* Opaques of relayed frames are negative, those of forwarded batches positive. */
static int32_t next_opaque(struct relay *relay)
{
    relay->next_opaque = relay->next_opaque == INT32_MIN ? -1 : relay->next_opaque - 1;
    return relay->next_opaque;
}

static void end(struct relay *relay, struct relayed *relayed, enum status why);
static struct buf *leader_out(const struct relay *relay);
static void send(struct relay *relay, struct relayed *relayed, const struct command *request);
static void send_held(struct relay *relay, struct relayed *relayed);

struct relay *relay_new(struct broker *broker)
{
    struct relay *relay = mem_zalloc(sizeof *relay);
    relay->broker = broker;
    list_init(&relay->held);
    list_init(&relay->sent);
    return relay;
}

void relay_free(struct relay *relay)
{
    if (relay == NULL) {
        return;
    }
    while (!list_empty(&relay->held)) {
        end(relay, CONTAINER_OF(relay->held.next, struct relayed, link), STATUS_SHUTTING_DOWN);
    }
    while (!list_empty(&relay->sent)) {
        end(relay, CONTAINER_OF(relay->sent.next, struct relayed, link), STATUS_UNKNOWN_OUTCOME);
    }
    map_close(&relay->by_opaque);
    free(relay);
}

/* The client's connection; NULL if it is gone. */
static struct channel *channel_of(const struct relay *relay, const struct relayed *relayed)
{
    return channels_find(&relay->broker->channels, relayed->to.channel_id);
}

static void keep_frame(struct relay *relay, struct relayed *relayed, const struct command *request)
{
    command_encode(request, &relayed->frame);
    relay->kept_bytes += relayed->frame.size;
}

static void forget_frame(struct relay *relay, struct relayed *relayed)
{
    relay->kept_bytes -= relayed->frame.size;
    buf_close(&relayed->frame);
}

static void forget_opaque(struct relay *relay, struct relayed *relayed)
{
    if (relayed->opaque != 0) {
        map_remove(&relay->by_opaque, &relayed->node);
        relayed->opaque = 0;
    }
}

static void relayed_free(struct relay *relay, struct relayed *relayed)
{
    forget_opaque(relay, relayed);
    forget_frame(relay, relayed);
    list_remove(&relayed->link);
    free(relayed);
    relay->count--;
}

static void end(struct relay *relay, struct relayed *relayed, enum status why)
{
    if (!relayed->copy_only) {
        broker_reply_status(relay->broker, &relayed->to, why, NULL);
    }
    relayed_free(relay, relayed);
}

/* Will the frame still be one, with the fields that are added and every byte escaped? */
static bool fits(const struct command *request)
{
    enum { ADDED_FIELDS = 2, PUNCTUATION = 8, FIXED = 1024, ESCAPED = 6 };
    size_t texts = request->remark.size;
    for (uint32_t i = 0; i < request->field_count; i++) {
        texts += request->fields[i].name.size + request->fields[i].value.size;
    }
    size_t header = FIXED + (size_t)request->field_count * PUNCTUATION +
                    (request->serialize_type == SERIALIZE_JSON ? ESCAPED : 1) * texts;
    return request->field_count + ADDED_FIELDS <= HEADER_FIELDS_MAX && header <= HEADER_SIZE_MAX &&
           request->body.size <= FRAME_SIZE_MAX - HEADER_SIZE_MAX;
}

enum status relay_request(struct relay *relay, const struct request *request, bool copy_only)
{
    struct broker *broker = relay->broker;
    if (!fits(request->command)) {
        return STATUS_INVALID_ARGUMENT;
    }
    if (relay->count >= RELAY_WAITING_MAX) {
        return STATUS_OVERLOADED;
    }
    // What waits goes first: a client's requests stay in their order.
    bool hold = leader_out(relay) == NULL || (!copy_only && !list_empty(&relay->held));
    bool room = relay->kept_bytes < RELAY_KEPT_BYTES_MAX;
    if (hold && !room) {
        return STATUS_OVERLOADED;
    }
    struct relayed *relayed = mem_zalloc(sizeof *relayed);
    relayed->to = request->to;
    relayed->copy_only = copy_only;
    relayed->host = request->channel->host;
    relayed->since_ms = clock_monotonic_ms(broker->ports->clock);
    list_append(&relay->held, &relayed->link);
    relay->count++;
    if (hold || (room && !copy_only && !command_is_oneway(request->command))) {
        keep_frame(relay, relayed, request->command);
    }
    if (!hold) {
        send(relay, relayed, request->command);
    }
    return STATUS_PENDING;
}

/* Where a frame for the leader may go now; NULL: it has to wait. */
static struct buf *leader_out(const struct relay *relay)
{
    struct broker *broker = relay->broker;
    struct buf *out = broker->state.leader_id == 0 || broker->state.leader_id == broker->self->id
                          ? NULL
                          : broker->ports->leader_out(broker->ports->context);
    return out == NULL || out->size >= RELAY_OUT_MAX ? NULL : out;
}

bool relay_congested(const struct relay *relay)
{
    return leader_out(relay) == NULL;
}

/* Send to the leader, to whom the way is free, and move to the sent ones; a oneway request is done
 * with and freed. */
static void send(struct relay *relay, struct relayed *relayed, const struct command *request)
{
    struct broker *broker = relay->broker;
    struct buf *out = leader_out(relay);
    char channel[24];
    struct buf host = {0};
    snprintf(channel, sizeof channel, "%" PRIu64, relayed->to.channel_id);
    host_format(relayed->host, &host);

    struct command copy = *request;
    relayed->opaque = next_opaque(relay);
    relayed->connection = broker->leader_connection;
    relayed->refused_ms = 0;
    copy.opaque = relayed->opaque;
    command_add(&copy, FIELD_FORWARD_CHANNEL, slice_text(channel));
    command_add(&copy, FIELD_FORWARD_HOST, buf_slice(&host));
    command_encode(&copy, out);
    broker->ports->leader_flush(broker->ports->context);
    buf_close(&host);

    channel_of(relay, relayed)->relayed = true;
    broker->counters.forwarded++;
    if (command_is_oneway(request)) {
        relayed->opaque = 0;
        relayed_free(relay, relayed); // The leader will not answer.
        return;
    }
    if (relayed->copy_only) {
        forget_frame(relay, relayed); // The client's next heartbeat repeats it.
    }
    map_put(&relay->by_opaque, &relayed->node, slice_of(&relayed->opaque, sizeof relayed->opaque));
    list_remove(&relayed->link);
    list_append(&relay->sent, &relayed->link);
}

static void send_held(struct relay *relay, struct relayed *relayed)
{
    if (channel_of(relay, relayed) == NULL) {
        relayed_free(relay, relayed); // Nobody waits, and the leader would never forget the client.
        return;
    }
    struct buf scratch = {0};
    struct command request;
    enum status status = command_decode(buf_slice(&relayed->frame), &scratch, &request);
    ASSERT(status == STATUS_OK); // We encoded it.
    send(relay, relayed, &request);
    buf_close(&scratch);
}

/* Back to those that wait for a leader: the one that it was sent to has done nothing about it.
 * False: it cannot wait any longer. */
static bool hold_again(struct relay *relay, struct relayed *relayed, uint64_t refused_ms)
{
    struct broker *broker = relay->broker;
    uint64_t now = clock_monotonic_ms(broker->ports->clock);
    if (relayed->frame.size == 0 || now - relayed->since_ms > broker->settings->hold_ms) {
        return false;
    }
    forget_opaque(relay, relayed);
    relayed->refused_ms = refused_ms;
    list_remove(&relayed->link);
    list_append(&relay->held, &relayed->link);
    return true;
}

/* A leader that has just stepped down? Whatever else it says may be about something it has done. */
static bool took_nothing(const struct command *answer)
{
    return answer->code == status_response_code(STATUS_NOT_LEADER) &&
           slice_equals_text(answer->remark, status_text(STATUS_NOT_LEADER));
}

bool relay_on_answer(struct relay *relay, const struct command *answer)
{
    struct map_node *node =
        map_find(&relay->by_opaque, slice_of(&answer->opaque, sizeof answer->opaque));
    if (node == NULL) {
        return false;
    }
    struct relayed *relayed = CONTAINER_OF(node, struct relayed, node);
    if (took_nothing(answer) &&
        hold_again(relay, relayed, clock_monotonic_ms(relay->broker->ports->clock))) {
        return true;
    }
    if (!relayed->copy_only) {
        struct command copy = *answer;
        copy.opaque = relayed->to.opaque;
        copy.serialize_type = (enum serialize_type)relayed->to.serialize_type;
        broker_reply(relay->broker, &relayed->to, &copy);
    }
    relayed_free(relay, relayed);
    return true;
}

/* Whom a client's answer goes to. */
struct leader_call {
    int32_t opaque;
    int32_t code;
    uint64_t connection;
};

static void on_client_answered(struct broker *broker, void *context, enum status status,
                               const struct command *answer)
{
    struct leader_call *call = context;
    bool same_leader = broker->leader_connection == call->connection && !broker->stopping;
    struct buf *out = same_leader ? broker->ports->leader_out(broker->ports->context) : NULL;
    if (out != NULL) {
        const struct reply_to to = {.code = call->code, .opaque = call->opaque};
        struct command copy;
        if (answer != NULL) {
            copy = *answer;
            copy.opaque = call->opaque;
        } else {
            reply_init(&copy, &to, status_response_code(status));
            copy.remark = slice_text(status_text(status));
        }
        command_encode(&copy, out);
        broker->ports->leader_flush(broker->ports->context);
    }
    free(call);
}

static void call_client(struct relay *relay, uint64_t connection, struct channel *channel,
                        struct command *request)
{
    struct broker *broker = relay->broker;
    struct leader_call *call = mem_alloc(sizeof *call);
    *call = (struct leader_call){request->opaque, request->code, connection};
    enum status status =
        client_call(&broker->client_calls, channel, request, on_client_answered, call);
    if (status != STATUS_OK) {
        on_client_answered(broker, call, status, NULL);
    }
}

void relay_on_request(struct relay *relay, uint64_t connection, const struct command *request)
{
    struct broker *broker = relay->broker;
    int64_t id = 0;
    if (command_i64(request, FIELD_FORWARD_CHANNEL, true, &id) != STATUS_OK) {
        return;
    }
    struct channel *channel = channels_find(&broker->channels, (uint64_t)id);
    if (channel == NULL) {
        relay_channel_closed(relay, (uint64_t)id); // The leader has missed that it is gone.
        return;
    }
    struct command copy = *request;
    copy.field_count = 0;
    copy.serialize_type = SERIALIZE_JSON;
    for (uint32_t i = 0; i < request->field_count; i++) {
        if (!slice_equals_text(request->fields[i].name, FIELD_FORWARD_CHANNEL)) {
            copy.fields[copy.field_count++] = request->fields[i];
        }
    }
    if (!command_is_oneway(request)) {
        call_client(relay, connection, channel, &copy);
    } else if (!channel_send_request(&broker->channels, channel, &copy)) {
        log_debug(broker->log, "client too slow for a request of the leader", "code=%d",
                  request->code);
    }
}

void relay_channel_closed(struct relay *relay, uint64_t channel_id)
{
    struct broker *broker = relay->broker;
    struct buf *out =
        broker_leads(broker) ? NULL : broker->ports->leader_out(broker->ports->context);
    if (out == NULL) {
        // A leader that is not connected knows no channels of ours; but one may be connected that
        // is not known to lead at the moment.
        relay->missed_closing = true;
        return;
    }
    char number[24];
    struct command request;
    snprintf(number, sizeof number, "%" PRIu64, channel_id);
    command_init_request(&request, REQUEST_RAFTMQ_CHANNEL_CLOSED, next_opaque(relay));
    request.flag = COMMAND_FLAG_ONEWAY;
    command_add(&request, FIELD_FORWARD_CHANNEL, slice_text(number));
    command_encode(&request, out);
    broker->ports->leader_flush(broker->ports->context);
}

bool relay_missed_closing(const struct relay *relay)
{
    return relay->missed_closing;
}

void relay_on_leader_connected(struct relay *relay)
{
    relay->missed_closing = false;
    relay_turn(relay);
}

/* Asked again at once, a leader that stepped down and does not know of another would be asked for
 * ever. */
static bool rests(const struct relay *relay, const struct relayed *relayed)
{
    const struct broker *broker = relay->broker;
    return relayed->refused_ms != 0 && relayed->connection == broker->leader_connection &&
           clock_monotonic_ms(broker->ports->clock) < relayed->refused_ms + REFUSED_REST_MS;
}

void relay_turn(struct relay *relay)
{
    LIST_FOREACH(at, &relay->held)
    {
        struct relayed *relayed = CONTAINER_OF(at, struct relayed, link);
        if (leader_out(relay) == NULL) {
            return;
        }
        if (!rests(relay, relayed)) {
            send_held(relay, relayed);
        }
    }
}

void relay_on_leader_lost(struct relay *relay, uint64_t connection, enum status why)
{
    bool unheard = why == STATUS_CONNECT_FAILED;
    LIST_FOREACH(at, &relay->sent)
    {
        struct relayed *relayed = CONTAINER_OF(at, struct relayed, link);
        if (relayed->connection == connection && !(unheard && hold_again(relay, relayed, 0))) {
            end(relay, relayed, unheard ? STATUS_NO_LEADER : STATUS_UNKNOWN_OUTCOME);
        }
    }
}

bool relay_awaits_leader(const struct relay *relay, uint64_t connection)
{
    LIST_FOREACH(at, &relay->sent)
    {
        const struct relayed *relayed = CONTAINER_OF(at, struct relayed, link);
        if (relayed->connection == connection && !relayed->copy_only) {
            return true;
        }
    }
    return false;
}

void relay_on_leading(struct relay *relay)
{
    while (!list_empty(&relay->held)) {
        struct relayed *relayed = CONTAINER_OF(relay->held.next, struct relayed, link);
        struct channel *channel = channel_of(relay, relayed);
        if (channel != NULL && !relayed->copy_only) {
            struct buf scratch = {0};
            struct command request;
            enum status status = command_decode(buf_slice(&relayed->frame), &scratch, &request);
            ASSERT(status == STATUS_OK);
            dispatch_request(relay->broker, channel, &request);
            buf_close(&scratch);
        }
        relayed_free(relay, relayed);
    }
}

void relay_tick(struct relay *relay)
{
    struct broker *broker = relay->broker;
    uint64_t now = clock_monotonic_ms(broker->ports->clock);
    LIST_FOREACH(at, &relay->held)
    {
        struct relayed *relayed = CONTAINER_OF(at, struct relayed, link);
        if (now - relayed->since_ms > broker->settings->hold_ms) {
            end(relay, relayed, STATUS_NO_LEADER);
        }
    }
    LIST_FOREACH(at, &relay->sent)
    {
        struct relayed *relayed = CONTAINER_OF(at, struct relayed, link);
        if (now - relayed->since_ms > 3 * broker->settings->hold_ms) {
            end(relay, relayed, STATUS_TIMED_OUT);
        }
    }
}
