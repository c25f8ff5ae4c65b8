#include "nameserver/kv_config.h"

#include "common/base/file.h"
#include "common/base/map.h"
#include "common/base/name.h"
#include "common/remoting/json_text.h"

#include <stdlib.h>

static_assert(KV_TOTAL_SIZE_MAX <= FRAME_SIZE_MAX - HEADER_SIZE_MAX - 1024,
              "the file can be read again, and a frame carries any namespace");
static_assert(2 * KV_VALUE_SIZE_MAX <= HEADER_SIZE_MAX, "a header carries any value");

struct kv_config {
    char *path;
    struct map spaces;
    size_t entry_count;
    size_t total_size; /* As they are written. */
};

struct space {
    struct map_node node;
    struct name name;
    struct map entries; /* Never empty. */
};

struct entry {
    struct map_node node;
    struct name key;
    struct buf value;
};

static enum status store(const struct kv_config *config);
static void put(struct kv_config *config, struct slice space, struct slice key, struct slice value);
static void drop(struct kv_config *config, struct space *space, struct entry *entry);

static struct space *find_space(const struct kv_config *config, struct slice name)
{
    struct map_node *node = map_find(&config->spaces, name);
    return node == NULL ? NULL : CONTAINER_OF(node, struct space, node);
}

static struct entry *find_entry(const struct space *space, struct slice key)
{
    struct map_node *node = space == NULL ? NULL : map_find(&space->entries, key);
    return node == NULL ? NULL : CONTAINER_OF(node, struct entry, node);
}

enum status kv_config_open(const char *path, struct kv_config **out)
{
    struct buf text = {0};
    struct body body = {0};
    const struct named_table *tables;
    size_t count;
    struct kv_config *config = mem_zalloc(sizeof *config);
    config->path = mem_copy_text(slice_text(path));
    enum status status = file_read(path, FRAME_SIZE_MAX, &text);
    if (status == STATUS_OK) {
        status = kv_config_decode(buf_slice(&text), &body, &tables, &count);
        status = status == STATUS_OK ? STATUS_OK : STATUS_CORRUPT;
        for (size_t i = 0; status == STATUS_OK && i < count; i++) {
            for (size_t j = 0; j < tables[i].table.count; j++) {
                const struct text_pair *pair = &tables[i].table.pairs[j];
                put(config, tables[i].name, pair->name, pair->value);
            }
        }
    } else if (status == STATUS_NOT_FOUND) {
        status = STATUS_OK;
    }
    body_close(&body);
    buf_close(&text);
    if (status != STATUS_OK) {
        kv_config_free(config);
        return status;
    }
    *out = config;
    return STATUS_OK;
}

void kv_config_free(struct kv_config *config)
{
    if (config == NULL) {
        return;
    }
    MAP_FOREACH(space_node, &config->spaces)
    {
        struct space *space = CONTAINER_OF(space_node, struct space, node);
        size_t left = space->entries.count; // The space goes with its last entry.
        for (; left > 0; left--) {
            drop(config, space, CONTAINER_OF(map_first(&space->entries), struct entry, node));
        }
    }
    map_close(&config->spaces);
    free(config->path);
    free(config);
}

/* The file is JSON, and a NUL in a text is none that can be read back. */
static bool has_nul(struct slice text)
{
    return text.size > 0 && memchr(text.data, 0, text.size) != NULL;
}

static bool is_kept_name(struct slice name)
{
    return name.size > 0 && name.size <= NAME_MAX_SIZE && !has_nul(name);
}

/* As JSON, in its quotes. */
static size_t text_size(struct slice text)
{
    struct buf json = {0};
    json_put_string(&json, text);
    size_t size = json.size;
    buf_close(&json);
    return size;
}

static size_t entry_size(struct slice key, struct slice value)
{
    return text_size(key) + text_size(value) + sizeof ":," - 1;
}

static size_t space_size(struct slice name)
{
    return text_size(name) + sizeof ":{}," - 1;
}

/* Is there room, when what it replaces is gone? */
static bool has_room(const struct kv_config *config, struct slice space, struct slice key,
                     struct slice value)
{
    struct slice old;
    size_t size = config->total_size + entry_size(key, value);
    if (kv_config_get(config, space, key, &old)) {
        size -= entry_size(key, old);
    } else if (config->entry_count >= KV_ENTRIES_MAX) {
        return false;
    }
    if (find_space(config, space) == NULL) {
        size += space_size(space);
    }
    return text_size(value) <= KV_VALUE_SIZE_MAX + sizeof "\"\"" - 1 && size <= KV_TOTAL_SIZE_MAX;
}

