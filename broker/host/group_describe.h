/* The answer to REQUEST_RAFTMQ_STATUS (docs/protocol.md): what one replica knows of its group. */
#ifndef BROKER_HOST_GROUP_DESCRIBE_H
#define BROKER_HOST_GROUP_DESCRIBE_H

#include "broker/core/broker.h"
#include "raft-glue/replica_host.h"

/* Append the JSON object. */
void group_describe(const struct broker *broker, const struct replica_host *replica,
                    size_t connection_count, struct buf *out);

#endif
