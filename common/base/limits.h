/* Every bound of the system, and how they relate.
 *
 * What a peer can size is checked against one of these before memory is taken. Sizes in bytes. */
#ifndef COMMON_BASE_LIMITS_H
#define COMMON_BASE_LIMITS_H

#include <assert.h>

/* With RAFTMQ_TINY_LIMITS, in the simulator's build alone, little work fills a log of many
 * segments, and reaches what takes a long life or much load otherwise. */
#ifdef RAFTMQ_TINY_LIMITS
#define LIMITS_PICK(usual, tiny) tiny
#else
#define LIMITS_PICK(usual, tiny) usual
#endif

enum {
    /* Remoting frame, with its 4 length bytes (NettyDecoder's frameMaxLength). */
    FRAME_SIZE_MAX = 16 * 1024 * 1024,
    /* Remoting header. The wire allows 24 bits; properties bound what a client can need. */
    HEADER_SIZE_MAX = 256 * 1024,
    /* Header fields of one command; the widest real one, SendMessageRequestHeader, has 14. */
    HEADER_FIELDS_MAX = 64,

    /* Message body (broker.conf maxMessageSize, default). */
    MESSAGE_BODY_MAX = LIMITS_PICK(4 * 1024, 8) * 1024,
    /* Property string: an int16 length in the stored message. */
    MESSAGE_PROPERTIES_MAX = 32767,
    /* A whole stored message. */
    MESSAGE_SIZE_MAX = MESSAGE_BODY_MAX + LIMITS_PICK(64, 36) * 1024,
    /* Messages in one SEND_BATCH_MESSAGE. */
    BATCH_MESSAGES_MAX = 4096,

    TOPIC_NAME_MAX = 127,
    /* %RETRY%group and %DLQ%group. */
    TOPIC_NAME_DERIVED_MAX = 255,
    GROUP_NAME_MAX = 255,
    CLIENT_ID_MAX = 255,
    KEY_SIZE_MAX = 1024,
    QUEUES_PER_TOPIC_MAX = 1024,
    TOPICS_MAX = 65536,
    /* Of all topics of one broker group, and offsets of all consumer groups in it: 128 MB each. */
    QUEUES_TOTAL_MAX = 1024 * 1024,
    OFFSETS_TOTAL_MAX = 16 * 1024 * 1024,
    GROUPS_MAX = 65536,

    /* One Raft log entry: batches are closed at the target, a single large message may exceed it.
     */
    ENTRY_SIZE_TARGET = LIMITS_PICK(512, 32) * 1024,
    ENTRY_SIZE_MAX = MESSAGE_SIZE_MAX + LIMITS_PICK(256, 16) * 1024,
    /* A log segment; frames never straddle two, so positions follow from sizes alone. */
    SEGMENT_SIZE = LIMITS_PICK(64 * 1024, 256) * 1024,

    /* Replicas of one group and groups of one node. */
    MEMBERS_MAX = 9,
    GROUPS_PER_NODE_MAX = 64,
};

static_assert(MESSAGE_SIZE_MAX > MESSAGE_BODY_MAX + MESSAGE_PROPERTIES_MAX + 2 * 256,
              "a largest message has room for its fields");
static_assert(FRAME_SIZE_MAX > MESSAGE_SIZE_MAX + HEADER_SIZE_MAX, "a frame carries any message");
static_assert(ENTRY_SIZE_MAX > MESSAGE_SIZE_MAX, "an entry carries any message");
static_assert(SEGMENT_SIZE > 4 * ENTRY_SIZE_MAX, "a segment wastes little at its end");
static_assert(HEADER_SIZE_MAX > 6 * MESSAGE_PROPERTIES_MAX, "JSON may escape every property byte");

#endif
