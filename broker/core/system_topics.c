#include "broker/core/system_topics.h"

#include "broker/core/auto_create.h"
#include "broker/core/broker.h"
#include "common/remoting/names.h"

#include <stdio.h>

enum {
    READ_WRITE = PERM_READ | PERM_WRITE,
    READ_WRITE_INHERIT = READ_WRITE | PERM_INHERIT,
    CLUSTER_TOPIC_QUEUES = 16,
    SCHEDULE_QUEUES = 18,
    BENCHMARK_QUEUES = 1024,
};

static void propose(struct broker *broker, const char *name, int32_t queue_count, int32_t perm)
{
    const struct topic_spec config = {
        .name = slice_text(name),
        .read_queue_count = queue_count,
        .write_queue_count = queue_count,
        .perm = perm,
    };
    auto_create_topic(broker, &config);
}

void system_topics_propose(struct broker *broker)
{
    char reply_topic[2 * NAME_MAX_SIZE];
    snprintf(reply_topic, sizeof reply_topic, "%s_REPLY_TOPIC", broker->settings->cluster.text);
    if (broker->settings->auto_create_topic) {
        propose(broker, TOPIC_DEFAULT, broker->settings->default_queue_count, READ_WRITE_INHERIT);
    }
    propose(broker, TOPIC_SELF_TEST, 1, READ_WRITE);
    propose(broker, TOPIC_BENCHMARK, BENCHMARK_QUEUES, READ_WRITE);
    propose(broker, broker->settings->cluster.text, CLUSTER_TOPIC_QUEUES, READ_WRITE_INHERIT);
    propose(broker, broker->group->name.text, 1, READ_WRITE_INHERIT);
    propose(broker, TOPIC_OFFSET_MOVED, 1, READ_WRITE);
    propose(broker, TOPIC_SCHEDULE, SCHEDULE_QUEUES, READ_WRITE);
    propose(broker, reply_topic, 1, READ_WRITE);
    propose(broker, TOPIC_HALF, 1, READ_WRITE);
    propose(broker, TOPIC_HALF_OP, 1, READ_WRITE);
    propose(broker, TOPIC_CHECK_MAX, 1, READ_WRITE);
    if (broker->settings->trace_topic) {
        propose(broker, TOPIC_TRACE, 1, READ_WRITE);
    }
}
