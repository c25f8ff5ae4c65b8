#include "raft-glue/log_mark.h"

#include "common/base/bytes.h"

#include <stdio.h>

enum { LOG_MARK_SIZE = 24, LOG_MARK_VERSION = 1 };

static const char file_base[] = "durable";

static void encode(const struct log_mark *mark, uint8_t to[LOG_MARK_SIZE])
{
    le64_put(to, mark->index);
    le64_put(to + 8, mark->term);
    le64_put(to + 16, mark->position);
}

enum status log_mark_open(struct log_mark_file *file, const struct directory *directory,
                          struct log_mark *mark)
{
    *file = (struct log_mark_file){.directory = directory};
    *mark = (struct log_mark){0};
    uint8_t record[LOG_MARK_SIZE];
    enum status status =
        twin_file_open(&file->twin, directory, file_base, LOG_MARK_VERSION, record, sizeof record);
    if (status == STATUS_NOT_FOUND || status == STATUS_CORRUPT) {
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        file->made = true;
        mark->index = le64_get(record);
        mark->term = le64_get(record + 8);
        mark->position = le64_get(record + 16);
    }
    return status;
}

/* One of the files may hold the mark already, which nobody could lower: there is no room for the
 * other. */
static enum status unmake(const struct log_mark_file *file)
{
    enum status status = STATUS_OK;
    for (unsigned i = 0; i < 2 && status == STATUS_OK; i++) {
        char name[DIRECTORY_NAME_MAX];
        snprintf(name, sizeof name, "%s.%u", file_base, i);
        status = directory_remove(file->directory, name);
        status = status == STATUS_NOT_FOUND ? STATUS_OK : status;
    }
    return status == STATUS_OK ? directory_sync_names(file->directory) : status;
}

enum status log_mark_store(struct log_mark_file *file, const struct log_mark *mark)
{
    uint8_t record[LOG_MARK_SIZE];
    encode(mark, record);
    if (file->made) {
        return twin_file_write(&file->twin, record);
    }
    enum status status = twin_file_create(&file->twin, file->directory, file_base, LOG_MARK_VERSION,
                                          record, sizeof record);
    file->made = status == STATUS_OK;
    if (status != STATUS_DISK_FULL) {
        return status;
    }
    enum status unmade = unmake(file);
    return unmade == STATUS_OK ? STATUS_DISK_FULL : unmade;
}

enum status log_mark_lower(struct log_mark_file *file, const struct log_mark *mark)
{
    return file->made ? log_mark_store(file, mark) : STATUS_OK;
}

void log_mark_close(struct log_mark_file *file)
{
    if (file->made) {
        twin_file_close(&file->twin);
    }
    file->made = false;
}
