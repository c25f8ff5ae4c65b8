#include "tests/sim/sim_disk.h"

#include "common/base/buf.h"

#include <stdio.h>
#include <stdlib.h>

enum { SECTOR = 512, FILES_MAX = 4096, NAME_CHANGES_MAX = 256 };

struct range {
    uint64_t offset;
    uint64_t size;
};

struct content {
    uint32_t references;
    size_t size;
    uint8_t *now;
    uint8_t *synced;
    size_t synced_size;
    struct range *dirty; // Written and not synced, in the order of the writes.
    size_t dirty_count;
    size_t dirty_capacity;
};

/* An open file, or the port's view of it. */
struct file {
    struct file *next; // All that were opened, to be freed at a crash.
    struct content *content;
    bool direct; // Takes whole aligned blocks alone.
};

struct named {
    char name[DIRECTORY_NAME_MAX];
    struct content *content;
};

struct names {
    struct named *list;
    size_t count;
};

enum change_kind { CHANGE_PUT, CHANGE_RENAME, CHANGE_REMOVE };

struct name_change {
    enum change_kind kind;
    char from[DIRECTORY_NAME_MAX];
    char to[DIRECTORY_NAME_MAX];
    struct content *content;
};

struct sim_disk {
    struct random random;
    struct names now;
    struct names synced;
    struct name_change changes[NAME_CHANGES_MAX];
    size_t change_count;
    struct file *open;
    uint64_t operations;
    uint64_t die_at; // Operations beyond this number fail; UINT64_MAX: never.
    uint64_t size_max;
};

static struct content *content_new(size_t size)
{
    struct content *content = mem_zalloc(sizeof *content);
    content->references = 1;
    content->size = size;
    content->now = mem_zalloc(size + 1);
    content->synced = mem_zalloc(size + 1);
    content->synced_size = size; // The size of a file is durable with its name.
    return content;
}

static struct content *content_hold(struct content *content)
{
    content->references++;
    return content;
}

static void content_release(struct content *content)
{
    if (content != NULL && --content->references == 0) {
        free(content->now);
        free(content->synced);
        free(content->dirty);
        free(content);
    }
}

static struct named *names_find(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->list[i].name, name) == 0) {
            return &names->list[i];
        }
    }
    return NULL;
}

static void names_remove(struct names *names, const char *name)
{
    struct named *named = names_find(names, name);
    if (named != NULL) {
        content_release(named->content);
        *named = names->list[--names->count];
    }
}

static void names_put(struct names *names, const char *name, struct content *content)
{
    content_hold(content);
    names_remove(names, name);
    ASSERT(names->count < FILES_MAX);
    names->list = mem_realloc(names->list, (names->count + 1) * sizeof *names->list);
    struct named *named = &names->list[names->count++];
    snprintf(named->name, sizeof named->name, "%s", name);
    named->content = content;
}

static void names_clear(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        content_release(names->list[i].content);
    }
    free(names->list);
    *names = (struct names){0};
}

static void names_copy(struct names *to, const struct names *from)
{
    names_clear(to);
    for (size_t i = 0; i < from->count; i++) {
        names_put(to, from->list[i].name, from->list[i].content);
    }
}

static void names_change(struct names *names, const struct name_change *change)
{
    struct named *named = NULL;
    switch (change->kind) {
    case CHANGE_PUT:
        names_put(names, change->to, change->content);
        break;
    case CHANGE_RENAME:
        named = names_find(names, change->from);
        if (named != NULL) {
            struct content *content = content_hold(named->content);
            names_remove(names, change->from);
            names_put(names, change->to, content);
            content_release(content);
        }
        break;
    case CHANGE_REMOVE:
        names_remove(names, change->from);
        break;
    }
}

/* Count a changing operation; true if the power is gone. */
static bool dead(struct sim_disk *disk)
{
    disk->operations++;
    return disk->operations > disk->die_at;
}

