/* Memory by owner: what a simulated process allocates goes when the process dies, wherever its
 * threads stood, and what it holds can be counted.
 *
 * The linker sends every malloc(), calloc(), realloc(), posix_memalign() and free() of our own code
 * here (--wrap). NULL is the simulator itself. */
#ifndef TESTS_SIM_OS_SIM_MEMORY_H
#define TESTS_SIM_OS_SIM_MEMORY_H

#include "common/base/list.h"

struct sim_owner {
    struct list blocks;
    size_t block_count;
    size_t bytes;
    size_t bytes_most; /* Ever at one time. */
};

void sim_owner_init(struct sim_owner *owner);
/* Free all that it owns. */
void sim_owner_clear(struct sim_owner *owner);

/* Whose are new blocks from now on? Returns who was it before. Growing a block does not change
 * whose it is. */
struct sim_owner *sim_memory_use(struct sim_owner *owner);

/* Let the libraries that allocate for us (jansson, C-Raft) do so here. Call once. */
void sim_memory_adopt_libraries(void);

#endif
