#include "broker/core/client_calls.h"

#include "broker/core/broker.h"

#include <stdlib.h>

enum { REMARK_MAX = 4096 };

struct client_call {
    struct map_node node; /* By opaque. */
    struct list waiting;
    int32_t opaque;
    uint64_t connection; /* Channel id of the connection it went over. */
    uint64_t since_ms;
    client_answered *done;
    void *context;
};

void client_calls_init(struct client_calls *calls, struct broker *broker)
{
    *calls = (struct client_calls){.broker = broker, .next_opaque = 1};
    list_init(&calls->waiting);
}

static void end(struct client_calls *calls, struct client_call *call, enum status status,
                const struct command *answer)
{
    client_answered *done = call->done;
    void *context = call->context;
    map_remove(&calls->by_opaque, &call->node);
    list_remove(&call->waiting);
    free(call);
    done(calls->broker, context, status, answer);
}

void client_calls_close(struct client_calls *calls)
{
    while (!list_empty(&calls->waiting)) {
        end(calls, CONTAINER_OF(calls->waiting.next, struct client_call, waiting),
            STATUS_SHUTTING_DOWN, NULL);
    }
    map_close(&calls->by_opaque);
}

static const struct channel *connection_of(const struct channel *channel)
{
    return channel->via != NULL ? channel->via : channel;
}

enum status client_call(struct client_calls *calls, struct channel *channel,
                        struct command *request, client_answered *done, void *context)
{
    struct broker *broker = calls->broker;
    if (calls->by_opaque.count >= CLIENT_CALLS_MAX ||
        !channel_writable(&broker->channels, channel)) {
        return STATUS_OVERLOADED;
    }
    request->opaque = calls->next_opaque;
    if (!channel_send_request(&broker->channels, channel, request)) {
        return STATUS_CONNECTION_LOST;
    }
    calls->next_opaque = calls->next_opaque == INT32_MAX ? 1 : calls->next_opaque + 1;
    struct client_call *call = mem_zalloc(sizeof *call);
    call->opaque = request->opaque;
    call->connection = connection_of(channel)->id;
    call->since_ms = clock_monotonic_ms(broker->ports->clock);
    call->done = done;
    call->context = context;
    map_put(&calls->by_opaque, &call->node, slice_of(&call->opaque, sizeof call->opaque));
    list_append(&calls->waiting, &call->waiting);
    return STATUS_OK;
}

void client_calls_on_answer(struct client_calls *calls, const struct channel *from,
                            const struct command *answer)
{
    struct map_node *node =
        map_find(&calls->by_opaque, slice_of(&answer->opaque, sizeof answer->opaque));
    struct client_call *call = node == NULL ? NULL : CONTAINER_OF(node, struct client_call, node);
    if (call == NULL || call->connection != from->id) {
        return; // Nobody answers for somebody else.
    }
    // It will go into a frame of ours, which must be one whatever the client wrote.
    struct command kept = *answer;
    bool fits = answer->body.size <= FRAME_SIZE_MAX - HEADER_SIZE_MAX;
    kept.field_count = 0;
    kept.remark.size = kept.remark.size <= REMARK_MAX ? kept.remark.size : 0;
    end(calls, call, fits ? STATUS_OK : STATUS_MALFORMED, fits ? &kept : NULL);
}

void client_calls_drop(struct client_calls *calls, const struct channel *connection)
{
    LIST_FOREACH(at, &calls->waiting)
    {
        struct client_call *call = CONTAINER_OF(at, struct client_call, waiting);
        if (call->connection == connection->id) {
            end(calls, call, STATUS_CONNECTION_LOST, NULL);
        }
    }
}

void client_calls_tick(struct client_calls *calls, uint64_t now_ms)
{
    while (!list_empty(&calls->waiting)) {
        struct client_call *call = CONTAINER_OF(calls->waiting.next, struct client_call, waiting);
        if (now_ms - call->since_ms < CLIENT_CALL_TIMEOUT_MS) {
            return;
        }
        end(calls, call, STATUS_TIMED_OUT, NULL);
    }
}