enum status kv_config_put(struct kv_config *config, struct slice space, struct slice key,
                          struct slice value)
{
    if (!is_kept_name(space) || !is_kept_name(key) || has_nul(value)) {
        return STATUS_INVALID_ARGUMENT;
    }
    if (!has_room(config, space, key, value)) {
        return STATUS_LIMIT;
    }
    struct slice old = {0};
    bool replaces = kv_config_get(config, space, key, &old);
    uint8_t *kept = NULL;
    size_t kept_size = old.size;
    if (replaces) {
        kept = mem_alloc(old.size);
        memcpy(kept, old.data == NULL ? (const uint8_t *)"" : old.data, old.size);
    }
    put(config, space, key, value);
    enum status status = store(config);
    if (status != STATUS_OK) {
        struct space *found = find_space(config, space);
        if (replaces) {
            put(config, space, key, slice_of(kept, kept_size));
        } else {
            drop(config, found, find_entry(found, key));
        }
    }
    free(kept);
    return status;
}

/* In memory alone. Names too long to be kept are left out: they could not be asked for either. */
static void put(struct kv_config *config, struct slice space_name, struct slice key,
                struct slice value)
{
    if (!is_kept_name(space_name) || !is_kept_name(key)) {
        return;
    }
    struct space *space = find_space(config, space_name);
    if (space == NULL) {
        space = mem_zalloc(sizeof *space);
        (void)name_set(&space->name, space_name);
        map_put(&config->spaces, &space->node, name_slice(&space->name));
        config->total_size += space_size(space_name);
    }
    struct entry *entry = find_entry(space, key);
    if (entry == NULL) {
        entry = mem_zalloc(sizeof *entry);
        (void)name_set(&entry->key, key);
        map_put(&space->entries, &entry->node, name_slice(&entry->key));
        config->entry_count++;
    } else {
        config->total_size -= entry_size(key, buf_slice(&entry->value));
    }
    config->total_size += entry_size(key, value);
    buf_clear(&entry->value);
    buf_put_slice(&entry->value, value);
}

static void drop(struct kv_config *config, struct space *space, struct entry *entry)
{
    map_remove(&space->entries, &entry->node);
    config->entry_count--;
    config->total_size -= entry_size(name_slice(&entry->key), buf_slice(&entry->value));
    buf_close(&entry->value);
    free(entry);
    if (space->entries.count == 0) {
        map_remove(&config->spaces, &space->node);
        config->total_size -= space_size(name_slice(&space->name));
        map_close(&space->entries);
        free(space);
    }
}

enum status kv_config_delete(struct kv_config *config, struct slice space, struct slice key)
{
    struct space *found = find_space(config, space);
    struct entry *entry = find_entry(found, key);
    if (entry == NULL) {
        return STATUS_OK;
    }
    struct buf kept = {0};
    buf_put_slice(&kept, buf_slice(&entry->value));
    drop(config, found, entry);
    enum status status = store(config);
    if (status != STATUS_OK) {
        put(config, space, key, buf_slice(&kept));
    }
    buf_close(&kept);
    return status;
}

bool kv_config_get(const struct kv_config *config, struct slice space, struct slice key,
                   struct slice *value)
{
    const struct entry *entry = find_entry(find_space(config, space), key);
    if (entry != NULL) {
        *value = buf_slice(&entry->value);
    }
    return entry != NULL;
}

/* The pairs of a space; the caller frees the array. */
static struct pair_table pairs_of(const struct space *space)
{
    struct text_pair *pairs = mem_alloc(space->entries.count * sizeof *pairs);
    struct pair_table table = {0, pairs};
    MAP_FOREACH(node, &space->entries)
    {
        const struct entry *entry = CONTAINER_OF(node, struct entry, node);
        pairs[table.count++] =
            (struct text_pair){name_slice(&entry->key), buf_slice(&entry->value)};
    }
    return table;
}

bool kv_config_list(const struct kv_config *config, struct slice space, struct buf *out)
{
    const struct space *found = find_space(config, space);
    if (found == NULL) {
        return false;
    }
    struct pair_table table = pairs_of(found);
    kv_table_encode(&table, out);
    free((void *)(uintptr_t)table.pairs);
    return true;
}

static enum status store(const struct kv_config *config)
{
    struct buf text = {0};
    struct named_table *tables = mem_alloc((config->spaces.count + 1) * sizeof *tables);
    size_t count = 0;
    MAP_FOREACH(node, &config->spaces)
    {
        const struct space *space = CONTAINER_OF(node, struct space, node);
        tables[count++] = (struct named_table){name_slice(&space->name), pairs_of(space)};
    }
    kv_config_encode(tables, count, &text);
    for (size_t i = 0; i < count; i++) {
        free((void *)(uintptr_t)tables[i].table.pairs);
    }
    free(tables);
    enum status status = file_replace(config->path, buf_slice(&text));
    buf_close(&text);
    return status;
}
