/* Inflating what a peer deflated, as much as was agreed and no more. Pure; any thread. */
#ifndef COMMON_REMOTING_INFLATE_H
#define COMMON_REMOTING_INFLATE_H

#include "common/base/buf.h"
#include "common/base/status.h"

/* Append the content of a whole zlib stream, at most size_max bytes; nothing if it fails.
 * Errors: STATUS_MALFORMED  no zlib stream, or not all of one.
 *         STATUS_LIMIT      its content is larger. */
WARN_UNUSED enum status inflate_append(struct slice deflated, size_t size_max, struct buf *out);

#endif
