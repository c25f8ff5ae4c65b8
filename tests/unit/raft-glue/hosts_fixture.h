/* Members of a group on loopback, in one process and on one loop, each a replica_host with a
 * directory of its own. What they apply are numbers. */
#ifndef TESTS_UNIT_RAFT_GLUE_HOSTS_FIXTURE_H
#define TESTS_UNIT_RAFT_GLUE_HOSTS_FIXTURE_H

#include "tests/support/test.h"

#include "raft-glue/replica_host.h"
#include "tests/support/held_port.h"
#include "tests/support/temp_directory.h"

enum { NODES = 3, ENTRIES_MAX = 4096 };

struct node {
    struct temp_directory directory;
    struct held_port port;
    struct replica_host *host; /* NULL: not started. */
    struct replica_state state;
    uint64_t applied_index;
    uint64_t applied[ENTRIES_MAX]; /* The number in each applied entry. */
    size_t applied_count;
    uint64_t position_last;
    unsigned own_applied; /* Applied with a proposal of this node. */
    unsigned dropped;
    enum status dropped_why;
    bool damaged; /* It said so of its log. */
    bool closed;
};

struct cluster {
    uv_loop_t loop;
    struct log log;
    struct replica_member members[NODES];
    struct node nodes[NODES];
    size_t count;
    uint32_t election_timeout_ms;
    struct clock clock;
    uint64_t ahead_ms; /* Of real time; it only grows. */
    size_t wanted;     /* See run_until_applied(). */
    uv_timer_t patience;
    bool out_of_patience;
};

/* Of so many members, none of which is started. */
struct cluster *cluster_open(size_t count);
/* All are started, and one leads. */
struct cluster *cluster_with_leader(size_t count);
void cluster_close(struct cluster *cluster);

/* It must succeed. */
void start_node(struct cluster *cluster, size_t i);
/* As a member of a cluster of that name. Errors: of replica_host_start(), with its text. */
enum status start_node_as(struct cluster *cluster, size_t i, const char *name, char **error);
void stop_node(struct cluster *cluster, size_t i);
/* For replica_host_close(): the node is closed. */
void on_node_closed(void *node);

/* Turn the loop until it is so; the test fails if that takes too long. */
void run_until(struct cluster *cluster, bool (*condition)(struct cluster *cluster));
/* Until all who run have applied so many entries in all. */
void run_until_applied(struct cluster *cluster, size_t count);

/* NULL: none. */
struct node *leader(struct cluster *cluster);
bool has_leader(struct cluster *cluster);
/* Propose a number as an entry of `size` bytes. Errors: of replica_host_propose(). */
enum status propose(struct node *node, uint64_t number, size_t size);
/* All who run have applied the same. */
void assert_equal_histories(struct cluster *cluster);

#endif
