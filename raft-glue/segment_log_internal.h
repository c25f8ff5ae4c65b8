/* Inside of the segment log, shared by its files. */
#ifndef RAFT_GLUE_SEGMENT_LOG_INTERNAL_H
#define RAFT_GLUE_SEGMENT_LOG_INTERNAL_H

#include "raft-glue/log_stage.h"
#include "raft-glue/segment_file.h"
#include "raft-glue/segment_log.h"
#include "raft-glue/twin_file.h"

/* What writes touch: used by log_write_run(), and by the loop only while no write is under way. */
struct log_writer {
    const struct directory *directory;
    uint64_t group;
    uint32_t segment_size;
    struct twin_file cut_mark;
    struct log_mark_file mark_file; /* Not the writer's while a mark is under way. */
    struct file *file;              /* The segment being written, or NULL. */
    uint64_t number;
    struct log_stage stage; /* Of that segment. */
    uint64_t *spares;       /* Numbers of spare files, taken from the end. */
    size_t spare_count;
    size_t spare_capacity;
    bool has_reserve; /* The reserve is there to be used. */
    bool no_room;     /* A segment could not be made, and nothing of it was written. */
};

/* A segment's worth of allocated blocks for the time when the disk is full. */
enum log_reserve {
    RESERVE_NONE,
    RESERVE_MAKING,
    RESERVE_READY, /* Made, not yet given to the writer. */
    RESERVE_HELD,
};

#define RESERVE_NAME "reserve"

/* An open segment for reading. */
struct segment_reader {
    uint64_t number;
    struct file *file;
    unsigned references;
    uint64_t used; /* Tick of the last use. */
};

/* CHANGE entries stay in memory: they are few and are asked for at odd times. */
struct log_change {
    uint64_t index;
    struct log_record *record;
};

struct segment_log {
    struct segment_log_options options;
    uint32_t seed;
    struct log_entries entries;
    uint64_t settled_index;  /* Committed: never truncated. */
    uint64_t base_term;      /* Of the entry before the first. */
    uint64_t first_position; /* Of the first frame's segment. */
    uint64_t end_position;   /* Where the last frame ends. */
    uint64_t appended_bytes; /* Of payload, since it was opened. */
    uint32_t last_crc;       /* header_crc of the last frame. */

    struct log_record **ring; /* Cached records [cache_first, next_index), by index modulo size. */
    size_t ring_capacity;     /* A power of two. */
    uint64_t cache_first;
    size_t cache_bytes;
    struct log_change *changes;
    size_t change_count;
    size_t change_capacity;

    uint64_t durable_index;
    uint64_t durable_position; /* End of the durable index's frame. */
    uint64_t handed_index;     /* Highest index given to a write. */
    uint64_t dirty_end;        /* End of the bytes that writes were given. */
    uint64_t cut_from;         /* A truncation that the disk does not know of yet ... */
    uint64_t cut_until;        /* ... none if this is 0. */
    struct log_mark cut_keeps; /* The end of what it leaves. */
    struct log_mark marked;    /* The highest mark that may be stored. */
    bool mark_failed;          /* Perhaps a lower one is. */
    bool mark_under_way;
    bool cutting;            /* The write under way carries out a truncation. */
    uint64_t recycle_until;  /* Segments below this number are to become spares ... */
    uint64_t recycle_from;   /* ... from this one on. */
    struct log_write *write; /* Under way. */
    bool blocked;            /* The last one found no room for its next segment. */
    enum log_reserve reserve;
    bool reserve_short; /* It was used, or there was no room to make it. */
    size_t write_bytes; /* Of the frames in the last one. */
    struct log_writer writer;

    struct segment_reader **readers;
    size_t reader_count;
    uint64_t reader_tick;

    uint64_t complete_until; /* Segments below this number are complete and durable. */
    uint64_t *unsummarized;  /* Complete ones that lack a summary. */
    size_t unsummarized_count;
    size_t unsummarized_capacity;
    bool summary_under_way;

    bool spare_under_way;
    uint64_t spare_written;    /* Bytes of the one being made. */
    uint64_t spare_not_before; /* After a failure: not before the log ends there. */
    uint64_t spare_ready;      /* Made, not yet given to the writer; 0: none. */
    uint64_t spare_next;       /* Next unused number of a spare file, from 1. */
};

/* Zero log bytes [from, until), guarded by the durable mark. */
WARN_UNUSED enum status log_writer_cut(struct log_writer *writer, uint64_t from, uint64_t until);
void log_writer_add_spare(struct log_writer *writer, uint64_t number);
/* Remove those beyond what is kept. */
void log_writer_trim_spares(struct log_writer *writer);
void log_writer_close(struct log_writer *writer);

/* Fill an opened log from its directory. Errors as segment_log_open(). */
WARN_UNUSED enum status log_recover(struct segment_log *log, char **error);

/* ---- log_marking.c ---- */

/* The mark of a log that is durable up to this entry, which it holds. */
struct log_mark log_mark_at(const struct segment_log *log, uint64_t index);
/* Does the log hold what was durable when its mark was stored? */
bool log_reaches_mark(const struct segment_log *log);

/* ---- log_summary.c ---- */

/* A complete segment has no summary that can be used: write one when there is time. */
void log_summaries_lack(struct segment_log *log, uint64_t number);
/* The durable position has risen: maybe beyond a segment. */
void log_summaries_completed(struct segment_log *log);
/* The log ends earlier: its last segment may take frames again. */
void log_summaries_truncated(struct segment_log *log);
/* First index of the oldest segment that is not complete or still lacks a summary. */
uint64_t log_summaries_reach(const struct segment_log *log);
/* Segments [first, end) need none any more. */
void log_summaries_forget(struct segment_log *log, uint64_t first, uint64_t end);
/* Any thread; blocks. Harmless if there is none. */
void log_summary_remove(const struct directory *directory, uint64_t number);

/* The summary of the segment with which the log goes on, if there is one and the segment and the
 * next one agree with it. last_term is that of the log so far. Takes nothing into the log. */
struct log_summary;
bool log_summary_open(const struct segment_log *log, uint64_t number, uint64_t last_term,
                      struct log_summary **out);
/* Its frames, as decoded ones; only those of changes have all fields and a payload. False at the
 * end. The payload is borrowed until close. */
bool log_summary_next(struct log_summary *summary, struct log_frame *frame, struct slice *payload);
void log_summary_close(struct log_summary *summary);

/* Pack entries of which nothing more has to be known, at most `chunks` chunks of them. */
void log_pack_settled(struct segment_log *log, size_t chunks);

/* Keep a CHANGE entry; copies nothing, holds record. */
void segment_log_keep_change(struct segment_log *log, struct log_record *record);

/* A record around a payload; holds block. The header is filled. */
struct log_record *log_record_new(struct log_frame *frame, uint64_t previous_term, uint32_t seed,
                                  struct block *block, const uint8_t *payload);

void segment_readers_close(struct segment_log *log);
/* Is any segment below number being read? Closes idle ones. */
bool segment_readers_busy_below(struct segment_log *log, uint64_t number);

#endif
