#include "raft-glue/replica_hello.h"

#include "common/base/crc32c.h"

enum { HELLO_MAGIC = 0x68514D52, ANSWER_MAGIC = 0x61514D52 }; // "RMQh", "RMQa"
enum { HELLO_SIZE_ANY = 16, FLAG_DRAINING = 1 };              // Of any version.

const char *hello_answer_text(enum hello_answer answer)
{
    static const char *const texts[] = {
        [HELLO_WELCOME] = "welcome",
        [HELLO_OTHER_VERSION] = "it speaks another version of the protocol",
        [HELLO_OTHER_CLUSTER] = "it belongs to another cluster",
        [HELLO_OTHER_GROUP] = "it belongs to another broker group",
        [HELLO_OTHER_RECEIVER] = "it has another id than the one configured for this address",
        [HELLO_UNKNOWN_SENDER] = "it does not know our id",
        [HELLO_OTHER_MEMBERS] = "it is configured with other members",
        [HELLO_REMOVED] = "this replica was removed from the group",
        [HELLO_NOT_READY] = "it is not ready",
        [HELLO_NOT_LEADER] = "it does not lead",
        [HELLO_BUSY] = "it is giving copies to others",
    };
    return (size_t)answer < sizeof texts / sizeof *texts ? texts[answer] : "unknown reason";
}

uint64_t hello_members_hash(const uint64_t *ids, size_t count)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < count; i++) {
        for (unsigned shift = 0; shift < 64; shift += 8) {
            hash = (hash ^ ((ids[i] >> shift) & 0xFF)) * UINT64_C(0x100000001B3);
        }
    }
    return hash;
}

static void put_host(uint8_t *to, struct host host)
{
    le32_put(to, host.address);
    le16_put(to + 4, (uint16_t)host.port);
}

static struct host get_host(const uint8_t *from)
{
    return (struct host){.address = le32_get(from), .port = le16_get(from + 4)};
}

void hello_encode(const struct hello *hello, struct buf *out)
{
    ASSERT(hello->cluster.size <= NAME_MAX_SIZE && hello->group.size <= NAME_MAX_SIZE);
    size_t size = HELLO_SIZE_MIN + hello->cluster.size + hello->group.size;
    uint8_t *to = buf_extend(out, size);
    memset(to, 0, HELLO_SIZE_MIN);
    le32_put(to, HELLO_MAGIC);
    le16_put(to + 8, hello->version);
    le16_put(to + 10, (uint16_t)size);
    le16_put(to + 12, (uint16_t)hello->kind);
    le16_put(to + 14, hello->draining ? FLAG_DRAINING : 0);
    le64_put(to + 16, hello->sender);
    le64_put(to + 24, hello->receiver);
    le64_put(to + 32, hello->members);
    le64_put(to + 40, hello->identity);
    le64_put(to + 48, hello->change);
    put_host(to + 56, hello->raft_host);
    put_host(to + 62, hello->client_host);
    to[68] = (uint8_t)hello->cluster.size;
    to[69] = (uint8_t)hello->group.size;
    memcpy(to + HELLO_SIZE_MIN, hello->cluster.data, hello->cluster.size);
    memcpy(to + HELLO_SIZE_MIN + hello->cluster.size, hello->group.data, hello->group.size);
    le32_put(to + 4, crc32c(0, to + 8, size - 8));
}

enum status hello_decode(struct slice bytes, struct hello *hello, size_t *size)
{
    if (bytes.size >= 4 && le32_get(bytes.data) != HELLO_MAGIC) {
        return STATUS_MALFORMED;
    }
    if (bytes.size < 12) {
        return STATUS_PENDING;
    }
    *size = le16_get(bytes.data + 10);
    if (*size < HELLO_SIZE_ANY || *size > HELLO_SIZE_MAX) {
        return STATUS_MALFORMED;
    }
    if (bytes.size < *size) {
        return STATUS_PENDING;
    }
    if (le32_get(bytes.data + 4) != crc32c(0, bytes.data + 8, *size - 8)) {
        return STATUS_MALFORMED;
    }
    *hello = (struct hello){.version = le16_get(bytes.data + 8)};
    if (hello->version != HELLO_VERSION) {
        return STATUS_OK;
    }
    if (*size < HELLO_SIZE_MIN ||
        (size_t)HELLO_SIZE_MIN + bytes.data[68] + bytes.data[69] != *size ||
        le16_get(bytes.data + 12) > HELLO_FETCH) {
        return STATUS_MALFORMED;
    }
    hello->kind = (enum hello_kind)le16_get(bytes.data + 12);
    hello->draining = (le16_get(bytes.data + 14) & FLAG_DRAINING) != 0;
    hello->sender = le64_get(bytes.data + 16);
    hello->receiver = le64_get(bytes.data + 24);
    hello->members = le64_get(bytes.data + 32);
    hello->identity = le64_get(bytes.data + 40);
    hello->change = le64_get(bytes.data + 48);
    hello->raft_host = get_host(bytes.data + 56);
    hello->client_host = get_host(bytes.data + 62);
    hello->cluster = slice_of(bytes.data + HELLO_SIZE_MIN, bytes.data[68]);
    hello->group = slice_of(bytes.data + HELLO_SIZE_MIN + bytes.data[68], bytes.data[69]);
    return STATUS_OK;
}

void hello_answer_encode(enum hello_answer answer, uint8_t to[HELLO_ANSWER_SIZE])
{
    memset(to, 0, HELLO_ANSWER_SIZE);
    le32_put(to, ANSWER_MAGIC);
    le16_put(to + 8, HELLO_VERSION);
    le16_put(to + 10, (uint16_t)answer);
    le32_put(to + 4, crc32c(0, to + 8, HELLO_ANSWER_SIZE - 8));
}

enum status hello_answer_decode(struct slice bytes, enum hello_answer *answer)
{
    if (bytes.size < HELLO_ANSWER_SIZE || le32_get(bytes.data) != ANSWER_MAGIC ||
        le32_get(bytes.data + 4) != crc32c(0, bytes.data + 8, HELLO_ANSWER_SIZE - 8)) {
        return STATUS_MALFORMED;
    }
    *answer = le16_get(bytes.data + 8) == HELLO_VERSION
                  ? (enum hello_answer)le16_get(bytes.data + 10)
                  : HELLO_OTHER_VERSION;
    return STATUS_OK;
}