static void change_names(struct sim_disk *disk, enum change_kind kind, const char *from,
                         const char *to, struct content *content)
{
    ASSERT(disk->change_count < NAME_CHANGES_MAX);
    struct name_change *change = &disk->changes[disk->change_count++];
    *change = (struct name_change){.kind = kind, .content = content};
    snprintf(change->from, sizeof change->from, "%s", from);
    snprintf(change->to, sizeof change->to, "%s", to);
    if (content != NULL) {
        content_hold(content);
    }
    names_change(&disk->now, change);
}

static bool fits(const struct sim_disk *disk, size_t more)
{
    uint64_t size = 0;
    for (size_t i = 0; i < disk->now.count; i++) {
        size += disk->now.list[i].content->size;
    }
    return disk->size_max == UINT64_MAX || size + more <= disk->size_max;
}

static void forget_changes(struct sim_disk *disk)
{
    for (size_t i = 0; i < disk->change_count; i++) {
        content_release(disk->changes[i].content);
    }
    disk->change_count = 0;
}

static struct file *open_content(struct sim_disk *disk, struct content *content)
{
    struct file *file = mem_alloc(sizeof *file);
    *file = (struct file){.next = disk->open, .content = content_hold(content)};
    disk->open = file;
    return file;
}

static enum status sim_open(void *context, const char *name, struct file **out)
{
    struct sim_disk *disk = context;
    struct named *named = names_find(&disk->now, name);
    if (named == NULL) {
        return STATUS_NOT_FOUND;
    }
    *out = open_content(disk, named->content);
    return STATUS_OK;
}

static enum status sim_open_direct(void *context, const char *name, struct file **out)
{
    enum status status = sim_open(context, name, out);
    if (status == STATUS_OK) {
        (*out)->direct = true;
    }
    return status;
}

static void assert_aligned(const struct file *file, uint64_t offset, const struct iovec *parts,
                           size_t count)
{
    ASSERT(count == 1 && offset % DIRECTORY_BLOCK_SIZE == 0);
    ASSERT((uintptr_t)parts->iov_base % DIRECTORY_BLOCK_SIZE == 0);
    uint64_t end = offset + parts->iov_len;
    ASSERT(end % DIRECTORY_BLOCK_SIZE == 0 || end == file->content->size);
}

static enum status sim_create(void *context, const char *name, uint64_t size, struct file **out)
{
    struct sim_disk *disk = context;
    if (dead(disk)) {
        return STATUS_IO;
    }
    if (!fits(disk, (size_t)size)) {
        return STATUS_DISK_FULL;
    }
    struct content *content = content_new((size_t)size);
    change_names(disk, CHANGE_PUT, "", name, content);
    *out = open_content(disk, content);
    content_release(content);
    return STATUS_OK;
}

static void sim_close(void *context, struct file *file)
{
    struct sim_disk *disk = context;
    struct file **at = &disk->open;
    while (*at != file) {
        ASSERT(*at != NULL);
        at = &(*at)->next;
    }
    *at = file->next;
    content_release(file->content);
    free(file);
}

static void grow(struct content *content, size_t size)
{
    if (size <= content->size) {
        return;
    }
    content->now = mem_realloc(content->now, size + 1);
    content->synced = mem_realloc(content->synced, size + 1);
    memset(content->now + content->size, 0, size - content->size);
    memset(content->synced + content->size, 0, size - content->size);
    content->size = size;
}

static enum status sim_write(void *context, struct file *file, uint64_t offset,
                             const struct iovec *parts, size_t count)
{
    struct sim_disk *disk = context;
    if (dead(disk)) {
        return STATUS_IO;
    }
    if (file->direct) {
        assert_aligned(file, offset, parts, count);
    }
    struct content *content = file->content;
    uint64_t end = offset;
    for (size_t i = 0; i < count; i++) {
        end += parts[i].iov_len;
    }
    if (end > content->size && !fits(disk, (size_t)end - content->size)) {
        return STATUS_DISK_FULL;
    }
    uint64_t at = offset;
    for (size_t i = 0; i < count; i++) {
        grow(content, (size_t)at + parts[i].iov_len);
        memcpy(content->now + at, parts[i].iov_base, parts[i].iov_len);
        at += parts[i].iov_len;
    }
    if (content->dirty_count == content->dirty_capacity) {
        content->dirty_capacity = content->dirty_capacity == 0 ? 8 : 2 * content->dirty_capacity;
        content->dirty =
            mem_realloc(content->dirty, content->dirty_capacity * sizeof *content->dirty);
    }
    content->dirty[content->dirty_count++] = (struct range){offset, at - offset};
    return STATUS_OK;
}

