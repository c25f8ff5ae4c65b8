/* Inside the body_*.c files: leniently typed reads from jansson trees, and shared writers. */
#ifndef COMMON_REMOTING_BODY_JSON_H
#define COMMON_REMOTING_BODY_JSON_H

#include "common/remoting/body.h"
#include "common/remoting/json_text.h"

#include <jansson.h>

/* Parse an object, of the dialect if it is not strict JSON. The body owns the tree.
 * Errors: STATUS_MALFORMED  longer than size_max, or not an object; the body is closed. */
WARN_UNUSED enum status body_parse(struct slice text, size_t size_max, struct body *body,
                                   json_t **root);

/* Members of an object (which may be NULL or something else: then all are absent). Quoted numbers,
 * 0 and 1 for booleans and the like are understood; absent or wrong ones read as the default. */
struct slice json_get_text(const json_t *object, const char *name);
int64_t json_get_i64(const json_t *object, const char *name, int64_t otherwise);
int32_t json_get_i32(const json_t *object, const char *name, int32_t otherwise);
bool json_get_bool(const json_t *object, const char *name, bool otherwise);

struct slice json_as_text(const json_t *value); /* Empty if it is not a string. */
bool json_as_i64(const json_t *value, int64_t *out);

/* The pairs of a map; scalars as text, others left out. */
struct text_pair *json_get_pairs(const json_t *map, struct body *body, size_t *count);

struct queue_name json_get_queue(const json_t *object);
void json_queue(struct json_writer *writer, const struct queue_name *queue);
void json_pairs(struct json_writer *writer, const struct text_pair *pairs, size_t count);

struct data_version json_get_data_version(const json_t *object);
void json_data_version(struct json_writer *writer, const struct data_version *version);

/* Parse a key that was an object (see dialect.h); NULL if it is none. The caller owns the tree. */
json_t *json_parse_key(const char *key);

#endif
