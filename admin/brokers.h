/* Whom to ask: nameservers, the broker groups they know, and the leaders of those. */
#ifndef ADMIN_BROKERS_H
#define ADMIN_BROKERS_H

#include "admin/call.h"
#include "admin/cli.h"
#include "common/remoting/body_route.h"
#include "common/remoting/message.h"

struct brokers {
    struct body body;
    struct cluster_info info;
};

void brokers_close(struct brokers *brokers);

/* Ask a nameserver for all broker groups. Says so to the person when it fails. */
enum cli_exit brokers_find(struct cli *cli, struct brokers *brokers);

/* The group of that name, or NULL. */
const struct broker_data *brokers_group(const struct brokers *brokers, const char *name);

/* Send a request to the first nameserver that answers. */
enum cli_exit call_nameserver(struct cli *cli, const struct command *request,
                              struct cli_reply *reply);

/* Send a request to every nameserver; how many answered it with success. */
size_t call_all_nameservers(struct cli *cli, const struct command *request);

/* Send a request to the leader of a group: to whom the nameserver names, and on to whom that one
 * names. The answer may be any response but 14. */
enum cli_exit call_leader(struct cli *cli, const struct broker_data *group,
                          const struct command *request, struct cli_reply *reply);

/* call_leader() for what must not be done twice: it goes on to another replica only if the one
 * before surely did nothing (no connection, or 14 but for STATUS_UNKNOWN_OUTCOME). Another end
 * without an answer is an unknown outcome, CLI_UNREACHABLE. */
enum cli_exit call_leader_once(struct cli *cli, const struct broker_data *group,
                               const struct command *request, struct cli_reply *reply);

/* call_leader() for which only success will do: any other answer is cli_refused(). */
enum cli_exit ask_leader(struct cli *cli, const struct broker_data *group,
                         const struct command *request, struct cli_reply *reply);

/* Does this answer to a message say that it is stored, be it that it is not yet as safe as the
 * broker would have it? */
bool is_stored(const struct command *answer);

/* Tell the person of a response that is not success; the code that says which kind it is. */
enum cli_exit cli_refused(struct cli *cli, struct slice who, const struct command *response);

/* Tell the person that an answer could not be understood. */
enum cli_exit cli_nonsense(struct cli *cli, struct slice who);

/* Only the groups that a --broker option names (NULL: all). */
bool broker_chosen(const struct broker_data *group, const char *name);

/* Is there what a --broker option names? Says so to the person if not. */
enum cli_exit broker_check(struct cli *cli, const struct brokers *brokers, const char *name);

/* The route of a topic. */
struct route {
    struct body body;
    struct topic_route route;
};
void route_close(struct route *route);
enum cli_exit route_find(struct cli *cli, const char *topic, struct route *route);
/* The broker of a route by name, or NULL. */
const struct broker_data *route_broker(const struct route *route, struct slice name);

/* The address with the lowest id (0: the leader). False if it has none that is an ip:port. */
bool broker_host(const struct broker_data *group, struct host *host);

#endif
