#include "tests/sim/cluster/sim_ledger.h"

#include "common/base/crc32c.h"
#include "common/remoting/message.h"
#include "common/remoting/properties.h"
#include "tests/sim/cluster/sim_ledger_internal.h"
#include "tests/sim/os/sim_memory.h"
#include "tests/sim/os/sim_world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
    struct ledger_group groups[LEDGER_GROUPS_MAX];
    size_t group_count;
    struct ledger_counts counts;
    uint32_t check_max;
} ledger;

/* ---- Tags ---- */

void ledger_tag(enum ledger_kind kind, uint64_t id, char to[LEDGER_TAG_SIZE])
{
    char text[LEDGER_TAG_SIZE + 1];
    snprintf(text, sizeof text, "%c%016" PRIx64 " ", (char)kind, id);
    memcpy(to, text, LEDGER_TAG_SIZE);
}

enum ledger_kind ledger_tag_read(struct slice body, uint64_t *id)
{
    if (body.size < LEDGER_TAG_SIZE) {
        return LEDGER_FOREIGN;
    }
    enum ledger_kind kind = (enum ledger_kind)body.data[0];
    if (kind != LEDGER_PLAIN && kind != LEDGER_BANK && kind != LEDGER_RACE &&
        kind != LEDGER_LATER) {
        return LEDGER_FOREIGN;
    }
    *id = 0;
    for (size_t i = 1; i < LEDGER_TAG_SIZE - 1; i++) {
        uint8_t digit = body.data[i];
        *id = *id << 4 | (uint64_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
    }
    return kind;
}

/* ---- Life ---- */

void ledger_open(uint32_t check_max)
{
    memset(&ledger, 0, sizeof ledger);
    ledger.check_max = check_max;
}

struct ledger_counts *ledger_counts(void)
{
    return &ledger.counts;
}

uint32_t ledger_check_max(void)
{
    return ledger.check_max;
}

struct ledger_group *ledger_group(struct slice name)
{
    for (size_t i = 0; i < ledger.group_count; i++) {
        if (slice_equals(name_slice(&ledger.groups[i].name), name)) {
            return &ledger.groups[i];
        }
    }
    ASSERT(ledger.group_count < LEDGER_GROUPS_MAX);
    struct ledger_group *group = &ledger.groups[ledger.group_count++];
    ASSERT(name_set(&group->name, name));
    list_init(&group->order);
    return group;
}

size_t ledger_group_count(void)
{
    return ledger.group_count;
}

struct ledger_group *ledger_group_at(size_t place)
{
    ASSERT(place < ledger.group_count);
    return &ledger.groups[place];
}

static void group_close(struct ledger_group *group)
{
    for (uint64_t i = 0; i < group->entry_capacity; i++) {
        free(group->entries[i].payload);
    }
    free(group->entries);
    free(group->leaders);
    ledger_model_close(group);
}

void ledger_close(void)
{
    for (size_t i = 0; i < ledger.group_count; i++) {
        group_close(&ledger.groups[i]);
    }
}

/* ---- The log ---- */

static struct ledger_entry *entry_at(struct ledger_group *group, uint64_t index)
{
    if (index >= group->entry_capacity) {
        size_t capacity = (size_t)index * 2 + 64;
        group->entries = mem_realloc(group->entries, capacity * sizeof *group->entries);
        memset(group->entries + group->entry_capacity, 0,
               (capacity - group->entry_capacity) * sizeof *group->entries);
        group->entry_capacity = capacity;
    }
    return &group->entries[index];
}

void ledger_apply(struct ledger_group *group, const char *who, const struct replica_entry *entry)
{
    struct sim_owner *owner = sim_memory_use(NULL);
    struct slice payload = entry->payload;
    uint64_t hash = sim_mix(sim_mix(entry->term, entry->position),
                            crc32c(0, payload.data, payload.size) ^ (uint64_t)payload.size << 32);
    struct ledger_entry *known = entry_at(group, entry->index);
    if (known->term == 0) {
        if (entry->index <= group->last_index) {
            sim_violation("committed prefix",
                          "%s of %s applies entry %" PRIu64
                          ", which others went past without operations",
                          who, group->name.text, entry->index);
        }
        *known = (struct ledger_entry){
            .term = entry->term,
            .position = entry->position,
            .hash = hash,
            .payload = mem_alloc(payload.size),
            .size = payload.size,
        };
        memcpy(known->payload, payload.data, payload.size);
        group->last_index = entry->index;
        ledger.counts.entries++;
        sim_trace(who, "first applies", entry->index, hash);
        ledger_model_apply(group, known);
    } else if (known->hash != hash) {
        sim_violation("committed prefix",
                      "%s of %s applies entry %" PRIu64 " of term %" PRIu64
                      ", others applied another one of term %" PRIu64,
                      who, group->name.text, entry->index, entry->term, known->term);
    }
    sim_memory_use(owner);
}

/* ---- Leaders ---- */

static void check_complete(const struct ledger_group *group, const char *who,
                           const struct replica_state *state, uint64_t applied)
{
    for (uint64_t i = group->last_index; i > applied; i--) {
        const struct ledger_entry *entry = &group->entries[i];
        if (entry->term != 0 && entry->term < state->term) {
            sim_violation("serving leader",
                          "%s of %s serves in term %" PRIu64 " with entries up to %" PRIu64
                          " applied, but entry %" PRIu64 " of term %" PRIu64 " is committed",
                          who, group->name.text, state->term, applied, i, entry->term);
        }
    }
}

void ledger_role(struct ledger_group *group, const char *who, uint64_t id,
                 const struct replica_state *state, uint64_t applied)
{
    sim_trace(who, "role", (uint64_t)state->role << 32 | state->leader_id, state->term);
    if (state->role != REPLICA_ELECTED && state->role != REPLICA_LEADER) {
        return;
    }
    struct sim_owner *owner = sim_memory_use(NULL);
    if (state->term >= group->term_capacity) {
        size_t capacity = (size_t)state->term * 2 + 64;
        group->leaders = mem_realloc(group->leaders, capacity * sizeof *group->leaders);
        memset(group->leaders + group->term_capacity, 0,
               (capacity - group->term_capacity) * sizeof *group->leaders);
        group->term_capacity = capacity;
    }
    sim_memory_use(owner);
    uint64_t *leader = &group->leaders[state->term];
    if (*leader != 0 && *leader != id) {
        sim_violation("one leader per term",
                      "term %" PRIu64 " of %s is led by member %" PRIu64 " and by member %" PRIu64,
                      state->term, group->name.text, *leader, id);
    }
    ledger.counts.elections += *leader == 0;
    *leader = id;
    if (state->role == REPLICA_LEADER) {
        check_complete(group, who, state, applied);
    }
}

/* ---- Check-back ---- */

void ledger_handed(struct ledger_group *group, const char *who, uint64_t position)
{
    struct ledger_half *half = ledger_half_find(group, position);
    if (half == NULL) {
        sim_violation("check-back", "%s asks about position %" PRIu64 " of %s, where is no half",
                      who, position, group->name.text);
    }
    half->handed++;
    sim_trace(who, "asks about", position, half->handed);
}

/* ---- What clients are told ---- */

static struct ledger_item *item_at(const struct ledger_group *group, struct slice topic,
                                   int32_t queue_id, int64_t offset)
{
    struct ledger_queue *queue = ledger_queue_find(group, topic, queue_id);
    return queue == NULL || offset < 0 || (uint64_t)offset >= queue->count ? NULL
                                                                           : &queue->items[offset];
}

void ledger_acknowledged(struct ledger_group *group, struct slice topic, int32_t queue_id,
                         int64_t offset, uint64_t id, uint32_t attempts)
{
    const struct ledger_item *item = item_at(group, topic, queue_id, offset);
    if (item == NULL || item->id != id) {
        sim_violation("acknowledged is committed",
                      "message %" PRIx64 " was acknowledged at %s %.*s/%d offset %" PRId64
                      ", but committed there is %s %" PRIx64,
                      id, group->name.text, SLICE_ARGS(topic), queue_id, offset,
                      item == NULL ? "nothing" : "message", item == NULL ? 0 : item->id);
    }
    if (attempts == 1 && ledger_copies(group, id) != 1) {
        sim_violation("once in the log",
                      "message %" PRIx64 " was sent once, but %s has it %u times", id,
                      group->name.text, ledger_copies(group, id));
    }
}

void ledger_half_acknowledged(struct ledger_group *group, uint64_t position, int64_t half_offset,
                              uint64_t id)
{
    const struct ledger_half *half = ledger_half_find(group, position);
    if (half == NULL || half->id != id || half->half_offset != half_offset) {
        sim_violation("acknowledged is committed",
                      "half %" PRIx64 " was acknowledged at position %" PRIu64
                      " of %s, offset %" PRId64 ", but committed there is %" PRIx64
                      ", offset %" PRId64,
                      id, position, group->name.text, half_offset, half == NULL ? 0 : half->id,
                      half == NULL ? -1 : half->half_offset);
    }
}

void ledger_decided(struct ledger_group *group, uint64_t position, enum ledger_state outcome)
{
    const struct ledger_half *half = ledger_half_find(group, position);
    if (half == NULL || half->state != outcome) {
        sim_violation("one outcome",
                      "outcome %d of the half at %" PRIu64 " of %s was acknowledged, but the log "
                      "says %d",
                      (int)outcome, position, group->name.text,
                      half == NULL ? -1 : (int)half->state);
    }
}

void ledger_seen(struct ledger_group *group, const char *who, struct slice topic, int32_t queue_id,
                 int64_t offset, struct slice body)
{
    uint64_t id = 0;
    enum ledger_kind kind = ledger_tag_read(body, &id);
    const struct ledger_item *item = item_at(group, topic, queue_id, offset);
    ledger.counts.seen++;
    if (item == NULL || item->kind != kind || item->id != id ||
        item->body_crc != crc32c(0, body.data, body.size)) {
        sim_violation("delivered is committed",
                      "%s got message %" PRIx64 " from %s %.*s/%d offset %" PRId64
                      ", but committed there is %s %" PRIx64,
                      who, id, group->name.text, SLICE_ARGS(topic), queue_id, offset,
                      item == NULL ? "nothing" : "message", item == NULL ? 0 : item->id);
    }
}
