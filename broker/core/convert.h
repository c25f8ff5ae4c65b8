/* Between the wire's configurations (common/remoting) and the machine's. Pure. */
#ifndef BROKER_CORE_CONVERT_H
#define BROKER_CORE_CONVERT_H

#include "broker/machine/machine.h"
#include "common/remoting/body_group.h"
#include "common/remoting/body_topic.h"

/* Borrows from topic; its attributes live in body. */
struct topic_config topic_config_of(const struct topic *topic, struct body *body);

/* Borrows from config; attributes are written as JSON into `attributes`. */
struct topic_spec topic_spec_of(const struct topic_config *config, struct buf *attributes);

/* Both borrow. */
struct group_config group_config_of(const struct group_spec *spec);
struct group_spec group_spec_of(const struct group_config *config);

/* SubscriptionGroupConfig's defaults. Borrows name. */
struct group_spec group_spec_default(struct slice name);

#endif
