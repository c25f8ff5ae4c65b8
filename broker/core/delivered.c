#include "broker/core/delivered.h"

#include "broker/core/broker.h"

void delivered_count(struct broker *broker, struct slice group, struct slice topic, uint32_t count,
                     uint64_t bytes)
{
    struct slice cluster = name_slice(&broker->settings->cluster);
    rates_add(&broker->rates, count > 0 ? RATE_PULLS_FOUND : RATE_PULLS_MISSED, cluster, 1);
    if (count == 0) {
        return;
    }
    uint8_t key[2 * NAME_MAX_SIZE + 1];
    struct slice both = slice_of(key, topic.size + 1 + group.size);
    memcpy(key, topic.data, topic.size);
    key[topic.size] = '@';
    memcpy(key + topic.size + 1, group.data, group.size);
    rates_add(&broker->rates, RATE_GROUP_GET_NUMS, both, count);
    rates_add(&broker->rates, RATE_GROUP_GET_SIZE, both, bytes);
    rates_add(&broker->rates, RATE_BROKER_GET_NUMS, cluster, count);
}
