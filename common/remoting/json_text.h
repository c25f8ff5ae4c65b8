/* Writing strict JSON text, without white space, into a buf. Pure; any thread. */
#ifndef COMMON_REMOTING_JSON_TEXT_H
#define COMMON_REMOTING_JSON_TEXT_H

#include "common/base/buf.h"

/* Append a string with its quotes. Bytes that are no UTF-8 become U+FFFD. */
void json_put_string(struct buf *out, struct slice text);

/* Append a number. */
void json_put_number(struct buf *out, int64_t value);

/* Writes values one after the other and puts the commas between them. Inside an object each value
 * follows a json_key() or json_key_slice(). */
struct json_writer {
    struct buf *out;
    bool comma; /* A value was written before in this object or array. */
};

void json_begin(struct json_writer *writer, char bracket); /* '{' or '[' */
void json_end(struct json_writer *writer, char bracket);   /* '}' or ']' */
void json_key(struct json_writer *writer, const char *name);
void json_key_slice(struct json_writer *writer, struct slice name);
/* After a whole object was written where a key belongs: RocketMQ's maps keyed by objects. */
void json_key_was_object(struct json_writer *writer);
void json_text(struct json_writer *writer, struct slice text);
void json_int(struct json_writer *writer, int64_t value);
void json_bool(struct json_writer *writer, bool value);
/* With one decimal place or more, as Java writes a double. */
void json_double(struct json_writer *writer, double value);
/* A value that is JSON text already. */
void json_raw(struct json_writer *writer, struct slice text);

/* A key and its value. */
void json_member_text(struct json_writer *writer, const char *name, struct slice text);
void json_member_int(struct json_writer *writer, const char *name, int64_t value);
void json_member_bool(struct json_writer *writer, const char *name, bool value);

#endif
