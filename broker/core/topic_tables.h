/* All topics of this group as the wire's table: for GET_ALL_TOPIC_CONFIG and for registration. */
#ifndef BROKER_CORE_TOPIC_TABLES_H
#define BROKER_CORE_TOPIC_TABLES_H

#include "broker/core/broker.h"
#include "common/remoting/body_topic.h"

struct topic_tables {
    struct topic_table table; /* Borrows from the machine, until its next apply, and from body. */
    struct body body;
    struct topic_config *topics;
};

void topic_tables_open(const struct broker *broker, struct topic_tables *tables);
void topic_tables_close(struct topic_tables *tables);

#endif