static enum status sim_sync(void *context, struct file *file)
{
    struct sim_disk *disk = context;
    if (dead(disk)) {
        return STATUS_IO;
    }
    struct content *content = file->content;
    for (size_t i = 0; i < content->dirty_count; i++) {
        memcpy(content->synced + content->dirty[i].offset, content->now + content->dirty[i].offset,
               (size_t)content->dirty[i].size);
    }
    content->dirty_count = 0;
    content->synced_size = content->size;
    return STATUS_OK;
}

static enum status sim_read(void *context, struct file *file, uint64_t offset, uint8_t *to,
                            size_t size)
{
    (void)context;
    const struct content *content = file->content;
    if (offset + size > content->size) {
        return STATUS_NOT_FOUND;
    }
    memcpy(to, content->now + offset, size);
    return STATUS_OK;
}

static enum status sim_size(void *context, struct file *file, uint64_t *size)
{
    (void)context;
    *size = file->content->size;
    return STATUS_OK;
}

static enum status sim_rename(void *context, const char *from, const char *to)
{
    struct sim_disk *disk = context;
    if (dead(disk)) {
        return STATUS_IO;
    }
    if (names_find(&disk->now, from) == NULL) {
        return STATUS_NOT_FOUND;
    }
    change_names(disk, CHANGE_RENAME, from, to, NULL);
    return STATUS_OK;
}

static enum status sim_remove(void *context, const char *name)
{
    struct sim_disk *disk = context;
    if (dead(disk)) {
        return STATUS_IO;
    }
    change_names(disk, CHANGE_REMOVE, name, "", NULL);
    return STATUS_OK;
}

static enum status sim_sync_names(void *context)
{
    struct sim_disk *disk = context;
    if (dead(disk)) {
        return STATUS_IO;
    }
    names_copy(&disk->synced, &disk->now);
    forget_changes(disk);
    return STATUS_OK;
}

static enum status sim_list(void *context, void (*each)(void *argument, const char *name),
                            void *argument)
{
    struct sim_disk *disk = context;
    for (size_t i = 0; i < disk->now.count; i++) {
        each(argument, disk->now.list[i].name);
    }
    return STATUS_OK;
}

static const struct directory_ops sim_ops = {
    .open = sim_open,
    .open_direct = sim_open_direct,
    .create = sim_create,
    .close = sim_close,
    .write = sim_write,
    .sync = sim_sync,
    .read = sim_read,
    .read_now = sim_read,
    .size = sim_size,
    .rename = sim_rename,
    .remove = sim_remove,
    .sync_names = sim_sync_names,
    .list = sim_list,
};

struct sim_disk *sim_disk_new(uint64_t seed)
{
    struct sim_disk *disk = mem_zalloc(sizeof *disk);
    disk->random.state = seed;
    disk->die_at = UINT64_MAX;
    disk->size_max = UINT64_MAX;
    return disk;
}

void sim_disk_free(struct sim_disk *disk)
{
    ASSERT(disk->open == NULL);
    forget_changes(disk);
    names_clear(&disk->now);
    names_clear(&disk->synced);
    free(disk);
}

struct directory sim_disk_directory(struct sim_disk *disk)
{
    return (struct directory){.ops = &sim_ops, .context = disk};
}

void sim_disk_limit(struct sim_disk *disk, uint64_t bytes)
{
    disk->size_max = bytes;
}

void sim_disk_die_after(struct sim_disk *disk, uint64_t operations)
{
    disk->die_at = disk->operations + operations;
}

