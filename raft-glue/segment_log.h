/* The commit log of a replica: frames in segment files, with an index and a cached tail in memory.
 *
 * An entry is readable by index as soon as it is appended. It becomes durable by a write:
 * segment_log_write_begin() collects everything that was appended since the last one (group
 * commit), log_write_run() does the blocking part on whatever thread, segment_log_write_end()
 * accounts for it. One write at a time, in order; entries may be appended and truncated meanwhile.
 * A truncation of bytes that the disk has already been given is carried out by the next write,
 * before its frames: marked durably, zeroed, then written over; so stale frames are never taken
 * for current ones.
 *
 * All functions but *_run are for the loop thread. */
#ifndef RAFT_GLUE_SEGMENT_LOG_H
#define RAFT_GLUE_SEGMENT_LOG_H

#include "common/base/buf.h"
#include "common/base/log.h"
#include "raft-glue/block.h"
#include "raft-glue/directory.h"
#include "raft-glue/log_entries.h"
#include "raft-glue/log_frame.h"
#include "raft-glue/log_mark.h"

struct segment_log;

struct segment_log_options {
    struct directory directory; /* Borrowed until close. */
    const struct log *log;
    uint64_t group;         /* Identity of cluster and group: another one's log is refused. */
    uint32_t segment_size;  /* SEGMENT_SIZE, but for tests. */
    size_t cache_size;      /* Bytes of durable tail kept in memory. */
    uint64_t settled_index; /* As segment_log_settle(): what is known before it is opened. */
};

/* An entry in memory; frames are immutable once appended. */
struct log_record {
    uint32_t references;
    uint32_t payload_size;
    uint64_t index;
    uint64_t term;
    uint64_t position; /* Of the frame. */
    uint64_t previous_term;
    uint32_t previous;
    uint8_t type;
    uint8_t header[LOG_FRAME_HEADER_SIZE];
    const uint8_t *payload; /* In block. */
    struct block *block;
};

struct log_record *log_record_hold(struct log_record *record);
void log_record_release(struct log_record *record);

/* Open and recover: a torn tail is cut, damage below a durable mark is refused, and a log that ends
 * below the one that was stored (log_mark.h).
 *
 * Errors (*error is a sentence for the operator, to be freed):
 *   STATUS_CORRUPT  damaged where it was synced
 *   STATUS_REFUSED  another group's log, or another version's
 *   STATUS_IO, STATUS_DISK_FULL */
WARN_UNUSED enum status segment_log_open(const struct segment_log_options *options,
                                         struct segment_log **out, char **error);

/* No write, load, spare or mark may be under way. Accepts NULL. */
void segment_log_close(struct segment_log *log);

/* Begins frames' checksums: the low half of the group's identity. */
uint32_t segment_log_seed(const struct segment_log *log);

uint64_t segment_log_first_index(const struct segment_log *log);
uint64_t segment_log_last_index(const struct segment_log *log); /* first - 1 when empty. */
uint64_t segment_log_durable_index(const struct segment_log *log);
/* The last entry of all segments that are complete and durable; first - 1 without any. */
uint64_t segment_log_complete_index(const struct segment_log *log);
uint64_t segment_log_first_position(const struct segment_log *log);
uint64_t segment_log_end_position(const struct segment_log *log);
/* Payload bytes appended since it was opened. */
uint64_t segment_log_appended_bytes(const struct segment_log *log);
bool segment_log_entry(const struct segment_log *log, uint64_t index, struct log_entry *entry);
/* Also knows the entry before the first; 0 if unknown. */
uint64_t segment_log_term(const struct segment_log *log, uint64_t index);

/* Append the entry last + 1. Holds block, in which payload lies. Returns the frame's position. */
uint64_t segment_log_append(struct segment_log *log, uint64_t term, uint8_t type,
                            struct block *block, struct slice payload, uint32_t payload_crc);

/* Where the frame of the next entry would go. */
uint64_t segment_log_next_position(const struct segment_log *log, size_t payload_size);

