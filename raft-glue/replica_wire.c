#include "raft-glue/replica_wire.h"

#include "common/base/bytes.h"
#include "common/base/crc32c.h"
#include "raft-glue/replica_configuration.h"

enum { WIRE_MAGIC = 0x6D514D52 }; // "RMQm"

enum wire_flag { FLAG_PRE_VOTE = 1, FLAG_DISRUPT_LEADER = 2, FLAG_VOTE_GRANTED = 4 };

enum wire_at {
    AT_MAGIC = 0,
    AT_CRC = 4,
    AT_BODY_SIZE = 8,
    AT_TYPE = 12,
    AT_VERSION = 13,
    AT_FLAGS = 14,
    AT_TERM = 16,
    AT_INDEX = 24,
    AT_INDEX_TERM = 32,
    AT_OTHER = 40,
    AT_POSITION = 48,
    AT_COUNT = 56,
    AT_FEATURES = 60,
    AT_CAPACITY = 62,
};

struct fields {
    uint8_t version;
    uint16_t flags;
    uint64_t term;
    uint64_t index;
    uint64_t index_term;
    uint64_t other;
    uint32_t count;
    uint16_t features;
    uint16_t capacity;
};

static struct fields fields_of(const struct raft_message *message)
{
    switch (message->type) {
    case RAFT_APPEND_ENTRIES: {
        const struct raft_append_entries *in = &message->append_entries;
        return (struct fields){.version = in->version,
                               .term = in->term,
                               .index = in->prev_log_index,
                               .index_term = in->prev_log_term,
                               .other = in->leader_commit,
                               .count = in->n_entries};
    }
    case RAFT_APPEND_ENTRIES_RESULT: {
        const struct raft_append_entries_result *in = &message->append_entries_result;
        return (struct fields){.version = in->version,
                               .term = in->term,
                               .index = in->rejected,
                               .other = in->last_log_index,
                               .features = in->features,
                               .capacity = in->capacity};
    }
    case RAFT_REQUEST_VOTE: {
        const struct raft_request_vote *in = &message->request_vote;
        return (struct fields){.version = in->version,
                               .flags = (uint16_t)((in->pre_vote ? FLAG_PRE_VOTE : 0) |
                                                   (in->disrupt_leader ? FLAG_DISRUPT_LEADER : 0)),
                               .term = in->term,
                               .index = in->last_log_index,
                               .index_term = in->last_log_term,
                               .other = in->candidate_id};
    }
    case RAFT_REQUEST_VOTE_RESULT: {
        const struct raft_request_vote_result *in = &message->request_vote_result;
        return (struct fields){.version = in->version,
                               .flags = (uint16_t)((in->pre_vote ? FLAG_PRE_VOTE : 0) |
                                                   (in->vote_granted ? FLAG_VOTE_GRANTED : 0)),
                               .term = in->term,
                               .features = in->features,
                               .capacity = in->capacity};
    }
    case RAFT_TIMEOUT_NOW: {
        const struct raft_timeout_now *in = &message->timeout_now;
        return (struct fields){.version = in->version,
                               .term = in->term,
                               .index = in->last_log_index,
                               .index_term = in->last_log_term};
    }
    case RAFT_INSTALL_SNAPSHOT: {
        const struct raft_install_snapshot *in = &message->install_snapshot;
        return (struct fields){.version = in->version,
                               .term = in->term,
                               .index = in->last_index,
                               .index_term = in->last_term};
    }
    }
    UNREACHABLE();
}

void wire_header_encode(const struct wire_header *header, uint8_t to[WIRE_HEADER_SIZE])
{
    struct fields fields = fields_of(&header->message);
    le32_put(to + AT_MAGIC, WIRE_MAGIC);
    le32_put(to + AT_BODY_SIZE, (uint32_t)header->body_size);
    to[AT_TYPE] = (uint8_t)header->message.type;
    to[AT_VERSION] = fields.version;
    le16_put(to + AT_FLAGS, fields.flags);
    le64_put(to + AT_TERM, fields.term);
    le64_put(to + AT_INDEX, fields.index);
    le64_put(to + AT_INDEX_TERM, fields.index_term);
    le64_put(to + AT_OTHER, fields.other);
    le64_put(to + AT_POSITION, header->position);
    le32_put(to + AT_COUNT, fields.count);
    le16_put(to + AT_FEATURES, fields.features);
    le16_put(to + AT_CAPACITY, fields.capacity);
    le32_put(to + AT_CRC, crc32c(0, to + AT_BODY_SIZE, WIRE_HEADER_SIZE - AT_BODY_SIZE));
}

