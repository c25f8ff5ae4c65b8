#include "nameserver/route_table.h"

#include "common/remoting/names.h"
#include "nameserver/route_table_internal.h"

#include <stdlib.h>

static bool text_valid(struct slice text);
static enum status check(const struct route_table *table, const struct registration *registration);
static enum status check_room(const struct route_table *table,
                              const struct registration *registration);
static struct broker *take_broker(struct route_table *table, struct slice name);
static struct address *take_address(struct route_table *table, struct broker *broker,
                                    const struct registration *registration, bool *is_new);
static void evict_holder(struct route_table *table, struct broker *broker, int64_t id,
                         struct slice but);
static void place_address(struct broker *broker, struct address *address);
static void drop_address(struct route_table *table, struct address *address);
static void lose_address(struct route_table *table, struct address *address);
static void merge_topics(struct route_table *table, struct broker *broker,
                         const struct registration *registration, bool changed);
static struct entry *take_entry(struct route_table *table, struct broker *broker,
                                struct slice topic_name, bool *is_new);
static void drop_entry(struct route_table *table, struct entry *entry);
static void drop_entries(struct route_table *table, struct broker *broker);
static void free_broker(struct route_table *table, struct broker *broker);

struct route_table *route_table_new(void)
{
    return mem_zalloc(sizeof(struct route_table));
}

void route_table_free(struct route_table *table)
{
    if (table == NULL) {
        return;
    }
    MAP_FOREACH(node, &table->brokers)
    {
        struct broker *broker = CONTAINER_OF(node, struct broker, node);
        LIST_FOREACH(at, &broker->addresses)
        {
            drop_address(table, CONTAINER_OF(at, struct address, in_broker));
        }
        free_broker(table, broker);
    }
    map_close(&table->brokers);
    map_close(&table->addresses);
    map_close(&table->topics);
    free(table);
}

struct broker *route_find_broker(const struct route_table *table, struct slice name)
{
    struct map_node *node = map_find(&table->brokers, name);
    return node == NULL ? NULL : CONTAINER_OF(node, struct broker, node);
}

struct address *route_find_address(const struct route_table *table, struct slice address)
{
    struct map_node *node = map_find(&table->addresses, address);
    return node == NULL ? NULL : CONTAINER_OF(node, struct address, node);
}

struct topic *route_find_topic(const struct route_table *table, struct slice name)
{
    struct map_node *node = map_find(&table->topics, name);
    return node == NULL ? NULL : CONTAINER_OF(node, struct topic, node);
}

enum status route_table_register(struct route_table *table, const struct registration *registration,
                                 uint64_t now_ms)
{
    enum status status = check(table, registration);
    if (status != STATUS_OK) {
        return status;
    }
    struct broker *broker = take_broker(table, registration->broker);
    if (!slice_equals(name_slice(&broker->cluster), registration->cluster)) {
        (void)name_set(&broker->cluster, registration->cluster); // Its size was checked.
        table->generation++;
    }
    broker->accepted_ms = now_ms;
    bool is_new;
    struct address *address = take_address(table, broker, registration, &is_new);
    bool changed = is_new || !data_version_equals(&address->version, &registration->topics.version);
    uint64_t lease_ms = registration->lease_ms == 0 ? LEASE_DEFAULT_MS : registration->lease_ms;
    address->lease_ms = lease_ms > LEASE_MAX_MS ? LEASE_MAX_MS : lease_ms;
    address->expires_ms = now_ms + address->lease_ms;
    address->owner = registration->owner;
    address->version = registration->topics.version;
    if (!name_set(&address->ha_address, registration->ha_address)) {
        (void)name_set(&address->ha_address, (struct slice){0});
    }
    if (registration->id == 0) {
        if (registration->topics.version.state > broker->term) {
            broker->term = registration->topics.version.state;
        }
        merge_topics(table, broker, registration, changed);
    }
    return STATUS_OK;
}

