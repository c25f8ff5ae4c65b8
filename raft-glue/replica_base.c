#include "raft-glue/replica_base.h"

#include "common/base/bytes.h"
#include "raft-glue/replica_configuration.h"

#include <assert.h>

enum { BASE_VERSION = 1 };

static_assert((int)REPLICA_BASE_RECORD_SIZE <= (int)TWIN_FILE_RECORD_MAX,
              "a base is one twin record");

enum status replica_base_decode(const uint8_t record[REPLICA_BASE_RECORD_SIZE],
                                struct replica_base *base)
{
    base->index = le64_get(record);
    base->term = le64_get(record + 8);
    base->change_index = le64_get(record + 16);
    base->change_size = le32_get(record + 24);
    if (base->index == 0 || base->term == 0 || base->change_index == 0 ||
        base->change_index > base->index || base->change_size > REPLICA_BASE_CHANGE_MAX) {
        return STATUS_CORRUPT;
    }
    memcpy(base->change, record + 28, REPLICA_BASE_CHANGE_MAX);
    return configuration_valid(replica_base_change(base)) ? STATUS_OK : STATUS_CORRUPT;
}

enum status replica_base_open(struct replica_base_file *file, const struct directory *directory,
                              struct replica_base *base)
{
    uint8_t record[REPLICA_BASE_RECORD_SIZE];
    *file = (struct replica_base_file){.directory = *directory};
    *base = (struct replica_base){0};
    enum status status =
        twin_file_open(&file->twin, directory, "base", BASE_VERSION, record, sizeof record);
    if (status == STATUS_NOT_FOUND) {
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        file->exists = true;
        status = replica_base_decode(record, base);
    }
    if (status != STATUS_OK) {
        *base = (struct replica_base){0};
        replica_base_close(file);
        file->directory = *directory;
    }
    return status;
}

void replica_base_encode(const struct replica_base *base, uint8_t to[REPLICA_BASE_RECORD_SIZE])
{
    ASSERT(base->change_size <= REPLICA_BASE_CHANGE_MAX);
    memset(to, 0, REPLICA_BASE_RECORD_SIZE);
    le64_put(to, base->index);
    le64_put(to + 8, base->term);
    le64_put(to + 16, base->change_index);
    le32_put(to + 24, base->change_size);
    memcpy(to + 28, base->change, base->change_size);
}

enum status replica_base_store(struct replica_base_file *file, const struct replica_base *base)
{
    uint8_t record[REPLICA_BASE_RECORD_SIZE];
    replica_base_encode(base, record);
    if (file->exists) {
        return twin_file_write(&file->twin, record);
    }
    enum status status = twin_file_create(&file->twin, &file->directory, "base", BASE_VERSION,
                                          record, sizeof record);
    file->exists = status == STATUS_OK;
    return status;
}

void replica_base_close(struct replica_base_file *file)
{
    if (file->exists) {
        twin_file_close(&file->twin);
    }
    *file = (struct replica_base_file){0};
}
