/* Directories below a node's data directory, in place of broker/host/tree.c: names of the host's
 * stores. What they say is durable at once, as tree.h promises when its calls return. */
#include "tests/sim/os/sim_thread.h"

#include "broker/host/tree.h"

#include <stdio.h>
#include <string.h>

static struct sim_host *host(void)
{
    return sim_process_current()->host;
}

bool tree_exists(const char *path)
{
    for (size_t i = 0; i < host()->store_count; i++) {
        if (sim_path_within(host()->stores[i].path, path)) {
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
        if (sim_path_within(store->path, from)) {
            int size = snprintf(name, sizeof name, "%s%s", to, store->path + strlen(from));
            ASSERT(size < SIM_PATH_MAX);
            memcpy(store->path, name, sizeof name);
        }
    }
    return STATUS_OK;
}

enum status tree_remove(const char *path)
{
    sim_host_remove(host(), path);
    return STATUS_OK;
}
