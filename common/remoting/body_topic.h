/* Topic configurations: TopicConfig (351, 18) and their table (21, within 103).
 * Source: TopicConfig, TopicConfigSerializeWrapper. */
#ifndef COMMON_REMOTING_BODY_TOPIC_H
#define COMMON_REMOTING_BODY_TOPIC_H

#include "common/remoting/body.h"

struct json_writer;

struct topic_config {
    struct slice name;
    int32_t read_queues;
    int32_t write_queues;
    int32_t perm; /* PERM_… of names.h */
    int32_t sys_flag;
    bool order;
    bool multi_tag; /* topicFilterType MULTI_TAG */
    size_t attribute_count;
    const struct text_pair *attributes;
};

/* Java's defaults stand for absent members. Errors: STATUS_MALFORMED  no object or no name. */
WARN_UNUSED enum status topic_config_decode(struct slice text, struct body *body,
                                            struct topic_config *out);
void topic_config_encode(const struct topic_config *config, struct buf *out);
void topic_config_put(struct json_writer *writer, const struct topic_config *config);

struct topic_table {
    struct data_version version;
    size_t count;
    const struct topic_config *topics;
};

/* TopicConfigSerializeWrapper. Entries without a name take that of their key.
 * Errors: STATUS_MALFORMED  also if there are more than TOPICS_MAX. */
WARN_UNUSED enum status topic_table_decode(struct slice text, struct body *body,
                                           struct topic_table *out);
void topic_table_encode(const struct topic_table *table, struct buf *out);
void topic_table_put(struct json_writer *writer, const struct topic_table *table);

/* {"topicConfigList":[…]} (18). */
WARN_UNUSED enum status topic_config_list_decode(struct slice text, struct body *body,
                                                 struct topic_table *out);

#endif
