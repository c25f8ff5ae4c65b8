#include "raft-glue/twin_file.h"

#include "common/base/bytes.h"
#include "common/base/crc32c.h"

#include <stdio.h>

enum { TWIN_MAGIC = 0x32514D52, TWIN_HEADER_SIZE = 24 }; // "RMQ2"

static void init(struct twin_file *twin, const struct directory *directory, const char *name,
                 uint32_t version, uint32_t record_size)
{
    ASSERT(record_size <= TWIN_FILE_RECORD_MAX);
    *twin = (struct twin_file){
        .directory = *directory,
        .version = version,
        .record_size = record_size,
    };
    snprintf(twin->name, sizeof twin->name, "%s", name);
}

static void file_name(const struct twin_file *twin, unsigned which, char to[DIRECTORY_NAME_MAX])
{
    snprintf(to, DIRECTORY_NAME_MAX, "%s.%u", twin->name, which);
}

static enum status write_to(struct twin_file *twin, uint64_t sequence, const void *record)
{
    uint8_t bytes[TWIN_HEADER_SIZE + TWIN_FILE_RECORD_MAX];
    size_t size = TWIN_HEADER_SIZE + twin->record_size;
    le32_put(bytes, TWIN_MAGIC);
    le64_put(bytes + 8, sequence);
    le32_put(bytes + 16, twin->record_size);
    le32_put(bytes + 20, twin->version);
    memcpy(bytes + TWIN_HEADER_SIZE, record, twin->record_size);
    le32_put(bytes + 4, crc32c(0, bytes + 8, size - 8));
    struct file *file = twin->files[sequence % 2];
    struct iovec part = {.iov_base = bytes, .iov_len = size};
    enum status status = directory_write(&twin->directory, file, 0, &part, 1);
    return status == STATUS_OK ? directory_sync(&twin->directory, file) : status;
}

static enum status write_next(struct twin_file *twin, const void *record)
{
    enum status status = write_to(twin, twin->sequence + 1, record);
    if (status == STATUS_OK) {
        twin->sequence++;
    }
    return status;
}

/* Sequence of the record in a file, 0 if it holds no valid one. Even ones belong into the first,
 * odd ones into the second: what a disk misplaced does not count, or the next write would go over
 * the record that is current. */
static uint64_t read_from(struct twin_file *twin, unsigned which, uint8_t *record)
{
    struct file *file = twin->files[which];
    uint8_t bytes[TWIN_HEADER_SIZE + TWIN_FILE_RECORD_MAX];
    size_t size = TWIN_HEADER_SIZE + twin->record_size;
    if (directory_read(&twin->directory, file, 0, bytes, size) != STATUS_OK) {
        return 0;
    }
    if (le32_get(bytes) != TWIN_MAGIC || le32_get(bytes + 16) != twin->record_size ||
        le32_get(bytes + 20) != twin->version ||
        le32_get(bytes + 4) != crc32c(0, bytes + 8, size - 8)) {
        return 0;
    }
    uint64_t sequence = le64_get(bytes + 8);
    if (sequence % 2 != which) {
        return 0;
    }
    memcpy(record, bytes + TWIN_HEADER_SIZE, twin->record_size);
    return sequence;
}

/* Does a file hold a whole record of another meaning or size: one that another version of raftmq
 * wrote? Then nothing is damaged. */
static bool is_foreign(struct twin_file *twin, unsigned which)
{
    uint8_t bytes[TWIN_HEADER_SIZE + TWIN_FILE_RECORD_MAX];
    struct file *file = twin->files[which];
    if (directory_read(&twin->directory, file, 0, bytes, TWIN_HEADER_SIZE) != STATUS_OK ||
        le32_get(bytes) != TWIN_MAGIC) {
        return false;
    }
    uint32_t size = le32_get(bytes + 16);
    bool other = size != twin->record_size || le32_get(bytes + 20) != twin->version;
    return other && size <= TWIN_FILE_RECORD_MAX &&
           directory_read(&twin->directory, file, 0, bytes, TWIN_HEADER_SIZE + size) == STATUS_OK &&
           le32_get(bytes + 4) == crc32c(0, bytes + 8, TWIN_HEADER_SIZE + size - 8);
}

