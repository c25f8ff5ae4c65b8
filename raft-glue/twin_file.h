/* A small record that survives a crash at any moment, and damage to either of its two files.
 *
 * Each file holds the record with a sequence number and a checksum. A write goes first to the file
 * with the older one, so that being torn it destroys nothing that was current, then to the other: a
 * record from before must not come back when the current one is damaged (a vote would be forgotten,
 * a cut of the log repeated). The newer valid one counts. Blocking; one thread at a time.
 *
 *   at  size  field        (little-endian)
 *    0     4  magic        "RMQ2"
 *    4     4  crc          CRC-32C of bytes [8, 24 + size)
 *    8     8  sequence
 *   16     4  size         of the record
 *   20     4  version      of the record's meaning
 *   24        record */
#ifndef RAFT_GLUE_TWIN_FILE_H
#define RAFT_GLUE_TWIN_FILE_H

#include "raft-glue/directory.h"

enum { TWIN_FILE_RECORD_MAX = 768 };

struct twin_file {
    struct directory directory; /* Borrowed. */
    char name[32];
    uint32_t version;
    uint32_t record_size;
    uint64_t sequence; /* Of the newest record; 0: none yet. */
    struct file *files[2];
};

/* Open "<name>.0" and "<name>.1" and read the current record into `record`. It is durable, in
 * both files: what a crash or damage left of one is made good.
 *
 * Errors (nothing is open):
 *   STATUS_NOT_FOUND  neither file exists, or both are empty
 *   STATUS_CORRUPT    a file has content, but no valid record is left
 *   STATUS_REFUSED    the records are whole, but another version's
 *   STATUS_IO, STATUS_DISK_FULL  the disk refuses */
WARN_UNUSED enum status twin_file_open(struct twin_file *twin, const struct directory *directory,
                                       const char *name, uint32_t version, void *record,
                                       uint32_t record_size);

/* Make both files anew, both with this record, durable. Errors: STATUS_IO, STATUS_DISK_FULL. */
WARN_UNUSED enum status twin_file_create(struct twin_file *twin, const struct directory *directory,
                                         const char *name, uint32_t version, const void *record,
                                         uint32_t record_size);

/* Replace the record; durable when it returns OK. Errors: STATUS_IO, STATUS_DISK_FULL (the record
 * before, or this one, is there). */
WARN_UNUSED enum status twin_file_write(struct twin_file *twin, const void *record);

/* Accepts a zeroed object. */
void twin_file_close(struct twin_file *twin);

#endif
