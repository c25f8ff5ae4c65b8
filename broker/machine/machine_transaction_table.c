/* The table of half messages: maps, lists and schedules, and nothing of what decides. */
#include "broker/machine/machine_internal.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { TRANSACTION_DIRTY_SIZE = TRANSACTION_ROW_SIZE + 32 };

/* Transactions come and go by the thousand: they are taken from slabs. A slab that is empty goes,
 * if another one has room: after a burst the memory is given back. */
struct transaction_slab {
    struct list link; /* In the machine's list while it has room. */
    struct list free; /* Of transaction.age */
    uint32_t used;
    struct transaction transactions[TRANSACTIONS_PER_SLAB];
};

static struct transaction_slab *slab_new(struct machine *machine);
static void slab_give_back(struct machine *machine, struct transaction *transaction);
static struct heap *schedule_of(struct machine *machine, const struct transaction *transaction);
static void count_add(struct machine *machine, struct transaction *transaction, int64_t step);
static void producer_group_free(struct machine *machine, struct producer_group *group);

static bool is_decided(enum transaction_state state)
{
    return state == TRANSACTION_COMMITTED || state == TRANSACTION_ROLLED_BACK;
}

struct transaction *transaction_new(struct machine *machine)
{
    struct transaction_slab *slab =
        list_empty(&machine->slabs)
            ? slab_new(machine)
            : CONTAINER_OF(machine->slabs.next, struct transaction_slab, link);
    struct transaction *transaction = CONTAINER_OF(list_pop(&slab->free), struct transaction, age);
    if (++slab->used == TRANSACTIONS_PER_SLAB) {
        list_remove(&slab->link);
    }
    *transaction = (struct transaction){.visible_offset = -1, .slab = slab};
    return transaction;
}

static struct transaction_slab *slab_new(struct machine *machine)
{
    struct transaction_slab *slab = mem_alloc(sizeof *slab);
    slab->used = 0;
    slab->link = (struct list){0};
    list_init(&slab->free);
    for (size_t i = 0; i < TRANSACTIONS_PER_SLAB; i++) {
        list_append(&slab->free, &slab->transactions[i].age);
    }
    list_append(&machine->slabs, &slab->link);
    return slab;
}

static void slab_give_back(struct machine *machine, struct transaction *transaction)
{
    struct transaction_slab *slab = transaction->slab;
    list_prepend(&slab->free, &transaction->age);
    slab->used--;
    if (!list_linked(&slab->link)) {
        list_append(&machine->slabs, &slab->link);
    } else if (slab->used == 0 && machine->slabs.next != machine->slabs.prev) {
        list_remove(&slab->link);
        free(slab);
    }
}

void transaction_free(struct machine *machine, struct transaction *transaction)
{
    struct producer_group *group = transaction->group;
    heap_remove(schedule_of(machine, transaction), &transaction->due);
    count_add(machine, transaction, -1);
    transaction_index_remove(&machine->transactions, transaction);
    if (transaction->has_unique) {
        transaction_index_remove(&machine->uniques, transaction);
    }
    list_remove(&transaction->age);
    list_remove(&transaction->outcome);
    list_remove(&transaction->dirty);
    if (transaction->stored) {
        struct key key = key_transaction(transaction->position);
        kv_batch_delete(machine->deletes, key_slice(&key));
    }
    if (transaction->keys != transaction->keys_inline) {
        free(transaction->keys);
    }
    slab_give_back(machine, transaction);
    if (--group->transaction_count == 0) {
        producer_group_free(machine, group);
    }
}

void transaction_mark_dirty(struct machine *machine, struct transaction *transaction)
{
    if (!list_linked(&transaction->dirty)) {
        list_append(&machine->transactions_dirty, &transaction->dirty);
        machine->dirty_size += TRANSACTION_DIRTY_SIZE;
    }
}

void transaction_link(struct machine *machine, struct transaction *transaction)
{
    transaction_index_put(&machine->transactions, transaction);
    if (transaction->has_unique) {
        transaction_index_put(&machine->uniques, transaction);
    }
    transaction->group->transaction_count++;
    list_append(&machine->ages[transaction->state], &transaction->age);
    count_add(machine, transaction, 1);
    if (is_decided(transaction->state)) {
        list_append(&machine->outcomes, &transaction->outcome);
    }
}

static struct heap *schedule_of(struct machine *machine, const struct transaction *transaction)
{
    return transaction->state == TRANSACTION_EXPIRED ? &machine->expired : &transaction->group->due;
}

void transaction_schedule(struct machine *machine, struct transaction *transaction, uint64_t due_ms)
{
    uint64_t position = transaction->position;
    if (transaction->state == TRANSACTION_PENDING) {
        heap_put(&transaction->group->due, &transaction->due, due_ms, position);
    } else if (transaction->state == TRANSACTION_EXPIRED) {
        heap_put(&machine->expired, &transaction->due, position, position);
    }
}

void transaction_set_state(struct machine *machine, struct transaction *transaction,
                           enum transaction_state state, uint64_t due_ms)
{
    ASSERT(!is_decided(transaction->state));
    heap_remove(schedule_of(machine, transaction), &transaction->due);
    count_add(machine, transaction, -1);
    list_remove(&transaction->age);
    transaction->state = state;
    list_append(&machine->ages[state], &transaction->age);
    count_add(machine, transaction, 1);
    transaction_schedule(machine, transaction, due_ms);
    if (is_decided(state)) {
        transaction->decided_ms = machine->meta.clock_ms;
        transaction->outcome_number = machine->meta.outcome_next++;
        list_append(&machine->outcomes, &transaction->outcome);
        if (transaction->keys != transaction->keys_inline) {
            free(transaction->keys);
        }
        transaction->keys = transaction->keys_inline;
        transaction->key_count = 0;
    }
    transaction_mark_dirty(machine, transaction);
}

