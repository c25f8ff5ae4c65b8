/* Queue locks of orderly consumers: leases in the log's time, so that a new leader honours them.
 *
 * A lease that ran out is anybody's, but is kept for a while: after a time without a leader, in
 * which its holder could not renew it, the new one extends it first (LOCK_EXTEND). */
#include "broker/machine/machine_internal.h"

#include <stdlib.h>

enum {
    LOCKS_MAX = 262144,
    LOCK_ROW_OVERHEAD = 128,
    KEPT_MS = 10 * 60 * 1000,
    /* In one entry: a long pause must not cost a long stall. */
    LOCKS_FORGOTTEN_MAX = LIMITS_PICK(1024, 2),
};

/* A group that has locks, some of which may have run out. */
struct lock_group {
    struct map_node node; /* By name. */
    struct list locks;
    struct name name;
};

struct lock {
    struct map_node node; /* By key. */
    struct list in_group;
    struct lock_group *of;
    struct heap_node due; /* When it runs out. */
    struct list dirty;
    uint8_t *client; /* Owned; as long as it is: there may be many locks. */
    uint32_t client_size;
    struct slice group;
    struct slice topic;
    int32_t queue_id;
    uint32_t key_size;
    uint8_t key[]; /* Group and topic point into it. */
};

static struct lock *find(const struct machine *machine, struct slice group, struct slice topic,
                         int32_t queue_id)
{
    if (group.size > NAME_MAX_SIZE || topic.size > NAME_MAX_SIZE) {
        return NULL;
    }
    struct key key = key_lock(group, topic, queue_id);
    struct map_node *node = map_find(&machine->locks, key_slice(&key));
    return node == NULL ? NULL : CONTAINER_OF(node, struct lock, node);
}

static struct lock_group *group_of(struct machine *machine, struct slice name)
{
    struct map_node *node = map_find(&machine->lock_groups, name);
    if (node != NULL) {
        return CONTAINER_OF(node, struct lock_group, node);
    }
    struct lock_group *group = mem_zalloc(sizeof *group);
    bool fits = name_set(&group->name, name);
    ASSERT(fits);
    list_init(&group->locks);
    map_put(&machine->lock_groups, &group->node, name_slice(&group->name));
    return group;
}

static struct slice client_of(const struct lock *lock)
{
    return slice_of(lock->client, lock->client_size);
}

static void client_set(struct lock *lock, struct slice client)
{
    if (slice_equals(client_of(lock), client)) {
        return;
    }
    lock->client = mem_realloc(lock->client, client.size);
    lock->client_size = (uint32_t)client.size;
    memcpy(lock->client, client.data, client.size);
}

static struct lock *lock_new(struct machine *machine, const struct key *key)
{
    struct lock *lock = mem_zalloc(sizeof *lock + key->size);
    lock->key_size = key->size;
    memcpy(lock->key, key->bytes, key->size);
    struct slice bytes = slice_of(lock->key, lock->key_size);
    bool whole = key_lock_parse(bytes, &lock->group, &lock->topic, &lock->queue_id);
    ASSERT(whole);
    map_put(&machine->locks, &lock->node, bytes);
    lock->of = group_of(machine, lock->group);
    list_append(&lock->of->locks, &lock->in_group);
    return lock;
}

static void lock_free(struct machine *machine, struct lock *lock)
{
    heap_remove(&machine->locks_due, &lock->due);
    map_remove(&machine->locks, &lock->node);
    list_remove(&lock->dirty);
    list_remove(&lock->in_group);
    if (list_empty(&lock->of->locks)) {
        map_remove(&machine->lock_groups, &lock->of->node);
        free(lock->of);
    }
    free(lock->client);
    free(lock);
}

static void lock_delete(struct machine *machine, struct lock *lock)
{
    kv_batch_delete(machine->deletes, slice_of(lock->key, lock->key_size));
    machine->dirty_size += LOCK_ROW_OVERHEAD;
    lock_free(machine, lock);
}

/* Keys are as good as any number to break a tie, and the same on every replica. */
static void lease(struct machine *machine, struct lock *lock, uint64_t until_ms)
{
    heap_remove(&machine->locks_due, &lock->due);
    heap_put(&machine->locks_due, &lock->due, until_ms, lock->node.hash);
}

static void mark_dirty(struct machine *machine, struct lock *lock)
{
    if (!list_linked(&lock->dirty)) {
        list_append(&machine->locks_dirty, &lock->dirty);
        machine->dirty_size += LOCK_ROW_OVERHEAD + lock->key_size;
    }
}

static bool runs(const struct machine *machine, const struct lock *lock)
{
    return lock->due.due > machine->meta.clock_ms;
}

static bool take(struct machine *machine, const struct operation_lock *operation, uint32_t place)
{
    struct slice name = operation->places[place].topic;
    int32_t queue_id = operation->places[place].queue_id;
    const struct topic *topic = topic_find(machine, name);
    struct lock *lock = find(machine, operation->group, name, queue_id);
    if (topic == NULL || queue_id < 0 || (uint32_t)queue_id >= topic->queue_count ||
        (lock == NULL && machine->locks.count >= LOCKS_MAX)) {
        return false;
    }
    if (lock == NULL) {
        struct key key = key_lock(operation->group, name, queue_id);
        lock = lock_new(machine, &key);
    } else if (runs(machine, lock) && !slice_equals(client_of(lock), operation->client)) {
        return false;
    }
    client_set(lock, operation->client);
    lease(machine, lock, machine->meta.clock_ms + operation->lease_ms);
    mark_dirty(machine, lock);
    return true;
}

