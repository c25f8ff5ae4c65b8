/* What raftmq adds to RocketMQ's protocol: requests between our own programs. An unknown code to
 * any RocketMQ server, so it answers 3 and nothing breaks. docs/protocol.md tells the bodies. */
#ifndef COMMON_REMOTING_EXTENSION_H
#define COMMON_REMOTING_EXTENSION_H

/* Admin CLI to any replica; bodies are JSON. */
enum {
    /* The replica's view of its group. */
    REQUEST_RAFTMQ_STATUS = 7100,
    /* ext target: member id, 0 = best. Leader only. */
    REQUEST_RAFTMQ_TRANSFER = 7101,
    /* ext memberId, action add|promote|remove. Leader only; answered when it is proposed: look at
     * the status for when it is committed. */
    REQUEST_RAFTMQ_MEMBER = 7102,
    /* ext on true|false: this replica gives leadership away and wants none. */
    REQUEST_RAFTMQ_DRAIN = 7103,
    /* ext lastIndex: after the loss of a majority, this replica becomes the only member. */
    REQUEST_RAFTMQ_RECOVER = 7104,
    /* ext state, producerGroup, max, after. */
    REQUEST_RAFTMQ_TXN_LIST = 7110,
    /* ext position, or transactionId with producerGroup. */
    REQUEST_RAFTMQ_TXN_SHOW = 7111,
    /* ext position, action commit|rollback|recheck. */
    REQUEST_RAFTMQ_TXN_SETTLE = 7112,
    /* As TXN_LIST, but what this replica knows, leader or not. */
    REQUEST_RAFTMQ_TXN_LIST_HERE = 7113,
};

/* Between replicas of a group, on the leader's client port. */
enum {
    /* ext cluster, group, memberId: this connection forwards. */
    REQUEST_RAFTMQ_FORWARD_HELLO = 7150,
    /* Oneway, ext rmqChannel: that client is gone. */
    REQUEST_RAFTMQ_CHANNEL_CLOSED = 7151,
    /* Body: an entry of operations; answer: their results. */
    REQUEST_RAFTMQ_PROPOSE = 7152,
};

/* Of forwarded commands: the forwarder's number of the client's connection, and its ip:port. */
#define FIELD_FORWARD_CHANNEL "rmqChannel"
#define FIELD_FORWARD_HOST "rmqHost"

/* On a refusal between replicas: number of the enum status (common/base/status.h). */
#define FIELD_STATUS "status"

/* On an answer with code 14: ip:port of the leader's client port, if known. */
#define FIELD_LEADER_HINT "leaderHint"

#endif
