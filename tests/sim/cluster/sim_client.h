/* One client process and what its threads do over and over. */
#ifndef TESTS_SIM_CLUSTER_SIM_CLIENT_H
#define TESTS_SIM_CLUSTER_SIM_CLIENT_H

#include "client/include/raftmq.h"
#include "tests/sim/cluster/sim_clients.h"

#include <uv.h>

#define SIM_POPPERS "POPPERS" /* Their consumer group. */

enum sim_client_kind {
    SIM_CLIENT_PLAIN,    /* Sends messages and batches. */
    SIM_CLIENT_BANK,     /* Transfers of the bank. */
    SIM_CLIENT_RACE,     /* Transactions that several decide at once, and decisions gone wrong. */
    SIM_CLIENT_CONSUMER, /* A member of a consumer group. */
    SIM_CLIENT_ORDERLY,  /* The same, of one that consumes in order. */
    SIM_CLIENT_POPPER,   /* Pops and acknowledges. */
};

struct sim_client {
    enum sim_client_kind kind;
    const struct sim_plan *plan;
    struct sim_client_counts *counts;
    struct sim_host *host;
    struct sim_event restart;
    /* Of the process that runs: */
    bool ready;
    bool stopping;
    uint32_t busy; /* Threads that have not come to their end. */
    uv_sem_t stop;
    struct raftmq_client *raftmq;
    struct raftmq_producer *producer;
    struct raftmq_consumer *consumer;
};

/* Nothing new is to be begun. */
bool sim_hushed(void);

void sim_client_send_plain(struct sim_client *client);
void sim_client_transfer(struct sim_client *client);
void sim_client_race(struct sim_client *client);
void sim_client_consume(struct sim_client *client);
void sim_client_consume_in_order(struct sim_client *client);
/* sim_client_pop.c */
void sim_client_pop(struct sim_client *client);

/* The address of any node's replica of a group. */
void sim_client_some_replica(const struct sim_client *client, const char *broker, char *address,
                             size_t size);

raftmq_check_cb sim_client_check_bank;
raftmq_check_cb sim_client_check_race;

#endif
