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
 * before it, or a value that is empty, too long, has a NUL or is no window. */
WARN_UNUSED enum status topic_attributes_change(struct slice json, struct slice changes,
                                                struct buf *out);

/* For how many seconds a UNIQ_KEY is recognised in a topic: the attribute unique.key.window of the
 * kept text; 0 without. */
int32_t topic_attributes_unique_window(struct slice json);

#endif
