#include "tests/sim/cluster/sim_atlas.h"

#include "broker/host/group_internal.h"
#include "common/base/bytes.h"
#include "common/base/crc32c.h"
#include "raft-glue/log_frame.h"
#include "raft-glue/segment_file.h"
#include "tests/sim/cluster/sim_ledger.h"
#include "tests/sim/cluster/sim_nodes.h"
#include "tests/sim/os/sim_process.h"
#include "tests/sim/sim_disk.h"

#include <stdio.h>

enum { WOUNDS_MAX = 64, SECTOR = 512, FLIPS_MAX = 3 };

/* A byte that is not what was written, or a whole store. */
struct wound {
    char path[SIM_PATH_MAX];
    uint64_t store;
    char name[DIRECTORY_NAME_MAX]; // Of the file; "": all of it.
    size_t offset;
    uint8_t byte;
};

/* The files of log_mark.h. */
static const char *const mark_files[2] = {"durable.0", "durable.1"};
enum { MARK_FILE_SIZE = 48 };

static struct {
    int node; /* -1: none. */
    uint64_t last[SIM_GROUPS_MAX];
    struct wound wounds[WOUNDS_MAX];
    size_t wound_count;
} atlas;

void atlas_open(void)
{
    memset(&atlas, 0, sizeof atlas);
    atlas.node = -1;
}

/* ---- Who is well ---- */

static struct ledger_group *ledger_of(size_t group)
{
    return ledger_group(slice_text(sim_group_name(group)));
}

bool atlas_has(size_t node, size_t group, uint64_t last)
{
    struct replica_view view;
    return sim_node_view(node, group, &view) && !view.abstaining && view.applied_index >= last;
}

bool atlas_is_well(size_t node)
{
    bool well = sim_node_up(node);
    for (size_t i = 0; well && i < sim_group_count(); i++) {
        well = atlas_has(node, i, 0);
    }
    return well;
}

static bool is_open(const struct wound *wound, struct sim_host *host)
{
    const struct sim_store *store = sim_host_store_find(host, wound->path);
    size_t size = 0;
    if (store == NULL || store->number != wound->store) {
        return false;
    }
    if (wound->name[0] == '\0') {
        return true;
    }
    if (store->disk == NULL) {
        return false;
    }
    const uint8_t *bytes = sim_disk_bytes(store->disk, wound->name, &size);
    return bytes != NULL && wound->offset < size && bytes[wound->offset] == wound->byte;
}

int atlas_hurt(void)
{
    if (atlas.node < 0) {
        return -1;
    }
    size_t node = (size_t)atlas.node;
    bool hurt = !sim_node_up(node);
    for (size_t i = 0; !hurt && i < sim_group_count(); i++) {
        hurt = !atlas_has(node, i, atlas.last[i]);
    }
    for (size_t i = 0; !hurt && i < atlas.wound_count; i++) {
        hurt = is_open(&atlas.wounds[i], sim_node_host(node));
    }
    if (!hurt) {
        sim_trace(sim_node_host(node)->name, "is whole again", 0, 0);
        atlas.node = -1;
        atlas.wound_count = 0;
    }
    return atlas.node;
}

bool atlas_may_hurt(size_t node)
{
    int hurt = atlas_hurt();
    bool may = hurt < 0 || (size_t)hurt == node;
    for (size_t i = 0; may && i < sim_node_count(); i++) {
        may = i == node || atlas_is_well(i);
    }
    return may;
}

static void mark(size_t node)
{
    atlas.node = (int)node;
    for (size_t i = 0; i < sim_group_count(); i++) {
        atlas.last[i] = ledger_of(i)->last_index;
    }
}

/* ---- Loss ---- */

static size_t any_group(void)
{
    return (size_t)sim_draw(SIM_FAULT, sim_group_count());
}

void atlas_lose_disks(size_t node)
{
    struct sim_host *host = sim_node_host(node);
    char path[SIM_PATH_MAX];
    bool all = sim_one_in(SIM_FAULT, 2);
    ASSERT(host->process == NULL);
    snprintf(path, sizeof path, "/data/%s", sim_group_name(any_group()));
    sim_host_remove(host, all ? "/data" : path);
    sim_trace(host->name, "loses its disks", all, 0);
    mark(node);
}

