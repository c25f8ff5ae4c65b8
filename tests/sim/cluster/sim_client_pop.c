/* Poppers: they ask any replica for messages, and acknowledge most. What they are given and told is
 * compared with the ledger at once. */
#include "common/base/decimal.h"
#include "common/remoting/codes.h"
#include "common/remoting/message.h"
#include "tests/sim/cluster/sim_client.h"
#include "tests/sim/cluster/sim_ledger.h"
#include "tests/sim/cluster/sim_nodes.h"
#include "tests/sim/os/sim_thread.h"

#include <inttypes.h>
#include <stdio.h>

enum { INVISIBLE_MIN_MS = 300, INVISIBLE_MAX_OF_MS = 3000, POLL_OF_MS = 500, HANDLE_SIZE = 128 };

/* Where a popper asks. */
struct place {
    struct sim_client *client;
    char broker[RAFTMQ_NAME_SIZE];
    char invisible_ms[24];
};

static int64_t number_of(const struct raftmq_response *response, const char *name)
{
    int64_t number = -1;
    for (size_t i = 0; i < response->field_count; i++) {
        if (strcmp(response->fields[i].name, name) == 0) {
            decimal_parse(slice_text(response->fields[i].value), &number);
        }
    }
    return number;
}

/* NULL: no answer came. */
static struct raftmq_response *ask(const struct place *place, int32_t code,
                                   const struct raftmq_property *fields, size_t count)
{
    char address[32];
    struct raftmq_response *response;
    struct raftmq_error error;
    sim_client_some_replica(place->client, place->broker, address, sizeof address);
    return raftmq_invoke(place->client->raftmq, address, code, fields, count, NULL, 0, 0, &response,
                         &error) == RAFTMQ_OK
               ? response
               : NULL;
}

/* Say that it is done with, or that it is to come again soon. */
static void end_delivery(const struct place *place, const struct delivery *delivery, bool done)
{
    char handle[HANDLE_SIZE];
    char queue_id[16];
    char offset[24];
    snprintf(queue_id, sizeof queue_id, "%d", delivery->queue_id);
    snprintf(offset, sizeof offset, "%" PRId64, delivery->offset);
    snprintf(handle, sizeof handle, "%s %" PRIu64 " %s 0 0 %s %s %s", offset, delivery->pop_ms,
             place->invisible_ms, place->broker, queue_id, offset);
    const struct raftmq_property fields[] = {
        {"consumerGroup", SIM_POPPERS}, {"topic", "plain"}, {"queueId", queue_id},
        {"extraInfo", handle},          {"offset", offset}, {"invisibleTime", "200"},
    };
    struct raftmq_response *response =
        ask(place, done ? REQUEST_ACK_MESSAGE : REQUEST_CHANGE_MESSAGE_INVISIBLETIME, fields, 6);
    if (response != NULL && done && response->code == RESPONSE_SUCCESS) {
        ledger_pop_acknowledged(ledger_group(slice_text(place->broker)), place->client->host->name,
                                slice_text(SIM_POPPERS), slice_text("plain"), delivery);
    }
    raftmq_response_free(response);
}

/* Take the messages of an answer in, and end most deliveries. */
static void receive(const struct place *place, const struct raftmq_response *response)
{
    struct slice rest = slice_of(response->body, response->body_size);
    struct message message;
    size_t size;
    int64_t pop_ms = number_of(response, "popTime");
    while (rest.size > 0 && message_decode(rest, &message, &size) == STATUS_OK) {
        const struct delivery delivery = {message.queue_id, message.queue_offset, (uint64_t)pop_ms};
        struct ledger_group *group = ledger_group(slice_text(place->broker));
        ledger_popped(group, place->client->host->name, slice_text(SIM_POPPERS),
                      slice_text("plain"), &delivery);
        ledger_seen(group, place->client->host->name, slice_text("plain"), message.queue_id,
                    message.queue_offset, message.body);
        place->client->counts->received++;
        if (sim_hushed() || !sim_one_in(SIM_LOAD, 8)) {
            end_delivery(place, &delivery, sim_hushed() || !sim_one_in(SIM_LOAD, 8));
        }
        rest = slice_from(rest, size);
    }
    if (rest.size > 0) {
        sim_violation("popped", "%s cannot decode what it popped", place->client->host->name);
    }
}

void sim_client_pop(struct sim_client *client)
{
    struct place place = {.client = client};
    char max[16];
    char poll_ms[16];
    const struct sim_plan *plan = client->plan;
    snprintf(place.broker, sizeof place.broker, "%s",
             sim_group_name((size_t)sim_draw(SIM_LOAD, plan->groups)));
    snprintf(place.invisible_ms, sizeof place.invisible_ms, "%" PRIu64,
             plan->scale * (INVISIBLE_MIN_MS + sim_draw(SIM_LOAD, INVISIBLE_MAX_OF_MS)));
    snprintf(max, sizeof max, "%" PRIu64, 1 + sim_draw(SIM_LOAD, 16));
    snprintf(poll_ms, sizeof poll_ms, "%" PRIu64, sim_draw(SIM_LOAD, POLL_OF_MS));
    const struct raftmq_property fields[] = {
        {"consumerGroup", SIM_POPPERS},
        {"topic", "plain"},
        {"queueId", "-1"},
        {"maxMsgNums", max},
        {"pollTime", poll_ms},
        {"bornTime", "0"},
        {"initMode", "0"},
        {"expType", "TAG"},
        {"exp", "*"},
        {"order", "false"},
        {"invisibleTime", place.invisible_ms},
    };
    struct raftmq_response *response =
        ask(&place, REQUEST_POP_MESSAGE, fields, sizeof fields / sizeof fields[0]);
    if (response != NULL && response->code == RESPONSE_SUCCESS) {
        receive(&place, response);
    }
    raftmq_response_free(response);
}
