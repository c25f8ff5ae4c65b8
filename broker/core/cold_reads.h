/* Room for reads of the log that wait for the disk: what they read into is memory from the moment
 * that they begin, and asking for it costs a client next to nothing.
 *
 * The bytes of all that are under way are bounded. One that finds no room waits its turn, in the
 * order of coming and without that memory; how much memory waits like this is bounded, too, and for
 * how long. What needs no disk needs no room. Loop thread only. */
#ifndef BROKER_CORE_COLD_READS_H
#define BROKER_CORE_COLD_READS_H

#include "common/base/check.h"
#include "common/base/limits.h"
#include "common/base/list.h"
#include "common/base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    /* Of all reads under way, with what their requests hold. One alone may be larger. */
    COLD_READS_SIZE_MAX = LIMITS_PICK(256 * 1024, 512) * 1024,
    /* What the requests hold whose reads wait. */
    COLD_READS_WAITING_MAX = LIMITS_PICK(64 * 1024, 128) * 1024,
    /* RocketMQ's clients give a pull up after 30 s: an answer that comes later helps nobody, and
     * those behind it would come too late as well. */
    COLD_READS_WAIT_MAX_MS = 10000,
};

struct cold_read;

/* Its turn has come: it has room; or status says why not: STATUS_OVERLOADED (it has waited too
 * long), STATUS_SHUTTING_DOWN. */
typedef void cold_read_cb(struct cold_read *read, enum status status);

/* Embedded by who reads. */
struct cold_read {
    size_t size;  /* What it holds once it is under way, */
    size_t held;  /* and what while it waits. */
    bool hurried; /* It would rather be refused than wait. */
    cold_read_cb *go_on;
    bool under_way;
    struct list line;
    uint64_t since_ms; /* Monotonic. */
};

struct broker;

struct cold_reads {
    struct broker *broker;
    struct list waiting;
    size_t waiting_size;
    size_t under_way_size;
    size_t under_way_count;
};

void cold_reads_init(struct cold_reads *reads, struct broker *broker);
/* Ends those that wait with STATUS_SHUTTING_DOWN; none can wait from then on. */
void cold_reads_close(struct cold_reads *reads);

/* Get room, unless it has it already. STATUS_PENDING: go_on() is called once, later.
 * Errors: STATUS_OVERLOADED     no room, and none to wait in, or it would not wait;
 *         STATUS_SHUTTING_DOWN  it would have to wait. */
WARN_UNUSED enum status cold_reads_enter(struct cold_reads *reads, struct cold_read *read);
/* Give the room back. Harmless without. */
void cold_reads_leave(struct cold_reads *reads, struct cold_read *read);

/* Do so many wait that nobody should begin what is lost if it cannot be read? */
bool cold_reads_crowded(const struct cold_reads *reads);

/* Let those go on for which there is room now; end of the loop turn. */
void cold_reads_turn(struct cold_reads *reads);
/* Refuse those that have waited too long. */
void cold_reads_tick(struct cold_reads *reads, uint64_t now_ms);

#endif
