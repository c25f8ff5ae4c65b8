/* Inside the body_*.c files: topic configurations within larger bodies. */
#ifndef COMMON_REMOTING_BODY_TOPIC_JSON_H
#define COMMON_REMOTING_BODY_TOPIC_JSON_H

#include "common/remoting/body_json.h"
#include "common/remoting/body_topic.h"

struct topic_config topic_config_get(const json_t *json, struct body *body);

/* Errors: STATUS_MALFORMED  too many topics; the body stays open. */
WARN_UNUSED enum status topic_table_get(json_t *json, struct body *body, struct topic_table *out);

#endif
