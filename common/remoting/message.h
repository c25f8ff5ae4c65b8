/* The stored message: RocketMQ's layout, which is also what clients decode from a pull.
 *
 * Fixed-place fields are patched in place when a message is read (queue offset, physical offset,
 * sysFlag, store time, store host), so the bytes in the log are written once.
 * All integers big-endian. IPv4 hosts only: an IPv6 peer is stored as 0.0.0.0 (docs/limits.md).
 * Source: MessageDecoder, MessageExtEncoder, MessageSysFlag, MessageConst, MessageId. */
#ifndef COMMON_REMOTING_MESSAGE_H
#define COMMON_REMOTING_MESSAGE_H

#include "common/base/buf.h"
#include "common/base/status.h"

enum {
    MESSAGE_MAGIC_V1 = (int32_t)0xDAA320A7,
    MESSAGE_MAGIC_V2 = (int32_t)0xDAA320AB, /* Two-byte topic length; topics over 127 bytes only. */
    MESSAGE_FIXED_SIZE = 88,                /* Everything before the body. */
    MESSAGE_SIZE_MIN = 91,
    OFFSET_MESSAGE_ID_SIZE = 32, /* Hex characters. */
};

/* Offsets of the fields with a fixed place. */
enum message_at {
    MESSAGE_AT_SIZE = 0,
    MESSAGE_AT_MAGIC = 4,
    MESSAGE_AT_BODY_CRC = 8,
    MESSAGE_AT_QUEUE_ID = 12,
    MESSAGE_AT_FLAG = 16,
    MESSAGE_AT_QUEUE_OFFSET = 20,
    MESSAGE_AT_PHYSICAL_OFFSET = 28,
    MESSAGE_AT_SYS_FLAG = 36,
    MESSAGE_AT_BORN_TIME = 40,
    MESSAGE_AT_BORN_HOST = 48,
    MESSAGE_AT_STORE_TIME = 56,
    MESSAGE_AT_STORE_HOST = 64,
    MESSAGE_AT_RECONSUME_TIMES = 72,
    MESSAGE_AT_PREPARED_OFFSET = 76,
    MESSAGE_AT_BODY_SIZE = 84,
};

enum {
    SYS_FLAG_COMPRESSED = 0x1,
    SYS_FLAG_TRANSACTION_MASK = 0xC,
    SYS_FLAG_PREPARED = 0x4,
    SYS_FLAG_COMMIT = 0x8,
    SYS_FLAG_ROLLBACK = 0xC,
    SYS_FLAG_BORN_HOST_V6 = 0x10,
    SYS_FLAG_STORE_HOST_V6 = 0x20,
    SYS_FLAG_NEED_UNWRAP = 0x40,
    SYS_FLAG_INNER_BATCH = 0x80,
};

/* IPv4 address (host byte order) and port. */
struct host {
    uint32_t address;
    uint32_t port;
};

struct message {
    int32_t magic; /* 0 on encode: chosen by the topic's length. */
    uint32_t body_crc;
    int32_t queue_id;
    int32_t flag;
    int64_t queue_offset;
    int64_t physical_offset;
    int32_t sys_flag;
    int64_t born_time_ms;
    struct host born_host;
    int64_t store_time_ms;
    struct host store_host;
    int32_t reconsume_times;
    int64_t prepared_offset;
    struct slice body;
    struct slice topic;
    struct slice properties; /* The property string, see properties.h. */
};

/* Size of a message when encoded. */
size_t message_size(const struct message *message);

/* Append a message; body_crc is computed here. The caller has checked sizes against limits.h. */
void message_encode(const struct message *message, struct buf *out);

/* Decode the message at the start of bytes; *size is what it takes. Borrows from bytes.
 * Errors: STATUS_MALFORMED  truncated, wrong magic or contradictory lengths. The CRC is not looked
 *                           at (frames of the log have their own). */
WARN_UNUSED enum status message_decode(struct slice bytes, struct message *message, size_t *size);

/* Java's CRC-32 of a body, masked to 31 bits (UtilAll.crc32). */
uint32_t message_body_crc(struct slice body);

/* Java String.hashCode() over UTF-16 code units of UTF-8 text; 0 for empty. */
int32_t java_hash_code(struct slice text);

/* offsetMsgId: 32 upper-case hex digits into id (not NUL-terminated), and back.
 * Errors: STATUS_MALFORMED  not 32 hex digits. */
void offset_message_id_format(struct host host, int64_t physical_offset,
                              char id[OFFSET_MESSAGE_ID_SIZE]);
WARN_UNUSED enum status offset_message_id_parse(struct slice id, struct host *host,
                                                int64_t *physical_offset);

/* "10.1.2.3:10911" to host. Errors: STATUS_MALFORMED. */
WARN_UNUSED enum status host_parse(struct slice text, struct host *host);
/* Appends "10.1.2.3:10911". */
void host_format(struct host host, struct buf *out);

#endif
