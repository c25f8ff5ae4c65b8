#include "admin/brokers.h"

#include "common/remoting/codes.h"
#include "common/remoting/extension.h"

#include <string.h>

enum { HINTS_MAX = 3 };

void brokers_close(struct brokers *brokers)
{
    body_close(&brokers->body);
}

enum cli_exit brokers_find(struct cli *cli, struct brokers *brokers)
{
    struct command request;
    struct cli_reply reply = {0};
    *brokers = (struct brokers){0};
    command_init_request(&request, REQUEST_GET_BROKER_CLUSTER_INFO, 1);
    enum cli_exit code = call_nameserver(cli, &request, &reply);
    if (code == CLI_OK && reply.command.code != RESPONSE_SUCCESS) {
        code = cli_refused(cli, slice_text("nameserver"), &reply.command);
    } else if (code == CLI_OK && cluster_info_decode(reply.command.body, &brokers->body,
                                                     &brokers->info) != STATUS_OK) {
        code = cli_nonsense(cli, slice_text("nameserver"));
    }
    cli_reply_close(&reply);
    return code;
}

const struct broker_data *brokers_group(const struct brokers *brokers, const char *name)
{
    for (size_t i = 0; i < brokers->info.broker_count; i++) {
        if (slice_equals_text(brokers->info.brokers[i].name, name)) {
            return &brokers->info.brokers[i];
        }
    }
    return NULL;
}

bool broker_chosen(const struct broker_data *group, const char *name)
{
    return name == NULL || slice_equals_text(group->name, name);
}

enum cli_exit broker_check(struct cli *cli, const struct brokers *brokers, const char *name)
{
    return name == NULL || brokers_group(brokers, name) != NULL
               ? CLI_OK
               : cli_fail(cli, CLI_NOT_FOUND, "the nameserver knows no broker group %s", name);
}

enum cli_exit call_nameserver(struct cli *cli, const struct command *request,
                              struct cli_reply *reply)
{
    return cli_call(cli, NULL, request, reply)
               ? CLI_OK
               : cli_fail(cli, CLI_UNREACHABLE, "no nameserver answers at %s: %s", cli->nameservers,
                          reply->error.remark);
}

size_t call_all_nameservers(struct cli *cli, const struct command *request)
{
    size_t count = 0;
    const char *address;
    for (size_t i = 0; (address = raftmq_client_nameserver(cli->client, i)) != NULL; i++) {
        struct cli_reply reply = {0};
        if (cli_call(cli, address, request, &reply) && reply.command.code == RESPONSE_SUCCESS) {
            count++;
        }
        cli_reply_close(&reply);
    }
    return count;
}

/* Ask one replica, and whom it hints at. False: no answer, or all said 14; *why tells. */
static bool call_with_hints(struct cli *cli, struct slice first, const struct command *request,
                            struct cli_reply *reply, const char **why)
{
    struct buf address = {0};
    bool more = true;
    bool done = false;
    buf_put_slice(&address, first);
    for (int i = 0; i < HINTS_MAX && more; i++) {
        struct slice hint;
        bool answered = cli_call(cli, buf_text(&address), request, reply);
        *why = answered ? status_text(STATUS_NO_LEADER) : reply->error.remark;
        done = answered && reply->command.code != RESPONSE_SERVICE_NOT_AVAILABLE;
        more = answered && !done && command_find(&reply->command, FIELD_LEADER_HINT, &hint);
        if (more) {
            buf_clear(&address);
            buf_put_slice(&address, hint);
        }
    }
    buf_close(&address);
    return done;
}

/* After an end without success: may it have been done all the same? A broker that lost the
 * leadership meanwhile says 14, too, and only its remark tells. */
static bool outcome_unknown(const struct cli_reply *reply)
{
    return reply->response == NULL
               ? reply->error.status != RAFTMQ_CONNECT_FAILED
               : slice_equals_text(reply->command.remark, status_text(STATUS_UNKNOWN_OUTCOME));
}

