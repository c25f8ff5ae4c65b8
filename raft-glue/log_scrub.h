/* The scrub: reads complete segments again and again, slowly, and verifies every frame.
 *
 * What a start no longer reads (segment_summary.h) is looked at here, a piece at a time, at a
 * bounded rate. A damaged frame is logged once and remembered; mending is somebody else's. Loop
 * thread only, but for the read itself (log_load_run). */
#ifndef RAFT_GLUE_LOG_SCRUB_H
#define RAFT_GLUE_LOG_SCRUB_H

#include "raft-glue/segment_log.h"

enum {
    SCRUB_DAMAGES_MAX = 64,              /* Remembered ones; beyond that they are only counted. */
    SCRUB_PASS_PERIOD_MS = 24 * 3600000, /* From the end of a pass to the next one. */
};

struct scrub_damage {
    uint64_t index;
    uint64_t position; /* Of the frame. */
};

struct log_scrub {
    struct segment_log *log;
    const struct log *logger;
    uint64_t rate; /* Bytes per second; 0: no scrub. */

    uint64_t passes; /* Finished ones. */
    uint64_t bytes;  /* Verified so far. */
    uint64_t damage_count;
    struct scrub_damage damages[SCRUB_DAMAGES_MAX];

    uint64_t next_index; /* Private from here. */
    uint64_t suspect;    /* Looked damaged; is read once more before that is believed. */
    uint64_t asked;      /* Somebody complained of this entry; 0: of none. */
    bool asking;         /* It is what is under way, */
    bool asked_twice;    /* and has looked damaged once. */
    uint64_t due_ms;
    bool under_way;
};

/* Borrows log and logger. The first pass begins at once. */
void log_scrub_init(struct log_scrub *scrub, struct segment_log *log, const struct log *logger,
                    uint64_t rate);

/* Look at the entry at this position at once, wherever in the log it is; the pass goes on after. */
void log_scrub_look_at(struct log_scrub *scrub, uint64_t position);

/* Time for the next piece? Fills load, to be run by any thread; one at a time. now_ms is monotonic.
 */
bool log_scrub_begin(struct log_scrub *scrub, uint64_t now_ms, struct log_load *load);
void log_scrub_end(struct log_scrub *scrub, uint64_t now_ms, struct log_load *load);

#endif
