/* A stored message as the CLI shows it. */
#ifndef ADMIN_MESSAGE_JSON_H
#define ADMIN_MESSAGE_JSON_H

#include "admin/output.h"
#include "common/remoting/message.h"

enum { MESSAGE_MEMBER_COUNT = 16 };

/* The members of message_json(), for output_object(). */
extern const struct column message_members[MESSAGE_MEMBER_COUNT];

/* Ids, place, times, properties and body: as text if it is some, else as hex. */
json_t *message_json(const struct message *message);

/* Set bodySize, and body if it is text, else bodyHex. */
void json_set_body(json_t *json, struct slice body);

#endif