/* Entries up to index are committed: nobody truncates them, and less has to be known of them. */
void segment_log_settle(struct segment_log *log, uint64_t index);

/* Forget entries from index on (not below the first, nor settled ones). */
void segment_log_truncate(struct segment_log *log, uint64_t index);

/* The record of an entry, if it is in memory; borrowed until the next change, hold it to keep it.
 */
struct log_record *segment_log_cached(const struct segment_log *log, uint64_t index);

/* Payload of the last CHANGE entry at or below index, which is always in memory; *at is its index,
 * 0 if there is none. */
struct slice segment_log_change(const struct segment_log *log, uint64_t index, uint64_t *at);

/* Index of the entry whose frame holds this position; 0 if there is none. */
uint64_t segment_log_index_at(const struct segment_log *log, uint64_t position);

/* Let an empty log begin with this entry, in the segment that begins at this position. */
void segment_log_begin(struct segment_log *log, uint64_t index, uint64_t previous_term,
                       uint64_t position);

/* Where the segment begins that this position lies in. */
uint64_t segment_log_segment_start(const struct segment_log *log, uint64_t position);
/* Index of the first entry of the segment that this position lies in; 0 if the log begins there or
 * behind it, or does not reach it. */
uint64_t segment_log_segment_first(const struct segment_log *log, uint64_t position);

/* Drop whole segments below the one that holds `index` (durable). Their files are kept as spares
 * by the next write. Returns the new first index. */
uint64_t segment_log_remove_prefix(struct segment_log *log, uint64_t index);

/* Copy bytes of durable frames without waiting.
 * Errors: STATUS_BUSY (needs the disk), STATUS_NOT_FOUND (not in the log), STATUS_IO. */
WARN_UNUSED enum status segment_log_read_now(struct segment_log *log, uint64_t position,
                                             size_t size, uint8_t *to);

/* ---- Writes ---- */

/* What the disk has left for the log. */
enum log_room {
    LOG_ROOM_FINE,
    LOG_ROOM_LOW,  /* The reserve is in use, or there was never room for it. */
    LOG_ROOM_NONE, /* The next segment could not be made: writes wait. */
};
enum log_room segment_log_room(const struct segment_log *log);

/* Without room nothing is written any more, until this says that it is worth another try. */
void segment_log_retry(struct segment_log *log);

struct log_write;

/* Something to write, and no write under way? */
bool segment_log_wants_write(const struct segment_log *log);
/* Bytes appended and not yet durable. */
uint64_t segment_log_unwritten(const struct segment_log *log);
/* Bytes appended that no write was given yet. */
uint64_t segment_log_waiting(const struct segment_log *log);
struct log_write *segment_log_write_begin(struct segment_log *log);
/* Any thread; blocks. When the disk has no room for the next segment, what lies before that is
 * written and the rest stays to be written: that is no error.
 * Errors: STATUS_IO, STATUS_DISK_FULL: a write failed, the log cannot go on. */
WARN_UNUSED enum status log_write_run(struct log_write *write);
/* After a successful run. Frees write. The durable index may have risen. */
void segment_log_write_end(struct segment_log *log, struct log_write *write);
/* Instead of end, when the process gives up: only frees. */
void segment_log_write_abandon(struct segment_log *log, struct log_write *write);

/* ---- The mark: how far the log is durable, for the next start (log_mark.h). It is stored beside
 * writes, which do not wait for it, but for those that truncate: they lower it first. ---- */

struct log_mark_job {
    struct log_mark_file *file;
    struct log_mark mark;
};

/* Is the log durable up to elsewhere than the mark says? */
bool segment_log_mark_lags(const struct segment_log *log);
/* Does it lag, and may it be stored now? Fills job; at most one under way. */
bool segment_log_mark_begin(struct segment_log *log, struct log_mark_job *job);
/* Any thread; blocks. Errors: STATUS_DISK_FULL: harmless, the mark lags; STATUS_IO. */
WARN_UNUSED enum status log_mark_run(struct log_mark_job *job);
void segment_log_mark_end(struct segment_log *log, enum status status);