/* Open both files, remaking one that is missing. *content: does any file hold bytes? */
static enum status open_files(struct twin_file *twin, bool *content)
{
    *content = false;
    bool missing[2] = {false, false};
    for (unsigned i = 0; i < 2; i++) {
        char name[DIRECTORY_NAME_MAX];
        file_name(twin, i, name);
        enum status status = directory_open(&twin->directory, name, &twin->files[i]);
        missing[i] = status == STATUS_NOT_FOUND;
        if (status != STATUS_OK && !missing[i]) {
            return status;
        }
        uint64_t size = 0;
        if (!missing[i]) {
            status = directory_file_size(&twin->directory, twin->files[i], &size);
            if (status != STATUS_OK) {
                return status;
            }
        }
        *content = *content || size > 0;
    }
    if (missing[0] && missing[1]) {
        return STATUS_NOT_FOUND;
    }
    for (unsigned i = 0; i < 2; i++) {
        char name[DIRECTORY_NAME_MAX];
        file_name(twin, i, name);
        if (missing[i]) {
            enum status status = directory_create(&twin->directory, name, 0, &twin->files[i]);
            status = status == STATUS_OK ? directory_sync_names(&twin->directory) : status;
            if (status != STATUS_OK) {
                return status;
            }
        }
    }
    return STATUS_OK;
}

/* A process that was killed may have left what was read written only: whoever goes by it must find
 * it again. */
static enum status sync_found(struct twin_file *twin)
{
    enum status status = directory_sync_names(&twin->directory);
    for (unsigned i = 0; i < 2 && status == STATUS_OK; i++) {
        status = directory_sync(&twin->directory, twin->files[i]);
    }
    return status;
}

/* The file beside the one that was read holds nothing, or a record from before: a write was
 * interrupted, or it is damaged. Now both hold the same again. */
static enum status write_other(struct twin_file *twin, const uint8_t *record)
{
    enum status status = sync_found(twin);
    return status == STATUS_OK ? write_next(twin, record) : status;
}

enum status twin_file_open(struct twin_file *twin, const struct directory *directory,
                           const char *name, uint32_t version, void *record, uint32_t record_size)
{
    init(twin, directory, name, version, record_size);
    bool content = false;
    enum status status = open_files(twin, &content);
    if (status == STATUS_OK) {
        uint8_t records[2][TWIN_FILE_RECORD_MAX];
        uint64_t first = read_from(twin, 0, records[0]);
        uint64_t second = read_from(twin, 1, records[1]);
        if (first == 0 && second == 0) {
            bool foreign = is_foreign(twin, 0) || is_foreign(twin, 1);
            status = foreign ? STATUS_REFUSED : content ? STATUS_CORRUPT : STATUS_NOT_FOUND;
        } else {
            twin->sequence = first > second ? first : second;
            memcpy(record, records[first > second ? 0 : 1], record_size);
            bool both =
                first != 0 && second != 0 && memcmp(records[0], records[1], record_size) == 0;
            status = both ? sync_found(twin) : write_other(twin, record);
        }
    }
    if (status != STATUS_OK) {
        twin_file_close(twin);
    }
    return status;
}

enum status twin_file_create(struct twin_file *twin, const struct directory *directory,
                             const char *name, uint32_t version, const void *record,
                             uint32_t record_size)
{
    init(twin, directory, name, version, record_size);
    enum status status = STATUS_OK;
    for (unsigned i = 0; i < 2 && status == STATUS_OK; i++) {
        char text[DIRECTORY_NAME_MAX];
        file_name(twin, i, text);
        status = directory_create(directory, text, 0, &twin->files[i]);
    }
    if (status == STATUS_OK) {
        status = twin_file_write(twin, record);
    }
    if (status == STATUS_OK) {
        status = directory_sync_names(directory);
    }
    if (status != STATUS_OK) {
        twin_file_close(twin);
    }
    return status;
}

enum status twin_file_write(struct twin_file *twin, const void *record)
{
    enum status status = write_next(twin, record);
    return status == STATUS_OK ? write_next(twin, record) : status;
}

void twin_file_close(struct twin_file *twin)
{
    for (unsigned i = 0; i < 2; i++) {
        if (twin->files[i] != NULL) {
            directory_close_file(&twin->directory, twin->files[i]);
            twin->files[i] = NULL;
        }
    }
}
