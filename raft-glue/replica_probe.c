#include "raft-glue/replica_probe.h"

#include "common/base/crc32c.h"
#include "raft-glue/replica_configuration.h"

enum { PROBE_MAGIC = 0x70514D52 }; // "RMQp"

enum probe_flag { FLAG_BLANK = 1, FLAG_COUNTED = 2, FLAG_LEADER = 4 };

void probe_encode(const struct probe *probe, struct buf *out)
{
    ASSERT(probe->change.size <= REPLICA_BASE_CHANGE_MAX);
    size_t size = PROBE_SIZE_MIN + probe->change.size;
    uint8_t *to = buf_extend(out, size);
    le32_put(to, PROBE_MAGIC);
    le16_put(to + 8, PROBE_VERSION);
    le16_put(to + 10, (uint16_t)size);
    le16_put(to + 12, (uint16_t)probe->answer);
    le16_put(to + 14,
             (uint16_t)((probe->blank ? FLAG_BLANK : 0) | (probe->counted ? FLAG_COUNTED : 0) |
                        (probe->leader ? FLAG_LEADER : 0)));
    le64_put(to + 16, probe->identity);
    le64_put(to + 24, probe->term);
    le64_put(to + 32, probe->last_index);
    le64_put(to + 40, probe->leader_id);
    le64_put(to + 48, probe->change_index);
    le16_put(to + 56, (uint16_t)probe->change.size);
    if (probe->change.size > 0) {
        memcpy(to + PROBE_SIZE_MIN, probe->change.data, probe->change.size);
    }
    le32_put(to + 4, crc32c(0, to + 8, size - 8));
}

enum status probe_decode(struct slice bytes, struct probe *probe)
{
    if (bytes.size >= 4 && le32_get(bytes.data) != PROBE_MAGIC) {
        return STATUS_MALFORMED;
    }
    if (bytes.size < 12) {
        return STATUS_PENDING;
    }
    size_t size = le16_get(bytes.data + 10);
    if (size < PROBE_SIZE_MIN || size > PROBE_SIZE_MAX) {
        return STATUS_MALFORMED;
    }
    if (bytes.size < size) {
        return STATUS_PENDING;
    }
    if (bytes.size > size || le32_get(bytes.data + 4) != crc32c(0, bytes.data + 8, size - 8) ||
        le16_get(bytes.data + 8) != PROBE_VERSION ||
        le16_get(bytes.data + 56) != size - PROBE_SIZE_MIN) {
        return STATUS_MALFORMED;
    }
    uint16_t flags = le16_get(bytes.data + 14);
    *probe = (struct probe){
        .answer = (enum hello_answer)le16_get(bytes.data + 12),
        .blank = (flags & FLAG_BLANK) != 0,
        .counted = (flags & FLAG_COUNTED) != 0,
        .leader = (flags & FLAG_LEADER) != 0,
        .identity = le64_get(bytes.data + 16),
        .term = le64_get(bytes.data + 24),
        .last_index = le64_get(bytes.data + 32),
        .leader_id = le64_get(bytes.data + 40),
        .change_index = le64_get(bytes.data + 48),
        .change = slice_from(bytes, PROBE_SIZE_MIN),
    };
    bool valid = probe->change.size == 0 || configuration_valid(probe->change);
    return valid ? STATUS_OK : STATUS_MALFORMED;
}
