/* What each replica of each broker group says of itself (REQUEST_RAFTMQ_STATUS). */
#ifndef ADMIN_REPLICA_STATUS_H
#define ADMIN_REPLICA_STATUS_H

#include "admin/brokers.h"

#include <jansson.h>

/* Ask every replica of a group: those that the nameserver lists, and those that any of them names
 * as a member. A new object:
 *
 *   group, cluster, leader (address or absent), term, health, healthy,
 *   replicas: [{group, memberId, address, role, term, commit, applied, last, lag, clients, version,
 *               health}], each with the replica's whole answer as "status"
 *
 * health is "ok" or what is wrong. lag: entries behind the leader's last. */
json_t *group_status(struct cli *cli, const struct broker_data *group);

#endif
