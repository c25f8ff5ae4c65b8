/* Decoding of an operation's body by its type. Private to operation.c. */
#ifndef BROKER_MACHINE_OPERATION_DECODE_H
#define BROKER_MACHINE_OPERATION_DECODE_H

#include "broker/machine/operation.h"

/* Type and body are set; fills in the rest, which borrows from the body.
 * Errors: STATUS_MALFORMED. */
WARN_UNUSED enum status operation_body_decode(struct operation *operation);

/* operation_decode_pop.c */
WARN_UNUSED enum status operation_pop_decode(struct slice body, struct operation_pop *pop);
WARN_UNUSED enum status operation_ack_decode(struct slice body, struct operation_ack *ack);
WARN_UNUSED enum status operation_invisible_decode(struct slice body,
                                                   struct operation_invisible *invisible);
WARN_UNUSED enum status operation_mode_put_decode(struct slice body,
                                                  struct operation_mode_put *put);

#endif
