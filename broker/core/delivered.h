/* What consumer groups are given, under RocketMQ's keys for it. Loop thread only. */
#ifndef BROKER_CORE_DELIVERED_H
#define BROKER_CORE_DELIVERED_H

#include "common/base/slice.h"

struct broker;

/* One answer with so many messages; 0: there were none. */
void delivered_count(struct broker *broker, struct slice group, struct slice topic, uint32_t count,
                     uint64_t bytes);

#endif
