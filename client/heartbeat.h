/* Telling brokers which groups this client has members of. Loop thread only. */
#ifndef CLIENT_HEARTBEAT_H
#define CLIENT_HEARTBEAT_H

#include "common/remoting/message.h"

struct raftmq_client;

/* To one server, if it is a broker that must know; nothing if this client has no groups. */
void heartbeat_greet(struct raftmq_client *client, struct host host);

/* To all known brokers: every replica if there are consumers, else the leaders only. */
void heartbeat_all(struct raftmq_client *client);

/* Tell all known brokers that a group (the other one is empty) has lost this member. */
void heartbeat_leave(struct raftmq_client *client, struct slice producer_group,
                     struct slice consumer_group);

/* The alarm of client->heartbeat. */
struct alarm;
void heartbeat_on_alarm(struct alarm *alarm);

#endif
