/* Delayed messages as the log alone decides them: looked up one by one, where the machine keeps a
 * schedule. */
#include "common/base/crc32c.h"
#include "common/remoting/message.h"
#include "common/remoting/names.h"
#include "common/remoting/properties.h"
#include "tests/sim/cluster/sim_ledger_internal.h"
#include "tests/sim/os/sim_world.h"

#include <inttypes.h>
#include <stdlib.h>

struct ledger_delayed *ledger_delayed_find(const struct ledger_group *group, uint64_t position)
{
    struct map_node *node = map_find(&group->delayed, slice_of(&position, sizeof position));
    return node == NULL ? NULL : CONTAINER_OF(node, struct ledger_delayed, by_position);
}

uint64_t ledger_delay_end(const struct ledger_group *group, const struct delay *delay)
{
    uint64_t latest_ms = group->clock_ms + DELAY_MAX_MS;
    if (delay->absolute) {
        return delay->ms < latest_ms ? delay->ms : latest_ms;
    }
    return delay->ms < DELAY_MAX_MS ? group->clock_ms + delay->ms : latest_ms;
}

void ledger_delay_begin(struct ledger_group *group, const struct ledger_delayed *what)
{
    struct ledger_delayed *delayed = mem_zalloc(sizeof *delayed);
    *delayed = *what;
    map_put(&group->delayed, &delayed->by_position,
            slice_of(&delayed->position, sizeof delayed->position));
    group->delayed_waiting++;
    ledger_counts()->delayed++;
}

void ledger_apply_delayed(struct ledger_group *group, const struct operation *operation,
                          uint64_t position)
{
    struct message message;
    size_t size;
    if (message_decode(operation->delayed.message, &message, &size) != STATUS_OK ||
        message.prepared_offset != DELAYED_PREPARED_OFFSET) {
        sim_violation("log", "a delayed message at %" PRIu64 " of %s cannot be decoded", position,
                      group->name.text);
    }
    if (!ledger_queue_exists(group, message.topic, message.queue_id)) {
        return;
    }
    if (ledger_recognises(group, message.topic, ledger_window(group, message.topic),
                          message.properties)) {
        return;
    }
    struct ledger_delayed delayed = {
        .position = position + DELAYED_PREFIX_SIZE,
        .queue_id = message.queue_id,
        .due_ms = ledger_delay_end(group, &operation->delayed.delay),
    };
    ASSERT(name_set(&delayed.topic, message.topic));
    delayed.recallable = true;
    properties_find(message.properties, PROPERTY_UNIQUE_KEY, &delayed.unique_key);
    delayed.item.kind = ledger_tag_read(message.body, &delayed.item.id);
    delayed.item.body_crc = crc32c(0, message.body.data, message.body.size);
    ledger_delay_begin(group, &delayed);
    if (topic_is_retry(message.topic)) {
        ledger_counts()->sent_back++;
    } else if (delayed.item.kind == LEDGER_LATER) {
        ledger_count_copy(group, delayed.item.id);
    }
}

/* The first FIRE that is not early makes it visible; all others change nothing. */
void ledger_apply_fire(struct ledger_group *group, const struct operation_fire *fire,
                       uint64_t position)
{
    struct ledger_delayed *delayed = ledger_delayed_find(group, fire->position);
    if (delayed == NULL || delayed->fired_at != 0 || delayed->recalled ||
        delayed->due_ms > group->clock_ms) {
        ledger_counts()->vain_fires++;
        return;
    }
    delayed->fired_at = position;
    delayed->item.position = position;
    ledger_append(group, name_slice(&delayed->topic), delayed->queue_id, &delayed->item);
    group->delayed_waiting--;
    ledger_counts()->fired++;
    struct ledger_half *half = ledger_half_find(group, fire->position);
    if (half != NULL) {
        half->referred_from = position;
    }
}

/* Gone for good, unless it has fired. */
void ledger_apply_recall(struct ledger_group *group, const struct operation_recall *recall)
{
    struct ledger_delayed *delayed = ledger_delayed_find(group, recall->position);
    if (delayed == NULL || delayed->fired_at != 0 || delayed->recalled || !delayed->recallable ||
        !slice_equals(name_slice(&delayed->topic), recall->topic) ||
        !slice_equals(delayed->unique_key, recall->unique_key)) {
        return;
    }
    delayed->recalled = true;
    group->delayed_waiting--;
    ledger_counts()->recalls++;
}

void ledger_recalled(struct ledger_group *group, uint64_t position)
{
    const struct ledger_delayed *delayed = ledger_delayed_find(group, position);
    if (delayed == NULL || !delayed->recalled) {
        sim_violation("acknowledged is committed",
                      "that the message at %" PRIu64 " of %s was recalled was acknowledged, but "
                      "the log does not say so",
                      position, group->name.text);
    }
}

void ledger_delay_acknowledged(struct ledger_group *group, uint64_t position, uint64_t id,
                               uint32_t attempts)
{
    const struct ledger_delayed *delayed = ledger_delayed_find(group, position);
    if (delayed == NULL || delayed->item.id != id) {
        sim_violation("acknowledged is committed",
                      "the delayed message %" PRIx64 " was acknowledged at position %" PRIu64
                      " of %s, but committed there is %s %" PRIx64,
                      id, position, group->name.text, delayed == NULL ? "nothing" : "message",
                      delayed == NULL ? 0 : delayed->item.id);
    }
    if (attempts == 1 && ledger_copies(group, id) != 1) {
        sim_violation("once in the log",
                      "the delayed message %" PRIx64 " was sent once, but %s has it %u times", id,
                      group->name.text, ledger_copies(group, id));
    }
}

void ledger_delays_close(struct ledger_group *group)
{
    MAP_FOREACH(node, &group->delayed)
    {
        free(CONTAINER_OF(node, struct ledger_delayed, by_position));
    }
    map_close(&group->delayed);
}
