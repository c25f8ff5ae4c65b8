/* libraftmq_fault.so: preloaded into a broker, it makes the disk slow, failing or forgetful, and
 * leads connections through the harness's proxies.
 *
 * Environment:
 *   RAFTMQ_FAULT_ROOT      files below this directory are watched
 *   RAFTMQ_FAULT_CONTROL   a file of FAULT_CONTROL_SIZE bytes, mapped: the harness changes it while
 *                          the process runs
 *   RAFTMQ_FAULT_JOURNAL   what is not yet synced is written there, with the bytes before it
 *   RAFTMQ_FAULT_CONNECT   a file with lines "port:other": connections to that port of this machine
 * go to the other one
 *
 * What the journal holds of writes that were not synced, tests/faults/power.py takes back after the
 * process was killed: that is a power cut. Only for tests; any thread. */
#ifndef TESTS_FAULTS_SHIM_SHIM_H
#define TESTS_FAULTS_SHIM_SHIM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { FAULT_CONTROL_SIZE = 64 };

/* Little-endian; the harness's side is in tests/faults/power.py. */
struct fault_control {
    uint64_t sequence;      /* Of the last journal record, in this process or one before. */
    uint32_t sync_delay_ms; /* Before each sync. */
    uint32_t sync_error;    /* errno of syncs; 0: they work. */
    uint32_t write_error;   /* errno of writes; ENOSPC: of those by which a file grows. */
    uint32_t lie;           /* Syncs say that they worked, and do nothing. */
    uint32_t syncs;         /* How many were done, for the report. */
    uint32_t writes;
};

/* Zeros if there is no control file. */
struct fault_control *fault_control(void);

/* The original of a function that is replaced here, by its name. */
void *fault_original(const char *name);

enum fault_record {
    FAULT_WRITE = 1,  /* [offset, offset + length) is about to be written; data: what was there. */
    FAULT_SYNC = 2,   /* Content up to the sequence in `offset` is durable. */
    FAULT_CREATE = 3, /* A name is new. */
    FAULT_RENAME = 4, /* path is path2's new name; data: where a replaced file is kept. */
    FAULT_UNLINK = 5, /* data: where the file is kept. */
    FAULT_DIR_SYNC = 6, /* Names in a directory up to the sequence in `offset` are durable. */
    FAULT_TRUNCATE = 7, /* The size becomes `offset`; data: what was behind it. */
};

/* Is this an absolute path below the root, of a file whose loss matters? */
bool fault_watches(const char *path);

/* Absolute path of an open file, or of a name in a directory (AT_FDCWD too); false if it is too
 * long. */
enum { FAULT_PATH_MAX = 4096 };
bool fault_path_of(int fd, char to[FAULT_PATH_MAX]);
bool fault_path_at(int directory, const char *name, char to[FAULT_PATH_MAX]);

/* A watched regular file behind a descriptor? Then its inode number and size. */
bool fault_file(int fd, uint64_t *inode, uint64_t *size);

/* Sequence of the newest record. */
uint64_t fault_sequence(void);

/* Append a record of a write or truncation: the bytes of [offset, offset + length) as they are. */
void fault_note_content(enum fault_record type, int fd, uint64_t inode, uint64_t offset,
                        uint64_t length, uint64_t size);
/* Append a record of a sync: what came up to `sequence` is durable. */
void fault_note_sync(enum fault_record type, uint64_t inode, const char *path, uint64_t sequence);
/* Append a record of names; kept may be empty. */
void fault_note_name(enum fault_record type, uint64_t inode, const char *path, const char *other,
                     const char *kept);

/* Keep a file that is about to lose its last name: a hard link beside the journal. to is empty if
 * there was no file. */
void fault_keep(const char *path, char to[FAULT_PATH_MAX]);

#endif
