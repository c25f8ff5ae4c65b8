#include "broker/core/topic_tables.h"

#include "broker/core/convert.h"

#include <stdlib.h>

void topic_tables_open(const struct broker *broker, struct topic_tables *tables)
{
    const struct map *topics = machine_topics(broker->machine);
    const struct machine_version version = machine_topics_version(broker->machine);
    *tables = (struct topic_tables){0};
    tables->topics = mem_alloc((topics->count + 1) * sizeof tables->topics[0]);
    size_t count = 0;
    MAP_FOREACH(node, topics)
    {
        tables->topics[count++] =
            topic_config_of(CONTAINER_OF(node, struct topic, node), &tables->body);
    }
    tables->table = (struct topic_table){
        // The term fences: a nameserver keeps what the holder of the latest term says.
        .version = {.state = (int64_t)broker->state.term,
                    .timestamp_ms = (int64_t)version.time_ms,
                    .counter = (int64_t)version.counter},
        .count = count,
        .topics = tables->topics,
    };
}

void topic_tables_close(struct topic_tables *tables)
{
    free(tables->topics);
    body_close(&tables->body);
}