static bool release(struct machine *machine, const struct operation_lock *operation, uint32_t place)
{
    struct lock *lock = find(machine, operation->group, operation->places[place].topic,
                             operation->places[place].queue_id);
    if (lock == NULL || !slice_equals(client_of(lock), operation->client)) {
        return false;
    }
    lock_delete(machine, lock);
    return true;
}

static void extend(struct machine *machine, const struct operation_lock *operation)
{
    uint64_t until_ms = machine->meta.clock_ms + operation->lease_ms;
    MAP_FOREACH(node, &machine->locks)
    {
        struct lock *lock = CONTAINER_OF(node, struct lock, node);
        if (lock->due.due > operation->since_ms && lock->due.due < until_ms) {
            lease(machine, lock, until_ms);
            mark_dirty(machine, lock);
        }
    }
}

void apply_lock(struct machine *machine, const struct operation_lock *operation,
                struct operation_result *result)
{
    struct name name;
    result->status = STATUS_OK;
    if (operation->action == LOCK_EXTEND) {
        extend(machine, operation);
        return;
    }
    if (operation->group.size == 0 || !name_set(&name, operation->group)) {
        result->status = STATUS_GROUP_INVALID;
        return;
    }
    if (operation->client.size == 0 || !name_set(&name, operation->client)) {
        result->status = STATUS_INVALID_ARGUMENT;
        return;
    }
    for (uint32_t i = 0; i < operation->count; i++) {
        bool done = operation->action == LOCK_TAKE ? take(machine, operation, i)
                                                   : release(machine, operation, i);
        result->locked |= (uint64_t)done << i;
    }
}

void locks_forget(struct machine *machine)
{
    for (unsigned i = 0; i < LOCKS_FORGOTTEN_MAX; i++) {
        struct heap_node *first = heap_first(&machine->locks_due);
        if (first == NULL || first->due + KEPT_MS > machine->meta.clock_ms) {
            return;
        }
        lock_delete(machine, CONTAINER_OF(first, struct lock, due));
    }
}

void locks_delete_topic(struct machine *machine, struct slice topic)
{
    MAP_FOREACH(node, &machine->locks)
    {
        struct lock *lock = CONTAINER_OF(node, struct lock, node);
        if (slice_equals(lock->topic, topic)) {
            lock_delete(machine, lock);
        }
    }
}

void locks_delete_group(struct machine *machine, struct slice group)
{
    MAP_FOREACH(node, &machine->locks)
    {
        struct lock *lock = CONTAINER_OF(node, struct lock, node);
        if (slice_equals(lock->group, group)) {
            lock_delete(machine, lock);
        }
    }
}

enum status lock_load(struct machine *machine, struct slice key, struct slice value)
{
    struct slice group;
    struct slice topic;
    int32_t queue_id;
    struct lock_row row;
    if (!key_lock_parse(key, &group, &topic, &queue_id) || group.size > NAME_MAX_SIZE ||
        topic.size > NAME_MAX_SIZE || lock_row_decode(value, &row) != STATUS_OK ||
        row.client.size == 0) {
        return STATUS_CORRUPT;
    }
    struct key own = key_lock(group, topic, queue_id);
    struct lock *lock = lock_new(machine, &own);
    client_set(lock, row.client);
    lease(machine, lock, row.until_ms);
    return STATUS_OK;
}

static void encode(const struct lock *lock, struct buf *out)
{
    const struct lock_row row = {.until_ms = lock->due.due, .client = client_of(lock)};
    lock_row_encode(&row, out);
}

void locks_checkpoint(struct machine *machine, struct kv_batch *batch)
{
    struct buf value = {0};
    for (struct list *node; (node = list_pop(&machine->locks_dirty)) != NULL;) {
        const struct lock *lock = CONTAINER_OF(node, struct lock, dirty);
        buf_clear(&value);
        encode(lock, &value);
        kv_batch_put(batch, slice_of(lock->key, lock->key_size), buf_slice(&value));
    }
    buf_close(&value);
}

uint64_t locks_hash(const struct machine *machine)
{
    uint64_t hash = 0;
    struct buf value = {0};
    MAP_FOREACH(node, &machine->locks)
    {
        const struct lock *lock = CONTAINER_OF(node, struct lock, node);
        buf_clear(&value);
        encode(lock, &value);
        hash += machine_item_hash(KEY_LOCK, slice_of(lock->key, lock->key_size), buf_slice(&value));
    }
    buf_close(&value);
    return hash;
}

void locks_close(struct machine *machine)
{
    for (struct map_node *node; (node = map_first(&machine->locks)) != NULL;) {
        lock_free(machine, CONTAINER_OF(node, struct lock, node));
    }
    map_close(&machine->locks);
    map_close(&machine->lock_groups);
    heap_close(&machine->locks_due);
}

bool machine_lock_find(const struct machine *machine, struct slice group, struct slice topic,
                       int32_t queue_id, struct machine_lock *out)
{
    const struct lock *lock = find(machine, group, topic, queue_id);
    if (lock == NULL) {
        return false;
    }
    *out = (struct machine_lock){.client = client_of(lock), .until_ms = lock->due.due};
    return true;
}

bool machine_group_holds_lock(const struct machine *machine, struct slice group, uint64_t now_ms)
{
    struct map_node *node = map_find(&machine->lock_groups, group);
    if (node == NULL) {
        return false;
    }
    LIST_FOREACH(at, &CONTAINER_OF(node, struct lock_group, node)->locks)
    {
        if (CONTAINER_OF(at, struct lock, in_group)->due.due > now_ms) {
            return true;
        }
    }
    return false;
}

bool machine_has_locks(const struct machine *machine)
{
    return machine->locks.count > 0;
}
