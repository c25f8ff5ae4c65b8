/* A log of small segments on a simulated disk, written to as the replica writes to its own. */
#ifndef TESTS_UNIT_RAFT_GLUE_LOG_FIXTURE_H
#define TESTS_UNIT_RAFT_GLUE_LOG_FIXTURE_H

#include "tests/support/test.h"

#include "raft-glue/segment_file.h"
#include "raft-glue/segment_log.h"
#include "tests/sim/sim_disk.h"

enum { GROUP = 42, SEGMENT_BYTES = 16 * 1024, CACHE_BYTES = 1024 * 1024 };

extern const char first_segment[]; /* The name of its file. */

/* Of group GROUP, with segments and a cache of the sizes above. */
struct segment_log_options log_options(struct sim_disk *disk);
/* Errors: of segment_log_open(), each of which must come with a text. */
enum status try_open_with(const struct segment_log_options *options, struct segment_log **log);
enum status try_open(struct sim_disk *disk, struct segment_log **log);
/* It must succeed. */
struct segment_log *open_log(struct sim_disk *disk);

/* Append a command whose payload of non-zero bytes follows from index and term. */
void append(struct segment_log *log, uint64_t term, size_t size);
void append_typed(struct segment_log *log, uint64_t term, enum log_frame_type type, size_t size);

/* Write and sync all that was appended. Errors: of log_write_run(), after which it is abandoned. */
enum status try_write_all(struct segment_log *log);
/* It must succeed. */
void write_all(struct segment_log *log);
/* `count` entries of different sizes, each synced before the next is appended. */
void fill(struct segment_log *log, unsigned count, uint64_t term);
/* A new one, which was filled with so many of term 1 and closed. */
struct sim_disk *disk_with(unsigned count);

/* Load an entry from disk, which append() made. */
void assert_entry_on_disk(struct segment_log *log, uint64_t index, uint64_t term);
/* Where the frames of entries are, of an intact log. */
void log_places(struct sim_disk *disk, uint64_t first, struct log_entry *entries, size_t count);
/* A byte of a file, and one of the log. Valid as sim_disk_bytes() says. */
uint8_t *file_byte(struct sim_disk *disk, const char *name, size_t at);
uint8_t *log_byte(struct sim_disk *disk, uint64_t position);

#endif
