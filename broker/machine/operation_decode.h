/* Decoding of an operation's body by its type. Private to operation.c. */
#ifndef BROKER_MACHINE_OPERATION_DECODE_H
#define BROKER_MACHINE_OPERATION_DECODE_H

#include "broker/machine/operation.h"

/* Type and body are set; fills in the rest, which borrows from the body.
 * Errors: STATUS_MALFORMED. */
WARN_UNUSED enum status operation_body_decode(struct operation *operation);

#endif