/* Refuse before anything is changed. */
static enum status check(const struct route_table *table, const struct registration *registration)
{
    if (!text_valid(registration->cluster) || !text_valid(registration->broker) ||
        !text_valid(registration->address) || registration->id < 0) {
        return STATUS_INVALID_ARGUMENT;
    }
    const struct broker *broker = route_find_broker(table, registration->broker);
    if (broker != NULL && registration->id == 0 &&
        registration->topics.version.state < broker->term) {
        return STATUS_STALE;
    }
    if (registration->topics.count == 1) {
        bool known = false;
        if (broker != NULL) {
            LIST_FOREACH(at, &broker->addresses)
            {
                known |= CONTAINER_OF(at, struct address, in_broker)->id == registration->id;
            }
        }
        if (!known) {
            return STATUS_REFUSED;
        }
    }
    for (size_t i = 0; i < registration->topics.count; i++) {
        if (!text_valid(registration->topics.topics[i].name)) {
            return STATUS_INVALID_ARGUMENT;
        }
    }
    return check_room(table, registration);
}

/* Room for what it may add: counted generously, as if all its topics were new to the broker. */
static enum status check_room(const struct route_table *table,
                              const struct registration *registration)
{
    const struct broker *broker = route_find_broker(table, registration->broker);
    size_t new_topics = 0;
    if (broker == NULL && table->brokers.count >= BROKERS_MAX) {
        return STATUS_LIMIT;
    }
    if (broker != NULL && broker->address_count >= ADDRESSES_PER_BROKER_MAX &&
        route_find_address(table, registration->address) == NULL) {
        return STATUS_LIMIT;
    }
    if (registration->id != 0) {
        return STATUS_OK;
    }
    for (size_t i = 0; i < registration->topics.count; i++) {
        new_topics += route_find_topic(table, registration->topics.topics[i].name) == NULL;
    }
    bool room = table->topics.count + new_topics <= TOPICS_MAX &&
                table->entry_count + registration->topics.count <= ROUTE_ENTRIES_MAX;
    return room ? STATUS_OK : STATUS_LIMIT;
}

/* Printable ASCII without what would confuse clients that take routes apart as text. */
static bool text_valid(struct slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c <= ' ' || c >= 0x7F || strchr("\"\\{},", c) != NULL) {
            return false;
        }
    }
    return text.size > 0 && text.size <= NAME_MAX_SIZE;
}

static struct broker *take_broker(struct route_table *table, struct slice name)
{
    struct broker *broker = route_find_broker(table, name);
    if (broker == NULL) {
        broker = mem_zalloc(sizeof *broker);
        (void)name_set(&broker->name, name);
        list_init(&broker->addresses);
        list_init(&broker->entries);
        map_put(&table->brokers, &broker->node, name_slice(&broker->name));
    }
    return broker;
}

/* The entry of an address, under this broker and id from now on. */
static struct address *take_address(struct route_table *table, struct broker *broker,
                                    const struct registration *registration, bool *is_new)
{
    struct address *address = route_find_address(table, registration->address);
    *is_new = false;
    if (address != NULL && address->broker != broker) {
        lose_address(table, address); // It plays another role now.
        address = NULL;
    } else if (address != NULL && address->id != registration->id) {
        drop_address(table, address); // Likewise, yet the broker has it again in a moment.
        address = NULL;
    }
    evict_holder(table, broker, registration->id, registration->address);
    if (address == NULL) {
        *is_new = true;
        address = mem_zalloc(sizeof *address);
        (void)name_set(&address->text, registration->address);
        address->id = registration->id;
        address->broker = broker;
        place_address(broker, address);
        map_put(&table->addresses, &address->node, name_slice(&address->text));
        table->generation++;
    }
    return address;
}

/* An id has one address: the newcomer's term is not lower, so the holder goes. */
static void evict_holder(struct route_table *table, struct broker *broker, int64_t id,
                         struct slice but)
{
    LIST_FOREACH(at, &broker->addresses)
    {
        struct address *address = CONTAINER_OF(at, struct address, in_broker);
        if (address->id == id && !slice_equals(name_slice(&address->text), but)) {
            drop_address(table, address);
        }
    }
}

static void place_address(struct broker *broker, struct address *address)
{
    struct list *before = broker->addresses.next;
    while (before != &broker->addresses &&
           CONTAINER_OF(before, struct address, in_broker)->id < address->id) {
        before = before->next;
    }
    list_append(before, &address->in_broker); // Appending to a node's ring puts before it.
    broker->address_count++;
}

