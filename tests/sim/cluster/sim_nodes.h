/* Nodes and nameservers: the product's own broker/host and nameserver, each on a simulated host. */
#ifndef TESTS_SIM_CLUSTER_SIM_NODES_H
#define TESTS_SIM_CLUSTER_SIM_NODES_H

#include "broker/core/broker.h"
#include "tests/sim/cluster/sim_plan.h"

enum { SIM_NODES_MAX = 7, SIM_NAMESERVERS_MAX = 3, SIM_GROUPS_MAX = 3 };

enum { SIM_CLIENT_PORT = 10911, SIM_RAFT_PORT = 20911, SIM_NAMESERVER_PORT = 9876 };

struct sim_nodes;

/* Hosts and names; nothing runs yet. Borrows plan for life. */
void sim_nodes_open(const struct sim_plan *plan);
void sim_nodes_close(void);

/* With spare ones, which begin when they are wanted. */
size_t sim_node_count(void);
bool sim_node_wanted(size_t node);
struct sim_host *sim_node_host(size_t node);
bool sim_node_up(size_t node);
/* Start it if it is down. It comes back by itself after any death as long as it is wanted. */
void sim_node_want(size_t node, bool wanted);
/* How long a death lasts. */
void sim_node_rest(size_t node, uint64_t us);
/* No relapses any more. */
void sim_nodes_spare(void);
/* Ask it to stop in order. */
void sim_node_stop(size_t node);

size_t sim_nameserver_count(void);
struct sim_host *sim_nameserver_host(size_t nameserver);

/* "10.0.2.1:9876;10.0.2.2:9876" */
const char *sim_nameserver_addresses(void);
size_t sim_group_count(void);
/* "broker-a" */
const char *sim_group_name(size_t group);

/* The broker core of a group on a node; NULL if it does not run, or is closed for a copy. */
struct broker *sim_node_broker(size_t node, size_t group);
struct replica_view;
/* The same of its replica; false if it does not run. */
bool sim_node_view(size_t node, size_t group, struct replica_view *view);
/* The node that leads a group as it says itself, highest term first; -1: none does. */
int sim_group_leader(size_t group);

/* Counts over all. */
struct sim_deaths {
    uint64_t of_nodes[SIM_DEATHS];
    uint64_t of_nameservers;
};
const struct sim_deaths *sim_nodes_deaths(void);

#endif
