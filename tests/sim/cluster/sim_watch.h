/* Where the ledger looks into the product: calls that the linker sends through here first
 * (--wrap in tests/sim/tests.cmake), so that nothing in the product knows of being watched. */
#ifndef TESTS_SIM_CLUSTER_SIM_WATCH_H
#define TESTS_SIM_CLUSTER_SIM_WATCH_H

#include <stddef.h>
#include <stdint.h>

/* Size of the cached tails of the logs to come. */
void sim_watch_open(size_t cache_size);
/* Since then: copies of a group that were finished, stores that were set aside, replicas that
 * declined leadership because of what they had to apply, answers of leaders that sent a consumer to
 * a follower, and answers of followers that kept it. */
uint64_t sim_watch_copies(void);
uint64_t sim_watch_stores_set_aside(void);
uint64_t sim_watch_laggards(void);
uint64_t sim_watch_readers_sent(void);
uint64_t sim_watch_readers_kept(void);

#endif