void atlas_lose_store(size_t node)
{
    struct sim_host *host = sim_node_host(node);
    char path[SIM_PATH_MAX];
    ASSERT(host->process == NULL);
    snprintf(path, sizeof path, "/data/%s/store", sim_group_name(any_group()));
    sim_host_remove(host, path);
    sim_trace(host->name, "loses a store", 0, 0);
    mark(node); // If its log was cut, it has to lay all aside for a copy.
}

bool atlas_rot_store(size_t node)
{
    struct sim_host *host = sim_node_host(node);
    char path[SIM_PATH_MAX];
    snprintf(path, sizeof path, "/data/%s/store", sim_group_name(any_group()));
    const struct sim_store *store = sim_host_store_find(host, path);
    if (store == NULL || store->kv == NULL || atlas.wound_count == WOUNDS_MAX) {
        return false;
    }
    struct wound *wound = &atlas.wounds[atlas.wound_count++];
    *wound = (struct wound){.store = store->number};
    memcpy(wound->path, store->path, sizeof wound->path);
    kv_memory_rot(store->kv);
    host->disk_faults.failed = true; // A CUT that cannot read it has no other way.
    sim_trace(host->name, "has a store that rots", 0, 0);
    mark(node);
    return true;
}

bool atlas_rots(size_t *node)
{
    bool rots = false;
    for (size_t i = 0; atlas_hurt() >= 0 && i < atlas.wound_count; i++) {
        rots = rots || (atlas.wounds[i].name[0] == '\0' &&
                        is_open(&atlas.wounds[i], sim_node_host((size_t)atlas.node)));
    }
    *node = rots ? (size_t)atlas.node : 0;
    return rots && sim_node_up(*node);
}

/* ---- Damage ---- */

/* Up to where a log is vouched for by a frame that is committed and on the medium. */
static uint64_t safe_mark(const struct sim_disk *disk, size_t group, uint64_t number)
{
    struct slice name = slice_text(sim_group_name(group));
    uint32_t seed = (uint32_t)replica_group_identity(slice_text("sim"), name);
    uint64_t committed = ledger_of(group)->last_index;
    uint64_t mark = 0;
    for (size_t size = 0;; number++) {
        char file[DIRECTORY_NAME_MAX];
        struct log_frame frame;
        struct slice payload;
        segment_name_format(number, file);
        const uint8_t *bytes = sim_disk_synced(disk, file, &size);
        size_t at = SEGMENT_HEADER_SIZE;
        while (bytes != NULL && at < size &&
               log_frame_decode_whole(slice_of(bytes + at, size - at), seed, &frame, &payload) ==
                   STATUS_OK &&
               frame.position % size == at && frame.index <= committed) {
            mark = frame.durable_mark > mark ? frame.durable_mark : mark;
            at += log_frame_size(frame.payload_size);
        }
        if (bytes == NULL) {
            return mark;
        }
    }
}

/* Up to where the mark beside a log vouches for it, as both its files on the medium say. */
static uint64_t safe_stored_mark(const struct sim_disk *disk, size_t group)
{
    uint64_t position = UINT64_MAX;
    for (size_t i = 0; i < 2; i++) {
        size_t size = 0;
        const uint8_t *bytes = sim_disk_synced(disk, mark_files[i], &size);
        bool whole = bytes != NULL && size == MARK_FILE_SIZE &&
                     le32_get(bytes + 4) == crc32c(0, bytes + 8, MARK_FILE_SIZE - 8);
        if (!whole || le64_get(bytes + 24) > ledger_of(group)->last_index) {
            return 0;
        }
        uint64_t says = le64_get(bytes + 40);
        position = says < position ? says : position;
    }
    return position;
}

/* Is the other one of the files that hold the mark damaged? Then this one is all there is. */
static bool is_last_mark(struct sim_host *host, const char *name)
{
    for (size_t i = 0; i < atlas.wound_count; i++) {
        const char *wounded = atlas.wounds[i].name;
        bool mark = strcmp(wounded, mark_files[0]) == 0 || strcmp(wounded, mark_files[1]) == 0;
        if (mark && strcmp(wounded, name) != 0 && is_open(&atlas.wounds[i], host)) {
            return strcmp(name, mark_files[0]) == 0 || strcmp(name, mark_files[1]) == 0;
        }
    }
    return false;
}

