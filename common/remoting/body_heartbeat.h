/* HeartbeatData (34), CheckClientRequestBody (46), and the enums of consumers.
 * Source: HeartbeatData, ConsumerData, SubscriptionData; rocketmq-client-cpp and -go for what they
 * leave out or write otherwise. */
#ifndef COMMON_REMOTING_BODY_HEARTBEAT_H
#define COMMON_REMOTING_BODY_HEARTBEAT_H

#include "common/remoting/body.h"

struct json_writer;

enum {
    HEARTBEAT_GROUPS_MAX = 4096,        /* Producers, and consumers, of one client. */
    HEARTBEAT_SUBSCRIPTIONS_MAX = 1024, /* Of one consumer. */
};

/* Numbers are the ordinals that C++ clients send in place of names. */
enum consume_type { CONSUME_ACTIVELY = 0, CONSUME_PASSIVELY = 1, CONSUME_POP = 2 };
enum message_model { MODEL_BROADCASTING = 0, MODEL_CLUSTERING = 1 };
enum consume_from {
    CONSUME_FROM_LAST = 0,
    CONSUME_FROM_LAST_AND_MIN_ON_BOOT = 1,
    CONSUME_FROM_MIN = 2,
    CONSUME_FROM_MAX = 3,
    CONSUME_FROM_FIRST = 4,
    CONSUME_FROM_TIMESTAMP = 5,
};

/* Java's names; those of the defaults (PASSIVELY, CLUSTERING, LAST) for other numbers. */
const char *consume_type_name(int32_t type);
const char *message_model_name(int32_t model);
const char *consume_from_name(int32_t from);

/* SubscriptionData. Tags and their hashes are not kept: they follow from the expression. */
struct subscription_data {
    struct slice topic;
    struct slice expression;      /* subString */
    struct slice expression_type; /* "TAG" if absent. */
    int64_t version;              /* subVersion: larger is newer. */
};

struct consumer_data {
    struct slice group;
    int32_t consume_type;
    int32_t message_model;
    int32_t consume_from;
    bool unit_mode;
    size_t subscription_count;
    struct subscription_data *subscriptions;
};

struct heartbeat {
    struct slice client_id;
    size_t producer_count;
    struct slice *producers; /* Group names; empty ones are left out. */
    size_t consumer_count;
    struct consumer_data *consumers;
    int32_t fingerprint;
    bool without_subscriptions; /* Heartbeat V2: unchanged, so not sent. */
};

/* Errors: STATUS_MALFORMED  not an object, no client id, or more than the maxima above. */
WARN_UNUSED enum status heartbeat_decode(struct slice text, struct body *body,
                                         struct heartbeat *out);
void heartbeat_encode(const struct heartbeat *heartbeat, struct buf *out);

/* SubscriptionData with its tags and their hashes, as a value. */
void subscription_data_put(struct json_writer *writer, const struct subscription_data *data);

struct client_check {
    struct slice client_id;
    struct slice group;
    struct subscription_data subscription;
};

/* CheckClientRequestBody (46). */
WARN_UNUSED enum status client_check_decode(struct slice text, struct body *body,
                                            struct client_check *out);
void client_check_encode(const struct client_check *check, struct buf *out);

#endif
