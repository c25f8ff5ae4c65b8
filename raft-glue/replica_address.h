/* A replica's address as the text that memberships hold: "10.1.2.3:10912". Pure. */
#ifndef RAFT_GLUE_REPLICA_ADDRESS_H
#define RAFT_GLUE_REPLICA_ADDRESS_H

#include "common/base/check.h"
#include "common/base/status.h"
#include "common/remoting/message.h"

enum { REPLICA_ADDRESS_SIZE = 24 };

void replica_address_format(struct host host, char to[REPLICA_ADDRESS_SIZE]);

/* Errors: STATUS_MALFORMED. */
WARN_UNUSED enum status replica_address_parse(const char *text, struct host *host);

#endif
