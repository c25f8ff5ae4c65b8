/* The header of a send, in whichever of its two spellings it came.
 * Source: SendMessageRequestHeader, SendMessageRequestHeaderV2. Pure. */
#ifndef BROKER_CORE_SEND_HEADER_H
#define BROKER_CORE_SEND_HEADER_H

#include "common/remoting/command.h"

/* Borrows from the command. */
struct send_header {
    struct slice producer_group;
    struct slice topic;
    struct slice default_topic;
    int32_t default_queue_count;
    int32_t queue_id;
    int32_t sys_flag;
    int64_t born_time_ms;
    int32_t flag;
    struct slice properties;
    int32_t reconsume_times;
    int32_t max_reconsume_times; /* -1: not given. */
    bool batch;
};

/* Errors: STATUS_FIELD_MISSING  a required field is absent or no number. */
WARN_UNUSED enum status send_header_decode(const struct command *command,
                                           struct send_header *header);

#endif
