/* Topic attributes: kept as one JSON object text, changed by "+key=value,-key".
 * Source: AttributeParser, AttributeUtil, TopicAttributes. Pure. */
#ifndef BROKER_CORE_TOPIC_ATTRIBUTES_H
#define BROKER_CORE_TOPIC_ATTRIBUTES_H

#include "common/base/buf.h"
#include "common/base/status.h"
#include "common/remoting/body.h"

/* Read the kept text; the pairs live in body until body_close. */
const struct text_pair *topic_attributes_read(struct slice json, struct body *body, size_t *count);

/* Apply changes ("+message.type=FIFO,-reserve.time") to the kept text `json` (may be empty) and
 * append the new text to out. Errors: STATUS_INVALID_ARGUMENT  unknown key, neither + nor -
 * before it, or a value that is empty, too long or has a NUL. */
WARN_UNUSED enum status topic_attributes_change(struct slice json, struct slice changes,
                                                struct buf *out);

#endif
