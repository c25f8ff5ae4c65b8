/* The property string of a message: name 0x01 value 0x02 name 0x01 value 0x02 …
 *
 * UTF-8, no escaping, no count; the last 0x02 may be missing on input and is always written on
 * output. Pieces with an empty name or value do not count; of equal names the later one wins.
 * Source: MessageDecoder.messageProperties2String, string2messageProperties, MessageConst. */
#ifndef COMMON_REMOTING_PROPERTIES_H
#define COMMON_REMOTING_PROPERTIES_H

#include "common/base/buf.h"

enum { PROPERTY_NAME_END = 0x01, PROPERTY_END = 0x02 };

#define PROPERTY_KEYS "KEYS"
#define PROPERTY_TAGS "TAGS"
#define PROPERTY_WAIT "WAIT"
#define PROPERTY_DELAY "DELAY"
#define PROPERTY_RETRY_TOPIC "RETRY_TOPIC"
#define PROPERTY_REAL_TOPIC "REAL_TOPIC"
#define PROPERTY_REAL_QUEUE_ID "REAL_QID"
#define PROPERTY_TRANSACTION_PREPARED "TRAN_MSG"
#define PROPERTY_PRODUCER_GROUP "PGROUP"
#define PROPERTY_UNIQUE_KEY "UNIQ_KEY"
#define PROPERTY_TRANSACTION_ID "__transactionId__"
#define PROPERTY_CHECK_IMMUNITY "CHECK_IMMUNITY_TIME_IN_SECONDS"
#define PROPERTY_CHECK_TIMES "TRANSACTION_CHECK_TIMES"
#define PROPERTY_REGION "MSG_REGION"
#define PROPERTY_TRACE "TRACE_ON"
#define PROPERTY_CLUSTER "CLUSTER"
#define PROPERTY_POP_RECEIPT "POP_CK"
#define PROPERTY_FIRST_POP_TIME "1ST_POP_TIME"
#define PROPERTY_REPLY_TO_CLIENT "REPLY_TO_CLIENT"
#define PROPERTY_CORRELATION_ID "CORRELATION_ID"
#define PROPERTY_MESSAGE_TYPE "MSG_TYPE"
#define PROPERTY_TTL "TTL"
#define PROPERTY_PUSH_REPLY_TIME "PUSH_REPLY_TIME"
#define PROPERTY_TIMER_DELAY_SEC "TIMER_DELAY_SEC"
#define PROPERTY_TIMER_DELAY_MS "TIMER_DELAY_MS"
#define PROPERTY_TIMER_DELIVER_MS "TIMER_DELIVER_MS"
#define PROPERTY_TIMER_OUT_MS "TIMER_OUT_MS"
#define PROPERTY_ORIGIN_MESSAGE_ID "ORIGIN_MESSAGE_ID"

/* Walk the pieces: *rest starts as the whole string. False at the end. Borrows. */
bool properties_next(struct slice *rest, struct slice *name, struct slice *value);

/* The value of a property (the last one of that name); false if absent. Borrows. */
bool properties_find(struct slice properties, const char *name, struct slice *value);

/* Append one property, with the closing 0x02 that the string before it may lack.
 * `start` is where the property string begins in out. */
void properties_append(struct buf *out, size_t start, const char *name, struct slice value);

/* May this be a name or value: is it free of the two separators? What comes from outside and is put
 * into a property must be asked first, or it could smuggle in further properties. */
bool properties_clean(struct slice text);

/* Append the string without the named properties, every piece closed by 0x02. */
void properties_copy_without(struct buf *out, struct slice properties, const char *const *names,
                             size_t name_count);

#endif
