/* Directories below a node's data directory, in place of broker/host/tree.c: names of the host's
 * stores. What they say is durable at once, as tree.h promises when its calls return. */
#include "tests/sim/os/sim_thread.h"

#include "broker/host/tree.h"
#include "common/store/kv.h"
#include "tests/sim/sim_disk.h"

#include <stdio.h>
#include <string.h>

/* Is it this path, or below it? */
static bool is_within(const char *name, const char *path)
{
    size_t size = strlen(path);
    return strncmp(name, path, size) == 0 && (name[size] == '\0' || name[size] == '/');
}

static struct sim_host *host(void)
{
    return sim_process_current()->host;
}

bool tree_exists(const char *path)
{
    for (size_t i = 0; i < host()->store_count; i++) {
        if (is_within(host()->stores[i].path, path)) {
            return true;
        }
    }
    return false;
}

enum status tree_make(const char *path)
{
    (void)sim_host_store(host(), path);
    return STATUS_OK;
}

enum status tree_rename(const char *from, const char *to)
{
    char name[SIM_PATH_MAX];
    ASSERT(!tree_exists(to));
    for (size_t i = 0; i < host()->store_count; i++) {
        struct sim_store *store = &host()->stores[i];
        if (is_within(store->path, from)) {
            int size = snprintf(name, sizeof name, "%s%s", to, store->path + strlen(from));
            ASSERT(size < SIM_PATH_MAX);
            memcpy(store->path, name, sizeof name);
        }
    }
    return STATUS_OK;
}

enum status tree_remove(const char *path)
{
    struct sim_owner *owner = sim_memory_use(NULL);
    for (size_t i = 0; i < host()->store_count; i++) {
        struct sim_store *store = &host()->stores[i];
        if (is_within(store->path, path)) {
            if (store->disk != NULL) {
                sim_disk_free(store->disk);
            }
            if (store->kv != NULL) {
                kv_close(store->kv);
            }
            *store = (struct sim_store){0}; // Its place is taken again by another one.
        }
    }
    sim_memory_use(owner);
    return STATUS_OK;
}
