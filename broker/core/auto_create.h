/* Topics and groups that come into being by being used. Loop thread only.
 * Source: TopicConfigManager.createTopicInSendMessageMethod, SubscriptionGroupManager. */
#ifndef BROKER_CORE_AUTO_CREATE_H
#define BROKER_CORE_AUTO_CREATE_H

#include "broker/machine/machine.h"

struct broker;

/* The group's configuration; if it is unknown and may be created, that is proposed and the defaults
 * are returned meanwhile. *fallback is where they are kept. NULL if the group may not be. */
const struct group_spec *auto_create_group(struct broker *broker, struct slice name,
                                           struct group_spec *fallback);

/* The configuration that an unknown topic would get by a send; false if it may not be created.
 * Borrows topic. */
bool auto_topic_spec(const struct broker *broker, struct slice topic, struct slice default_topic,
                     int32_t default_queue_count, struct topic_spec *config);

/* The configuration of a retry or dead-letter topic. Borrows topic. */
struct topic_spec derived_topic_spec(struct slice topic, int32_t queue_count);

/* Propose a topic unless it is there. Nobody waits. */
void auto_create_topic(struct broker *broker, const struct topic_spec *config);

/* Propose %RETRY%group unless it is there. */
void auto_create_retry_topic(struct broker *broker, const struct group_spec *group);

#endif
