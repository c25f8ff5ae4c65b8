/* Messages sent again, as the log alone decides which they are: nothing is ever forgotten here, but
 * what is older than its window does not count. */
#include "common/remoting/message.h"
#include "common/remoting/properties.h"
#include "tests/sim/cluster/sim_ledger_internal.h"

#include <stdlib.h>

enum { SECOND_MS = 1000 };

struct recognised {
    struct map_node by_key;
    struct buf key; /* Topic, NUL, UNIQ_KEY. */
    uint64_t until_ms;
};

bool ledger_recognises(struct ledger_group *group, struct slice topic, uint32_t window_s,
                       struct slice properties)
{
    struct slice unique = {0};
    if (window_s == 0 || !properties_find(properties, PROPERTY_UNIQUE_KEY, &unique)) {
        return false;
    }
    struct buf key = {0};
    buf_put_slice(&key, topic);
    buf_put_u8(&key, 0);
    buf_put_slice(&key, unique);
    struct map_node *node = map_find(&group->recognised, buf_slice(&key));
    struct recognised *known = node == NULL ? NULL : CONTAINER_OF(node, struct recognised, by_key);
    if (known == NULL) {
        known = mem_zalloc(sizeof *known);
        known->key = key;
        map_put(&group->recognised, &known->by_key, buf_slice(&known->key));
    } else {
        buf_close(&key);
    }
    if (known->until_ms > group->clock_ms) {
        ledger_counts()->recognised++;
        return true;
    }
    known->until_ms = group->clock_ms + (uint64_t)window_s * SECOND_MS;
    return false;
}

void ledger_recognised_close(struct ledger_group *group)
{
    MAP_FOREACH(node, &group->recognised)
    {
        struct recognised *known = CONTAINER_OF(node, struct recognised, by_key);
        buf_close(&known->key);
        free(known);
    }
    map_close(&group->recognised);
}
