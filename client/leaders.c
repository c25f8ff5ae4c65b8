#include "client/leaders.h"

#include "common/remoting/codes.h"

/* The leader's address of a broker; false if it has none. */
static bool leader_of(const struct raftmq_broker *broker, struct host *host)
{
    for (size_t i = 0; i < broker->address_count; i++) {
        if (broker->addresses[i].id == 0) {
            return host_parse(slice_text(broker->addresses[i].address), host) == STATUS_OK;
        }
    }
    return false;
}

enum raftmq_status leaders_ask(struct raftmq_client *client, const char *cluster,
                               struct command *request, int32_t skip, leaders_cb *each,
                               void *context, struct raftmq_error *error)
{
    struct raftmq_route *all;
    size_t asked = 0;
    enum raftmq_status status = raftmq_cluster_info(client, &all, error);
    if (status != RAFTMQ_OK) {
        return status;
    }
    for (size_t i = 0; i < all->broker_count && status == RAFTMQ_OK; i++) {
        struct reply reply = {0};
        struct host host;
        if (cluster != NULL && strcmp(cluster, all->brokers[i].cluster) != 0) {
            continue;
        }
        if (!leader_of(&all->brokers[i], &host)) {
            status =
                error_set(error, RAFTMQ_NO_ROUTE, "broker %s has no leader", all->brokers[i].name);
            break;
        }
        asked++;
        status = invoke_host(client, host, request, 0, &reply, error);
        if (status == RAFTMQ_OK && reply.command.code != RESPONSE_SUCCESS) {
            status =
                reply.command.code == skip ? RAFTMQ_OK : error_of_response(error, &reply.command);
        } else if (status == RAFTMQ_OK && each != NULL && !each(context, &reply)) {
            status = error_of_status(error, STATUS_MALFORMED);
        }
        reply_close(&reply);
    }
    raftmq_route_free(all);
    if (status == RAFTMQ_OK && asked == 0) {
        status = error_set(error, RAFTMQ_NO_ROUTE, "no broker of that cluster is known");
    }
    return status;
}
