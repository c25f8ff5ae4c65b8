/* The JSON that RocketMQ's clients really send: fastjson's dialect made strict.
 *
 * Unquoted keys ({0:"a"}), maps keyed by objects ({{"queueId":0}:1}), single quotes, fastjson's own
 * escapes and trailing commas are understood. Pure; any thread.
 * Source: fastjson 1.2 (JSONLexerBase, SerializeWriter). */
#ifndef COMMON_REMOTING_DIALECT_H
#define COMMON_REMOTING_DIALECT_H

#include "common/base/buf.h"
#include "common/base/status.h"

/* Append strict JSON for one value of the dialect. A key that is an object (or array) becomes a
 * string that holds its JSON text. The output is at most seven times the input.
 *
 * Errors: STATUS_MALFORMED  not the dialect, nested too deeply, or an object key within an object
 *                           key; what was appended is undefined. */
WARN_UNUSED enum status dialect_to_json(struct slice text, struct buf *out);

#endif