/* An address is gone for good; with a broker's last one go its topics, while its name and term are
 * remembered. */
static void lose_address(struct route_table *table, struct address *address)
{
    struct broker *broker = address->broker;
    drop_address(table, address);
    if (broker->address_count == 0) {
        drop_entries(table, broker);
    }
}

static void drop_address(struct route_table *table, struct address *address)
{
    map_remove(&table->addresses, &address->node);
    list_remove(&address->in_broker);
    address->broker->address_count--;
    table->generation++;
    free(address);
}

static void merge_topics(struct route_table *table, struct broker *broker,
                         const struct registration *registration, bool changed)
{
    LIST_FOREACH(at, &broker->entries)
    {
        CONTAINER_OF(at, struct entry, in_broker)->kept = false;
    }
    for (size_t i = 0; i < registration->topics.count; i++) {
        const struct topic_config *config = &registration->topics.topics[i];
        bool is_new;
        struct entry *entry = take_entry(table, broker, config->name, &is_new);
        entry->kept = true;
        if (changed || is_new) {
            entry->queues = (struct queue_data){
                .broker = name_slice(&broker->name),
                .read_queues = config->read_queues,
                .write_queues = config->write_queues,
                .perm = config->perm,
                .sys_flag = config->sys_flag,
            };
            table->generation++;
        }
    }
    if (registration->drop_absent && changed) {
        LIST_FOREACH(at, &broker->entries)
        {
            struct entry *entry = CONTAINER_OF(at, struct entry, in_broker);
            if (!entry->kept) {
                drop_entry(table, entry);
            }
        }
    }
}

static struct entry *take_entry(struct route_table *table, struct broker *broker,
                                struct slice topic_name, bool *is_new)
{
    struct topic *topic = route_find_topic(table, topic_name);
    if (topic == NULL) {
        topic = mem_zalloc(sizeof *topic);
        (void)name_set(&topic->name, topic_name);
        list_init(&topic->entries);
        map_put(&table->topics, &topic->node, name_slice(&topic->name));
    }
    struct list *before = topic->entries.next;
    while (before != &topic->entries) {
        struct entry *entry = CONTAINER_OF(before, struct entry, in_topic);
        int order = slice_compare(name_slice(&entry->broker->name), name_slice(&broker->name));
        if (order == 0) {
            *is_new = false;
            return entry;
        }
        if (order > 0) {
            break;
        }
        before = before->next;
    }
    struct entry *entry = mem_zalloc(sizeof *entry);
    entry->topic = topic;
    entry->broker = broker;
    list_append(before, &entry->in_topic);
    list_append(&broker->entries, &entry->in_broker);
    table->entry_count++;
    table->generation++;
    *is_new = true;
    return entry;
}

/* Also forgets a topic that nobody serves any more. */
static void drop_entry(struct route_table *table, struct entry *entry)
{
    struct topic *topic = entry->topic;
    list_remove(&entry->in_topic);
    list_remove(&entry->in_broker);
    table->entry_count--;
    table->generation++;
    free(entry);
    if (list_empty(&topic->entries)) {
        map_remove(&table->topics, &topic->node);
        buf_close(&topic->encoded);
        buf_close(&topic->order_config);
        free(topic);
    }
}

static void drop_entries(struct route_table *table, struct broker *broker)
{
    LIST_FOREACH(at, &broker->entries)
    {
        drop_entry(table, CONTAINER_OF(at, struct entry, in_broker));
    }
}

static void free_broker(struct route_table *table, struct broker *broker)
{
    drop_entries(table, broker); // They point at it.
    map_remove(&table->brokers, &broker->node);
    free(broker);
}

void route_table_unregister(struct route_table *table, struct slice broker, struct slice address,
                            int64_t id)
{
    struct address *found = route_find_address(table, address);
    if (found != NULL && found->id == id &&
        slice_equals(name_slice(&found->broker->name), broker)) {
        lose_address(table, found);
    }
}