uint64_t sim_disk_operations(const struct sim_disk *disk)
{
    return disk->operations;
}

/* Sectors of writes that were not synced reach the disk or not; in some crashes all do, in some
 * none does. */
static void settle(struct sim_disk *disk, struct content *content)
{
    uint64_t mood = random_below(&disk->random, 4);
    for (size_t i = 0; i < content->dirty_count; i++) {
        uint64_t at = content->dirty[i].offset;
        uint64_t end = at + content->dirty[i].size;
        while (at < end) {
            uint64_t stop = (at / SECTOR + 1) * SECTOR;
            stop = stop < end ? stop : end;
            bool kept = mood == 0 || (mood != 1 && random_below(&disk->random, 2) == 0);
            if (kept) {
                memcpy(content->synced + at, content->now + at, (size_t)(stop - at));
            }
            at = stop;
        }
    }
    if (content->dirty_count > 0) {
        memcpy(content->now, content->synced, content->size);
        content->dirty_count = 0;
    }
}

void sim_disk_abandon(struct sim_disk *disk)
{
    disk->die_at = UINT64_MAX;
    while (disk->open != NULL) {
        sim_close(disk, disk->open);
    }
}

uint64_t sim_disk_size(const struct sim_disk *disk)
{
    uint64_t size = 0;
    for (size_t i = 0; i < disk->now.count; i++) {
        size += disk->now.list[i].content->size;
    }
    return size;
}

void sim_disk_crash(struct sim_disk *disk)
{
    ASSERT(disk->open == NULL);
    disk->die_at = UINT64_MAX;
    size_t keep = (size_t)random_below(&disk->random, disk->change_count + 1);
    for (size_t i = 0; i < keep; i++) {
        names_change(&disk->synced, &disk->changes[i]);
    }
    forget_changes(disk);
    names_copy(&disk->now, &disk->synced);
    for (size_t i = 0; i < disk->now.count; i++) {
        settle(disk, disk->now.list[i].content);
    }
}

uint8_t *sim_disk_bytes(struct sim_disk *disk, const char *name, size_t *size)
{
    struct named *named = names_find(&disk->now, name);
    if (named == NULL) {
        return NULL;
    }
    *size = named->content->size;
    return named->content->now;
}

const uint8_t *sim_disk_synced(const struct sim_disk *disk, const char *name, size_t *size)
{
    struct named *named = names_find(&disk->synced, name);
    if (named == NULL) {
        return NULL;
    }
    *size = named->content->synced_size;
    return named->content->synced;
}

bool sim_disk_settled(const struct sim_disk *disk, const char *name)
{
    const struct named *now = names_find(&disk->now, name);
    const struct named *synced = names_find(&disk->synced, name);
    return now != NULL && synced != NULL && now->content == synced->content &&
           now->content->size >= now->content->synced_size;
}

size_t sim_disk_count(const struct sim_disk *disk)
{
    return disk->now.count;
}

const char *sim_disk_name(const struct sim_disk *disk, size_t place)
{
    ASSERT(place < disk->now.count);
    return disk->now.list[place].name;
}

void sim_disk_damage(struct sim_disk *disk, const char *name, size_t offset, const uint8_t *bytes,
                     size_t size)
{
    struct named *named = names_find(&disk->now, name);
    ASSERT(named != NULL && offset + size <= named->content->size);
    memcpy(named->content->now + offset, bytes, size);
    memcpy(named->content->synced + offset, bytes, size);
}

struct sim_disk *sim_disk_copy(const struct sim_disk *disk, uint64_t seed)
{
    struct sim_disk *copy = sim_disk_new(seed);
    for (size_t i = 0; i < disk->now.count; i++) {
        const struct content *from = disk->now.list[i].content;
        struct content *content = content_new(from->size);
        memcpy(content->now, from->now, from->size);
        memcpy(content->synced, from->now, from->size);
        names_put(&copy->now, disk->now.list[i].name, content);
        content_release(content);
    }
    names_copy(&copy->synced, &copy->now);
    return copy;
}
