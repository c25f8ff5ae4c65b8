/* Bodies that are lists of names or tables of texts. */
#ifndef COMMON_REMOTING_BODY_LIST_H
#define COMMON_REMOTING_BODY_LIST_H

#include "common/remoting/body.h"

struct name_list {
    size_t count;
    const struct slice *names;
};

/* TopicList (206, 224, 304, 305, 311-313, 343). broker_address may be empty. */
WARN_UNUSED enum status topic_list_decode(struct slice text, struct body *body,
                                          struct name_list *out);
void topic_list_encode(const struct name_list *topics, struct slice broker_address,
                       struct buf *out);

/* GetConsumerListByGroupResponseBody (38). */
WARN_UNUSED enum status consumer_list_decode(struct slice text, struct body *body,
                                             struct name_list *out);
void consumer_list_encode(const struct name_list *client_ids, struct buf *out);

/* GroupList (300). */
WARN_UNUSED enum status group_list_decode(struct slice text, struct body *body,
                                          struct name_list *out);
void group_list_encode(const struct name_list *groups, struct buf *out);

struct pair_table {
    size_t count;
    const struct text_pair *pairs;
};

/* KVTable (28, 219, 103). */
WARN_UNUSED enum status kv_table_decode(struct slice text, struct body *body,
                                        struct pair_table *out);
void kv_table_encode(const struct pair_table *table, struct buf *out);

/* A table of tables, as a nameserver stores them ({"configTable":{namespace:{key:value}}}). */
struct named_table {
    struct slice name;
    struct pair_table table;
};

WARN_UNUSED enum status kv_config_decode(struct slice text, struct body *body,
                                         const struct named_table **tables, size_t *count);
void kv_config_encode(const struct named_table *tables, size_t count, struct buf *out);

#endif