static enum cli_exit call_in_turn(struct cli *cli, const struct broker_data *group,
                                  const struct command *request, bool once, struct cli_reply *reply)
{
    const char *why = status_text(STATUS_NO_LEADER);
    bool unknown = false;
    // The lowest id first: that is whom the nameserver takes for the leader.
    for (int64_t done = -1; done < INT64_MAX;) {
        const struct broker_address *next = NULL;
        for (size_t i = 0; i < group->address_count; i++) {
            const struct broker_address *address = &group->addresses[i];
            if (address->id > done && (next == NULL || address->id < next->id)) {
                next = address;
            }
        }
        if (next == NULL) {
            break;
        }
        done = next->id;
        if (call_with_hints(cli, next->address, request, reply, &why)) {
            return CLI_OK;
        }
        unknown = once && outcome_unknown(reply);
        if (unknown) {
            break;
        }
    }
    return cli_fail(cli, CLI_UNREACHABLE, "%.*s: %s%s", SLICE_ARGS(group->name), why,
                    unknown ? "; it may have been done all the same" : "");
}

enum cli_exit call_leader(struct cli *cli, const struct broker_data *group,
                          const struct command *request, struct cli_reply *reply)
{
    return call_in_turn(cli, group, request, false, reply);
}

enum cli_exit call_leader_once(struct cli *cli, const struct broker_data *group,
                               const struct command *request, struct cli_reply *reply)
{
    return call_in_turn(cli, group, request, true, reply);
}

enum cli_exit ask_leader(struct cli *cli, const struct broker_data *group,
                         const struct command *request, struct cli_reply *reply)
{
    enum cli_exit code = call_leader(cli, group, request, reply);
    return code == CLI_OK && reply->command.code != RESPONSE_SUCCESS
               ? cli_refused(cli, group->name, &reply->command)
               : code;
}

bool is_stored(const struct command *answer)
{
    return answer->code == RESPONSE_SUCCESS || answer->code == RESPONSE_FLUSH_DISK_TIMEOUT ||
           answer->code == RESPONSE_SLAVE_NOT_AVAILABLE ||
           answer->code == RESPONSE_FLUSH_SLAVE_TIMEOUT;
}

enum cli_exit cli_refused(struct cli *cli, struct slice who, const struct command *response)
{
    enum cli_exit code = CLI_FAILED;
    switch (response->code) {
    case RESPONSE_TOPIC_NOT_EXIST:
    case RESPONSE_QUERY_NOT_FOUND:
    case RESPONSE_SUBSCRIPTION_GROUP_NOT_EXIST:
        code = CLI_NOT_FOUND;
        break;
    case RESPONSE_SERVICE_NOT_AVAILABLE:
        code = CLI_UNREACHABLE;
        break;
    default:
        break;
    }
    return cli_fail(cli, code, "%.*s: %s (%d) %.*s", SLICE_ARGS(who),
                    response_code_name(response->code), response->code,
                    SLICE_ARGS(response->remark));
}

enum cli_exit cli_nonsense(struct cli *cli, struct slice who)
{
    return cli_fail(cli, CLI_FAILED, "%.*s: the answer makes no sense", SLICE_ARGS(who));
}

void route_close(struct route *route)
{
    body_close(&route->body);
}

enum cli_exit route_find(struct cli *cli, const char *topic, struct route *route)
{
    struct command request;
    struct cli_reply reply = {0};
    *route = (struct route){0};
    command_init_request(&request, REQUEST_GET_ROUTEINFO_BY_TOPIC, 1);
    command_add(&request, "topic", slice_text(topic));
    command_add(&request, "acceptStandardJsonOnly", slice_text("true"));
    enum cli_exit code = call_nameserver(cli, &request, &reply);
    if (code == CLI_OK && reply.command.code == RESPONSE_TOPIC_NOT_EXIST) {
        code = cli_fail(cli, CLI_NOT_FOUND, "no such topic: %s", topic);
    } else if (code == CLI_OK && reply.command.code != RESPONSE_SUCCESS) {
        code = cli_refused(cli, slice_text("nameserver"), &reply.command);
    } else if (code == CLI_OK &&
               topic_route_decode(reply.command.body, &route->body, &route->route) != STATUS_OK) {
        code = cli_nonsense(cli, slice_text("nameserver"));
    }
    cli_reply_close(&reply);
    return code;
}

const struct broker_data *route_broker(const struct route *route, struct slice name)
{
    for (size_t i = 0; i < route->route.broker_count; i++) {
        if (slice_equals(route->route.brokers[i].name, name)) {
            return &route->route.brokers[i];
        }
    }
    return NULL;
}

bool broker_host(const struct broker_data *group, struct host *host)
{
    const struct broker_address *lowest = NULL;
    for (size_t i = 0; i < group->address_count; i++) {
        if (lowest == NULL || group->addresses[i].id < lowest->id) {
            lowest = &group->addresses[i];
        }
    }
    return lowest != NULL && host_parse(lowest->address, host) == STATUS_OK;
}