bool route_table_renew(struct route_table *table, struct slice address, uint64_t lease_ms,
                       uint64_t now_ms)
{
    struct address *found = route_find_address(table, address);
    if (found == NULL) {
        return false;
    }
    if (lease_ms > 0) {
        found->lease_ms = lease_ms > LEASE_MAX_MS ? LEASE_MAX_MS : lease_ms;
    }
    found->expires_ms = now_ms + found->lease_ms;
    return true;
}

void route_table_disconnect(struct route_table *table, uint64_t owner)
{
    MAP_FOREACH(node, &table->addresses)
    {
        struct address *address = CONTAINER_OF(node, struct address, node);
        if (address->owner == owner) {
            lose_address(table, address);
        }
    }
}

void route_table_expire(struct route_table *table, uint64_t now_ms)
{
    MAP_FOREACH(node, &table->addresses)
    {
        struct address *address = CONTAINER_OF(node, struct address, node);
        if (address->expires_ms <= now_ms) {
            lose_address(table, address);
        }
    }
    MAP_FOREACH(node, &table->brokers)
    {
        struct broker *broker = CONTAINER_OF(node, struct broker, node);
        if (broker->address_count == 0 && now_ms - broker->accepted_ms >= BROKER_MEMORY_MS) {
            free_broker(table, broker);
        }
    }
}

bool route_table_version(const struct route_table *table, struct slice address,
                         struct data_version *version)
{
    const struct address *found = route_find_address(table, address);
    if (found != NULL) {
        *version = found->version;
    }
    return found != NULL;
}

bool route_table_master(const struct route_table *table, struct slice broker, struct slice *address,
                        struct slice *ha_address)
{
    const struct broker *found = route_find_broker(table, broker);
    if (found == NULL || found->address_count == 0) {
        return false;
    }
    const struct address *first = CONTAINER_OF(found->addresses.next, struct address, in_broker);
    *address = name_slice(&first->text);
    *ha_address = name_slice(&first->ha_address);
    return first->id == 0;
}

size_t route_table_wipe_write(struct route_table *table, struct slice broker)
{
    struct broker *found = route_find_broker(table, broker);
    size_t count = 0;
    if (found != NULL) {
        LIST_FOREACH(at, &found->entries)
        {
            CONTAINER_OF(at, struct entry, in_broker)->queues.perm &= ~PERM_WRITE;
            count++;
        }
        table->generation++;
    }
    return count;
}

size_t route_table_add_write(struct route_table *table, struct slice broker)
{
    struct broker *found = route_find_broker(table, broker);
    size_t count = 0;
    if (found != NULL) {
        LIST_FOREACH(at, &found->entries)
        {
            CONTAINER_OF(at, struct entry, in_broker)->queues.perm = PERM_READ | PERM_WRITE;
            count++;
        }
        table->generation++;
    }
    return count;
}

void route_table_delete_topic(struct route_table *table, struct slice topic, struct slice cluster)
{
    struct topic *found = route_find_topic(table, topic);
    size_t left = 0;
    if (found != NULL) {
        LIST_FOREACH(at, &found->entries)
        {
            left++;
        }
    }
    for (struct list *at = left == 0 ? NULL : found->entries.next; left > 0; left--) {
        struct entry *entry = CONTAINER_OF(at, struct entry, in_topic);
        at = at->next; // The topic itself goes with its last entry.
        if (cluster.size == 0 || slice_equals(name_slice(&entry->broker->cluster), cluster)) {
            drop_entry(table, entry);
        }
    }
}

enum status route_table_put_topic(struct route_table *table, struct slice topic,
                                  const struct queue_data *queues, size_t count)
{
    if (!text_valid(topic)) {
        return STATUS_INVALID_ARGUMENT;
    }
    if (table->entry_count + count > ROUTE_ENTRIES_MAX || table->topics.count >= TOPICS_MAX) {
        return STATUS_LIMIT;
    }
    for (size_t i = 0; i < count; i++) {
        struct broker *broker = route_find_broker(table, queues[i].broker);
        if (broker != NULL && broker->address_count > 0) {
            bool is_new;
            struct entry *entry = take_entry(table, broker, topic, &is_new);
            entry->queues = queues[i];
            entry->queues.broker = name_slice(&broker->name);
            table->generation++;
        }
    }
    return STATUS_OK;
}
