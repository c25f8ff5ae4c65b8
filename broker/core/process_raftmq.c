/* Requests of our own (extension.h): status of a replica, leader transfer, and what replicas say to
 * each other on the client port. docs/protocol.md has the bodies. */
#include "broker/core/broker.h"
#include "broker/core/process_client.h"
#include "broker/core/processors.h"
#include "common/remoting/extension.h"

#include <inttypes.h>
#include <stdlib.h>

/* Add a last member to the object that the body is. */
static void put_state_hash(const struct broker *broker, struct buf *body)
{
    ASSERT(body->size >= 2 && body->data[body->size - 1] == '}');
    bool empty = body->size == 2;
    body->size--;
    buf_printf(body, "%s\"stateHash\":\"%016" PRIx64 "\"}", empty ? "" : ",",
               machine_hash(broker->machine));
}

/* ext hash=true: with the hash of the whole state, for tests and for comparing replicas at the same
 * appliedIndex. It reads all of the state, in the loop. */
enum status process_status(struct broker *broker, struct request *request)
{
    bool hash = false;
    enum status status = command_bool(request->command, "hash", &hash);
    broker->ports->describe(broker->ports->context, &request->body);
    if (status == STATUS_OK && hash) {
        put_state_hash(broker, &request->body);
    }
    return status;
}

/* A transfer under way: who asked. */
struct transfer {
    struct broker *broker;
    struct reply_to to;
};

static void on_transferred(void *context, enum status status)
{
    struct transfer *transfer = context;
    if (status == STATUS_OK) {
        struct command response;
        reply_init(&response, &transfer->to, 0);
        broker_reply(transfer->broker, &transfer->to, &response);
    } else {
        const char *remark = status == STATUS_TIMED_OUT
                                 ? "the target did not take over in time, this replica still leads"
                                 : NULL;
        broker_reply_status(transfer->broker, &transfer->to, status, remark);
    }
    free(transfer);
}

enum status process_transfer(struct broker *broker, struct request *request)
{
    int64_t target = 0;
    enum status status = command_i64(request->command, "target", false, &target);
    if (status != STATUS_OK) {
        return status;
    }
    bool known = target == 0 || broker_knows_member(broker, (uint64_t)target);
    if (target < 0 || !known) {
        return request_fail(request, STATUS_INVALID_ARGUMENT,
                            "member %" PRId64 " does not belong to group %s", target,
                            broker->group->name.text);
    }
    if ((uint64_t)target == broker->self->id) {
        return STATUS_OK; // It leads already.
    }
    struct transfer *transfer = mem_alloc(sizeof *transfer);
    *transfer = (struct transfer){.broker = broker, .to = request->to};
    broker->ports->transfer(broker->ports->context, (uint64_t)target, on_transferred, transfer);
    return STATUS_PENDING;
}

/* It comes back after a back-off, for as long as it is none of ours. */
static void tell_of_stranger(struct broker *broker, struct slice cluster, struct slice group,
                             int64_t member)
{
    enum { PERIOD_MS = 10000 };
    uint64_t now = clock_monotonic_ms(broker->ports->clock);
    if (broker->stranger_ms != 0 && now - broker->stranger_ms < PERIOD_MS) {
        return;
    }
    broker->stranger_ms = now;
    log_warn(broker->log, "stranger wants to forward requests",
             "cluster=%.*s group=%.*s member=%" PRId64
             "; check brokerClusterName and the members of both configurations",
             SLICE_ARGS(cluster), SLICE_ARGS(group), member);
}

enum status process_forward_hello(struct broker *broker, struct request *request)
{
    struct slice cluster = {0};
    struct slice group = {0};
    int64_t member = 0;
    command_find(request->command, "cluster", &cluster);
    command_find(request->command, "group", &group);
    enum status status = command_i64(request->command, "memberId", true, &member);
    bool ours = slice_equals(cluster, name_slice(&broker->settings->cluster)) &&
                slice_equals(group, name_slice(&broker->group->name)) && member > 0 &&
                broker_knows_member(broker, (uint64_t)member) &&
                (uint64_t)member != broker->self->id;
    if (status != STATUS_OK || !ours) {
        tell_of_stranger(broker, cluster, group, member);
        return request_fail(request, STATUS_REFUSED, "not a member of %s/%s",
                            broker->settings->cluster.text, broker->group->name.text);
    }
    request->channel->member_id = (uint64_t)member;
    return STATUS_OK;
}

enum status process_channel_closed(struct broker *broker, struct request *request)
{
    struct channel *via = request->channel;
    int64_t via_id = 0;
    if (via->member_id == 0 ||
        command_i64(request->command, FIELD_FORWARD_CHANNEL, true, &via_id) != STATUS_OK) {
        return STATUS_PENDING; // Oneway: nobody to tell.
    }
    struct channel *remote = channels_find_remote(&broker->channels, via, (uint64_t)via_id);
    if (remote != NULL) {
        pulls_drop_channel(&broker->pulls, remote);
        pops_drop_channel(&broker->pops, remote);
        channels_drop(&broker->channels, remote, client_notify_changed, broker);
    }
    return STATUS_PENDING;
}
