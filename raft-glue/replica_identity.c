#include "raft-glue/replica_identity.h"

#include "common/base/bytes.h"

#include <assert.h>

enum { IDENTITY_VERSION = 1 };

static const char file_base[] = "identity";

static_assert((int)REPLICA_IDENTITY_RECORD_SIZE <= (int)TWIN_FILE_RECORD_MAX,
              "an identity is one twin record");

static void encode(const struct replica_identity *identity, uint8_t *to)
{
    memset(to, 0, REPLICA_IDENTITY_RECORD_SIZE);
    le64_put(to, identity->number);
    le32_put(to + 8, identity->begun ? 1 : 0);
    le32_put(to + 12, (uint32_t)identity->count);
    for (size_t i = 0; i < identity->count; i++) {
        le64_put(to + 16 + 16 * i, identity->counted[i].member);
        le64_put(to + 24 + 16 * i, identity->counted[i].number);
    }
}

static bool decode(const uint8_t *from, struct replica_identity *identity)
{
    uint32_t count = le32_get(from + 12);
    *identity =
        (struct replica_identity){.number = le64_get(from), .begun = le32_get(from + 8) != 0};
    if (identity->number == 0 || count > MEMBERS_MAX) {
        return false;
    }
    identity->count = count;
    for (size_t i = 0; i < identity->count; i++) {
        identity->counted[i].member = le64_get(from + 16 + 16 * i);
        identity->counted[i].number = le64_get(from + 24 + 16 * i);
    }
    return true;
}

enum status replica_identity_open(const struct directory *directory, uint64_t fresh,
                                  struct replica_identity *identity)
{
    uint8_t record[REPLICA_IDENTITY_RECORD_SIZE];
    struct twin_file twin;
    enum status status =
        twin_file_open(&twin, directory, file_base, IDENTITY_VERSION, record, sizeof record);
    if (status == STATUS_OK) {
        twin_file_close(&twin);
        if (decode(record, identity)) {
            return STATUS_OK;
        }
        status = STATUS_CORRUPT;
    }
    if (status != STATUS_NOT_FOUND && status != STATUS_CORRUPT) {
        return status;
    }
    ASSERT(fresh != 0);
    *identity = (struct replica_identity){.number = fresh};
    return replica_identity_store(directory, identity);
}

enum status replica_identity_store(const struct directory *directory,
                                   const struct replica_identity *identity)
{
    uint8_t record[REPLICA_IDENTITY_RECORD_SIZE];
    struct twin_file twin;
    encode(identity, record);
    uint8_t before[REPLICA_IDENTITY_RECORD_SIZE];
    enum status status =
        twin_file_open(&twin, directory, file_base, IDENTITY_VERSION, before, sizeof before);
    if (status == STATUS_OK) {
        status = twin_file_write(&twin, record);
        twin_file_close(&twin);
        return status;
    }
    if (status != STATUS_NOT_FOUND && status != STATUS_CORRUPT) {
        return status;
    }
    status = twin_file_create(&twin, directory, file_base, IDENTITY_VERSION, record, sizeof record);
    if (status == STATUS_OK) {
        twin_file_close(&twin);
    }
    return status;
}

bool replica_identity_counts(const struct replica_identity *identity, uint64_t member,
                             uint64_t number)
{
    for (size_t i = 0; i < identity->count; i++) {
        if (identity->counted[i].member == member && identity->counted[i].number == number) {
            return true;
        }
    }
    return false;
}
