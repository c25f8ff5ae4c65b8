/* The body of REGISTER_BROKER (103), plain JSON or deflated.
 * Source: RegisterBrokerBody, TopicConfig.encode, RouteInfoManager. */
#ifndef COMMON_REMOTING_BODY_REGISTER_H
#define COMMON_REMOTING_BODY_REGISTER_H

#include "common/remoting/body_topic.h"

enum {
    /* Deflated registrations may not inflate to more. */
    REGISTER_INFLATED_MAX = 4 * FRAME_SIZE_MAX,
    /* Brokers from here on append a section of static topics (V5_0_0). */
    REGISTER_STATIC_TOPICS_VERSION = 413,
    /* Brokers before this send the bare topic table (V3_0_11). */
    REGISTER_BODY_VERSION = 37,
};

/* `version` is the request's. An empty body is an empty table.
 * Errors: STATUS_MALFORMED */
WARN_UNUSED enum status register_body_decode(struct slice bytes, bool compressed, int32_t version,
                                             struct body *body, struct topic_table *out);

/* The plain form. */
void register_body_encode(const struct topic_table *table, struct buf *out);

#endif