static enum status message_from(const struct fields *in, uint8_t type, struct raft_message *message)
{
    *message = (struct raft_message){.type = (enum raft_message_type)type};
    switch (type) {
    case RAFT_APPEND_ENTRIES:
        message->append_entries = (struct raft_append_entries){.version = in->version,
                                                               .term = in->term,
                                                               .prev_log_index = in->index,
                                                               .prev_log_term = in->index_term,
                                                               .leader_commit = in->other,
                                                               .n_entries = in->count};
        return STATUS_OK;
    case RAFT_APPEND_ENTRIES_RESULT:
        message->append_entries_result =
            (struct raft_append_entries_result){.version = in->version,
                                                .term = in->term,
                                                .rejected = in->index,
                                                .last_log_index = in->other,
                                                .features = in->features,
                                                .capacity = in->capacity};
        return STATUS_OK;
    case RAFT_REQUEST_VOTE:
        message->request_vote =
            (struct raft_request_vote){.version = in->version,
                                       .term = in->term,
                                       .candidate_id = in->other,
                                       .last_log_index = in->index,
                                       .last_log_term = in->index_term,
                                       .disrupt_leader = (in->flags & FLAG_DISRUPT_LEADER) != 0,
                                       .pre_vote = (in->flags & FLAG_PRE_VOTE) != 0};
        return STATUS_OK;
    case RAFT_REQUEST_VOTE_RESULT:
        message->request_vote_result =
            (struct raft_request_vote_result){.version = in->version,
                                              .term = in->term,
                                              .vote_granted = (in->flags & FLAG_VOTE_GRANTED) != 0,
                                              .pre_vote = (in->flags & FLAG_PRE_VOTE) != 0,
                                              .features = in->features,
                                              .capacity = in->capacity};
        return STATUS_OK;
    case RAFT_TIMEOUT_NOW:
        message->timeout_now = (struct raft_timeout_now){.version = in->version,
                                                         .term = in->term,
                                                         .last_log_index = in->index,
                                                         .last_log_term = in->index_term};
        return STATUS_OK;
    case RAFT_INSTALL_SNAPSHOT:
        message->install_snapshot = (struct raft_install_snapshot){.version = in->version,
                                                                   .term = in->term,
                                                                   .last_index = in->index,
                                                                   .last_term = in->index_term};
        return STATUS_OK;
    default:
        return STATUS_MALFORMED;
    }
}

enum status wire_header_decode(struct slice bytes, struct wire_header *header)
{
    const uint8_t *from = bytes.data;
    if (bytes.size < WIRE_HEADER_SIZE || le32_get(from + AT_MAGIC) != WIRE_MAGIC ||
        le32_get(from + AT_CRC) !=
            crc32c(0, from + AT_BODY_SIZE, WIRE_HEADER_SIZE - AT_BODY_SIZE)) {
        return STATUS_MALFORMED;
    }
    struct fields fields = {
        .version = from[AT_VERSION],
        .flags = le16_get(from + AT_FLAGS),
        .term = le64_get(from + AT_TERM),
        .index = le64_get(from + AT_INDEX),
        .index_term = le64_get(from + AT_INDEX_TERM),
        .other = le64_get(from + AT_OTHER),
        .count = le32_get(from + AT_COUNT),
        .features = le16_get(from + AT_FEATURES),
        .capacity = le16_get(from + AT_CAPACITY),
    };
    header->position = le64_get(from + AT_POSITION);
    header->body_size = le32_get(from + AT_BODY_SIZE);
    bool entries = from[AT_TYPE] == RAFT_APPEND_ENTRIES && fields.count > 0;
    if (fields.term == 0 || fields.count > WIRE_ENTRIES_MAX || header->body_size > WIRE_BODY_MAX ||
        (entries && header->body_size < fields.count * (size_t)LOG_FRAME_HEADER_SIZE) ||
        (!entries && (header->body_size != 0 || fields.count != 0))) {
        return STATUS_MALFORMED;
    }
    return message_from(&fields, from[AT_TYPE], &header->message);
}

enum status wire_entries_decode(const struct wire_header *header, struct slice body, uint32_t seed,
                                struct wire_entry *entries)
{
    const struct raft_append_entries *append = &header->message.append_entries;
    uint64_t term = append->prev_log_term;
    for (unsigned i = 0; i < append->n_entries; i++) {
        struct wire_entry *entry = &entries[i];
        enum status status = log_frame_decode_whole(body, seed, &entry->frame, &entry->payload);
        if (status != STATUS_OK) {
            return status;
        }
        const struct log_frame *frame = &entry->frame;
        if (frame->index != append->prev_log_index + 1 + i || frame->term < term ||
            frame->term > append->term || (i == 0 && frame->position != header->position) ||
            (frame->type == LOG_FRAME_CHANGE && !configuration_valid(entry->payload))) {
            return STATUS_MALFORMED;
        }
        term = frame->term;
        body = slice_from(body, log_frame_size(frame->payload_size));
    }
    return body.size == 0 ? STATUS_OK : STATUS_MALFORMED;
}
