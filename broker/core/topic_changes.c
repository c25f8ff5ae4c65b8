#include "broker/core/topic_changes.h"

#include "broker/core/broker.h"

#include <stdlib.h>

/* A topic with changes under way. */
struct changing {
    struct map_node node; /* By name. */
    struct name topic;
    uint32_t count;
};

/* One of them. */
struct change {
    struct changing *changing;
    struct waiter then;
};

static struct changing *find(const struct broker *broker, struct slice topic)
{
    struct map_node *node = map_find(&broker->topics_changing, topic);
    return node == NULL ? NULL : CONTAINER_OF(node, struct changing, node);
}

bool topic_change_under_way(const struct broker *broker, struct slice topic)
{
    return find(broker, topic) != NULL;
}

static void on_end(struct broker *broker, const struct waiter *waiter,
                   const struct operation *operation, const struct operation_result *result)
{
    struct change *change = waiter->context;
    if (--change->changing->count == 0) {
        map_remove(&broker->topics_changing, &change->changing->node);
        free(change->changing);
    }
    change->then.done(broker, &change->then, operation, result);
    free(change);
}

struct waiter topic_change_waiter(struct broker *broker, struct slice topic,
                                  const struct waiter *then)
{
    struct changing *changing = find(broker, topic);
    if (changing == NULL) {
        changing = mem_zalloc(sizeof *changing);
        bool fits = name_set(&changing->topic, topic);
        ASSERT(fits);
        map_put(&broker->topics_changing, &changing->node, name_slice(&changing->topic));
    }
    changing->count++;
    struct change *change = mem_alloc(sizeof *change);
    *change = (struct change){.changing = changing, .then = *then};
    return (struct waiter){.done = on_end, .context = change};
}