struct producer_group *producer_group_get(struct machine *machine, struct slice name)
{
    struct map_node *node = map_find(&machine->producer_groups, name);
    if (node != NULL) {
        return CONTAINER_OF(node, struct producer_group, node);
    }
    struct producer_group *group = mem_zalloc(sizeof *group);
    bool fits = name_set(&group->name, name);
    ASSERT(fits);
    group->id = machine->meta.next_id++;
    map_put(&machine->producer_groups, &group->node, name_slice(&group->name));
    list_append(&machine->producer_groups_dirty, &group->dirty);
    return group;
}

static void producer_group_free(struct machine *machine, struct producer_group *group)
{
    if (group->stored) {
        struct key key = key_producer_group(group->id);
        kv_batch_delete(machine->deletes, key_slice(&key));
    }
    map_remove(&machine->producer_groups, &group->node);
    list_remove(&group->dirty);
    heap_close(&group->due);
    free(group);
}

void unique_hash_of(struct slice producer_group, struct slice unique_key, uint8_t hash[16])
{
    uint64_t seed = XXH3_64bits(producer_group.data, producer_group.size);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical,
                             XXH3_128bits_withSeed(unique_key.data, unique_key.size, seed));
    memcpy(hash, canonical.digest, sizeof canonical.digest);
}

struct transaction *transaction_walk(const struct machine *machine, struct transaction *previous)
{
    unsigned state = previous == NULL ? TRANSACTION_PENDING : previous->state;
    const struct list *node = previous == NULL ? machine->ages[state].next : previous->age.next;
    while (node == &machine->ages[state]) {
        if (state == TRANSACTION_EXPIRED) {
            return NULL;
        }
        node = machine->ages[++state].next;
    }
    return CONTAINER_OF(node, struct transaction, age);
}

void transactions_close(struct machine *machine)
{
    for (struct transaction *first; (first = transaction_walk(machine, NULL)) != NULL;) {
        first->stored = false; // Closing is not deleting.
        transaction_free(machine, first);
    }
    // Without transactions there are no producer groups, unless loading failed between the two.
    for (struct map_node *node; (node = map_first(&machine->producer_groups)) != NULL;) {
        producer_group_free(machine, CONTAINER_OF(node, struct producer_group, node));
    }
    transaction_index_close(&machine->transactions);
    transaction_index_close(&machine->uniques);
    heap_close(&machine->expired);
    map_close(&machine->producer_groups);
    for (struct list *node; (node = list_pop(&machine->slabs)) != NULL;) {
        free(CONTAINER_OF(node, struct transaction_slab, link));
    }
}

/* Count it (step 1) or take it out of the counts (step -1), by its present state. */
static void count_add(struct machine *machine, struct transaction *transaction, int64_t step)
{
    struct machine_counters *counters = &machine->meta.counters;
    if (transaction->state == TRANSACTION_PENDING) {
        counters->pending += (uint64_t)step;
        transaction->group->pending_count += (uint64_t)step;
        segment_at(machine, transaction->position)->held_count += (uint32_t)step;
    } else if (transaction->state == TRANSACTION_EXPIRED) {
        counters->expired += (uint64_t)step;
        transaction->group->expired_count += (uint64_t)step;
    }
    if (!is_decided(transaction->state) && transaction->delay.ms != 0) {
        counters->delayed_halves += (uint64_t)step;
    }
    if (!is_decided(transaction->state) && transaction->topic == NULL) {
        machine->orphans += (uint64_t)step;
    }
}

/* --- Reading ------------------------------------------------------------------------------ */

const struct transaction *machine_transaction_find(const struct machine *machine, uint64_t position)
{
    return transaction_index_find_position(&machine->transactions, position);
}

const struct transaction *machine_transaction_find_unique(const struct machine *machine,
                                                          struct slice producer_group,
                                                          struct slice unique_key)
{
    uint8_t hash[16];
    unique_hash_of(producer_group, unique_key, hash);
    return transaction_index_find_unique(&machine->uniques, hash);
}

const struct map *machine_producer_groups(const struct machine *machine)
{
    return &machine->producer_groups;
}

const struct transaction *machine_transaction_next(const struct machine *machine,
                                                   enum transaction_state state,
                                                   const struct transaction *previous)
{
    const struct list *head = &machine->ages[state];
    const struct list *node = previous == NULL ? head->next : previous->age.next;
    return node == head ? NULL : CONTAINER_OF(node, struct transaction, age);
}

uint32_t machine_transactions_due(const struct machine *machine, const struct producer_group *group,
                                  uint64_t now_ms, uint32_t max, const struct transaction **out)
{
    (void)machine;
    struct heap_node **nodes = mem_alloc(((size_t)max + 1) * sizeof(struct heap_node *));
    uint32_t count = (uint32_t)heap_find_due(&group->due, now_ms, max, nodes);
    for (uint32_t i = 0; i < count; i++) {
        out[i] = CONTAINER_OF(nodes[i], struct transaction, due);
    }
    free(nodes);
    return count;
}