/* ---- The reserve: one segment's blocks in hand, which nobody else can take. When the disk is full
 * the log goes on in it, so that decisions can be taken while messages are refused. ---- */

struct log_reserve_job {
    const struct directory *directory;
    uint64_t size;
};

/* Is there none? Fills job; at most one under way. */
bool segment_log_reserve_begin(struct segment_log *log, struct log_reserve_job *job);
/* Any thread; blocks. Errors: STATUS_IO, STATUS_DISK_FULL: harmless, to be tried again later. */
WARN_UNUSED enum status log_reserve_run(struct log_reserve_job *job);
void segment_log_reserve_end(struct segment_log *log, enum status status);

/* ---- Loads: durable entries that are no longer in memory ---- */

struct log_load {
    uint64_t first_index;
    uint64_t count;
    size_t size;         /* Bytes: whole frames, one after the other. */
    struct block *block; /* Filled by run; the caller's reference, released by end. */
    enum status status;  /* Set by run: STATUS_OK, STATUS_CORRUPT, STATUS_IO. */
    uint64_t verified;   /* Set by run: frames that are good, before the first that is not. */
    uint64_t position;   /* Private from here. */
    uint64_t offset;
    uint32_t seed;
    struct segment_reader *reader;
    const struct directory *directory;
};

/* Prepare to read entries first..last (durable), as many as lie in one segment and in bytes_max,
 * but at least one. Errors: STATUS_NOT_FOUND, STATUS_IO. */
WARN_UNUSED enum status segment_log_load_begin(struct segment_log *log, uint64_t first,
                                               uint64_t last, size_t bytes_max,
                                               struct log_load *load);
/* Any thread; blocks. Verifies every frame. */
void log_load_run(struct log_load *load);
void segment_log_load_end(struct segment_log *log, struct log_load *load);

/* A plain range of bytes for segment_log_read_now's BUSY; `to` is the caller's. */
struct log_read {
    uint64_t position; /* Private. */
    size_t size;
    uint8_t *to;
    struct segment_reader *reader;
    const struct directory *directory;
    uint64_t offset;
};
/* Errors: STATUS_NOT_FOUND, STATUS_IO. */
WARN_UNUSED enum status segment_log_read_begin(struct segment_log *log, uint64_t position,
                                               size_t size, uint8_t *to, struct log_read *read);
WARN_UNUSED enum status log_read_run(struct log_read *read);
void segment_log_read_end(struct segment_log *log, struct log_read *read);

/* ---- Summaries of complete segments: so that a start need not read them (segment_summary.h) ----
 */

struct log_summary_job {
    const struct directory *directory;
    uint64_t number;
    struct buf bytes;
};

/* Is there one to be written? Fills job; at most one under way. */
bool segment_log_summary_begin(struct segment_log *log, struct log_summary_job *job);
/* Any thread; blocks. Errors: STATUS_IO, STATUS_DISK_FULL: harmless, the next start reads the
 * segment. */
WARN_UNUSED enum status log_summary_run(struct log_summary_job *job);
void segment_log_summary_end(struct segment_log *log, struct log_summary_job *job);

/* ---- Spares: segments of zeros made ahead, because syncs on written blocks are much faster.
 * Piece by piece, while the disk has nothing better to do. ---- */

struct log_spare {
    const struct directory *directory;
    uint64_t number;
    uint64_t offset; /* Of this piece. */
    uint64_t size;
    uint64_t segment_size;
};

/* Time to make a piece of one? Fills spare; at most one under way. */
bool segment_log_spare_begin(struct segment_log *log, struct log_spare *spare);
/* Any thread; blocks. Errors: STATUS_IO, STATUS_DISK_FULL: harmless, there is no spare. */
WARN_UNUSED enum status log_spare_run(struct log_spare *spare);
void segment_log_spare_end(struct segment_log *log, struct log_spare *spare, enum status status);

#endif
