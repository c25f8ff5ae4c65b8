/* The two forms of a command's header, behind command.h. Pure; any thread. */
#ifndef COMMON_REMOTING_HEADER_H
#define COMMON_REMOTING_HEADER_H

#include "common/remoting/command.h"

/* Decode a header; all of command but serialize_type and body is set. Borrows from header and
 * scratch, in which header.size bytes are reserved.
 * Errors: STATUS_MALFORMED  command is undefined. */
WARN_UNUSED enum status header_json_decode(struct slice header, struct buf *scratch,
                                           struct command *command);
WARN_UNUSED enum status header_binary_decode(struct slice header, struct command *command);

/* Append the header alone. */
void header_json_encode(const struct command *command, struct buf *out);
void header_binary_encode(const struct command *command, struct buf *out);

#endif