/* How much of a file, from its beginning, may be damaged. */
static size_t vulnerable(const struct sim_disk *disk, size_t group, const char *name)
{
    size_t size = 0;
    uint64_t number;
    if (sim_disk_synced(disk, name, &size) == NULL || size == 0 || !sim_disk_settled(disk, name)) {
        return 0; // It is being made, removed, or cut to size.
    }
    if (!segment_name_parse(name, &number)) {
        return size;
    }
    uint64_t mark = safe_mark(disk, group, number);
    uint64_t stored = safe_stored_mark(disk, group);
    mark = stored > mark ? stored : mark;
    uint64_t begin = number * size;
    return mark <= begin ? 0 : mark - begin < size ? (size_t)(mark - begin) : size;
}

/* What nobody reads as truth needs not be healed: summaries and spare segments. */
static bool is_truth(const char *name)
{
    uint64_t number;
    return !summary_name_parse(name, &number) && !spare_name_parse(name, &number);
}

static void hurt_bytes(struct sim_store *store, const char *name, size_t offset,
                       const uint8_t *bytes, size_t size)
{
    size_t whole;
    const uint8_t *before = sim_disk_bytes(store->disk, name, &whole);
    size_t first = 0;
    while (first < size && before[offset + first] == bytes[first]) {
        first++;
    }
    if (first < size && is_truth(name)) {
        ASSERT(atlas.wound_count < WOUNDS_MAX);
        struct wound *wound = &atlas.wounds[atlas.wound_count++];
        *wound =
            (struct wound){.store = store->number, .offset = offset + first, .byte = bytes[first]};
        memcpy(wound->path, store->path, sizeof wound->path);
        snprintf(wound->name, sizeof wound->name, "%s", name);
    }
    sim_disk_damage(store->disk, name, offset, bytes, size);
}

static void flip(struct sim_store *store, const char *name, size_t size)
{
    size_t whole;
    for (uint64_t flips = 1 + sim_draw(SIM_FAULT, FLIPS_MAX); flips > 0; flips--) {
        size_t offset = (size_t)sim_draw(SIM_FAULT, size);
        uint8_t byte = sim_disk_bytes(store->disk, name, &whole)[offset];
        byte ^= (uint8_t)(1U << sim_draw(SIM_FAULT, 8));
        hurt_bytes(store, name, offset, &byte, 1);
    }
}

/* A sector of the same file lands where another one should be. */
static void misdirect(struct sim_store *store, const char *name, size_t size)
{
    size_t whole;
    uint8_t sector[SECTOR];
    const uint8_t *bytes = sim_disk_bytes(store->disk, name, &whole);
    memcpy(sector, bytes + sim_draw(SIM_FAULT, whole / SECTOR) * SECTOR, SECTOR);
    hurt_bytes(store, name, (size_t)sim_draw(SIM_FAULT, size / SECTOR) * SECTOR, sector, SECTOR);
}

bool atlas_damage(size_t node)
{
    struct sim_host *host = sim_node_host(node);
    char path[SIM_PATH_MAX];
    size_t group = any_group();
    snprintf(path, sizeof path, "/data/%s/log", sim_group_name(group));
    struct sim_store *store = sim_host_store_find(host, path);
    if (store == NULL || store->disk == NULL || sim_disk_count(store->disk) == 0 ||
        atlas.wound_count + FLIPS_MAX > WOUNDS_MAX) {
        return false;
    }
    char name[DIRECTORY_NAME_MAX];
    size_t place = (size_t)sim_draw(SIM_FAULT, sim_disk_count(store->disk));
    snprintf(name, sizeof name, "%s", sim_disk_name(store->disk, place));
    size_t size = vulnerable(store->disk, group, name);
    if (size == 0 || is_last_mark(host, name)) {
        return false;
    }
    if (size >= SECTOR && sim_one_in(SIM_FAULT, 4)) {
        misdirect(store, name, size);
    } else {
        flip(store, name, size);
    }
    sim_trace(host->name, "is damaged in a file of size", size, 0);
    sim_tell(host->name, "damaged: %s/%s", path, name);
    mark(node);
    return true;
}
