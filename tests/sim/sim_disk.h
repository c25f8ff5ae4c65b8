/* A simulated disk: a directory in memory that forgets, at a crash, what was not synced.
 *
 * Of writes that were not synced, each sector survives or not by chance; of names that were not
 * synced, a prefix in time survives. Single thread. */
#ifndef TESTS_SIM_SIM_DISK_H
#define TESTS_SIM_SIM_DISK_H

#include "common/base/random.h"
#include "raft-glue/directory.h"

struct sim_disk;

struct sim_disk *sim_disk_new(uint64_t seed);
void sim_disk_free(struct sim_disk *disk);

/* The port; valid as long as the disk. */
struct directory sim_disk_directory(struct sim_disk *disk);

/* After this many more changing operations all fail without effect, as if power was lost then. */
void sim_disk_die_after(struct sim_disk *disk, uint64_t operations);

/* Files may not grow beyond so many bytes in all: then STATUS_DISK_FULL. UINT64_MAX: no limit. */
void sim_disk_limit(struct sim_disk *disk, uint64_t bytes);

/* Lose what is not synced; all files count as closed, and the disk works again. */
void sim_disk_crash(struct sim_disk *disk);

/* The process that used it is gone: all files count as closed, nothing is lost, and the disk works
 * again. */
void sim_disk_abandon(struct sim_disk *disk);

/* Bytes of all files. */
uint64_t sim_disk_size(const struct sim_disk *disk);

/* Changing operations so far. */
uint64_t sim_disk_operations(const struct sim_disk *disk);

/* The bytes of a file, to look at or to damage; NULL if there is none. */
uint8_t *sim_disk_bytes(struct sim_disk *disk, const char *name, size_t *size);

/* What a power cut would leave of a file at least; NULL if it would not be there. */
const uint8_t *sim_disk_synced(const struct sim_disk *disk, const char *name, size_t *size);

/* Would it be there after a power cut, under the same name, and is all of that there now? */
bool sim_disk_settled(const struct sim_disk *disk, const char *name);

/* The files there are: how many, and their names. */
size_t sim_disk_count(const struct sim_disk *disk);
const char *sim_disk_name(const struct sim_disk *disk, size_t place);

/* Let the medium say something else from now on, without anybody having written it: to who reads,
 * and after any crash. Within the file's size. */
void sim_disk_damage(struct sim_disk *disk, const char *name, size_t offset, const uint8_t *bytes,
                     size_t size);

/* Make an independent copy, as it would be found after a clean stop. */
struct sim_disk *sim_disk_copy(const struct sim_disk *disk, uint64_t seed);

#endif
