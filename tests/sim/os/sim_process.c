#include "tests/sim/os/sim_process.h"

#include "common/base/buf.h"
#include "common/store/kv.h"
#include "tests/sim/os/sim_loop.h"
#include "tests/sim/os/sim_socket.h"
#include "tests/sim/os/sim_thread.h"
#include "tests/sim/sim_disk.h"

#include <stdio.h>
#include <stdlib.h>

enum { PID_FIRST = 1000, PORT_FIRST = 40000, EPOCH_S = 1700000000 };

static struct sim_host *hosts[SIM_HOSTS_MAX];
static size_t host_count;
static struct sim_process *current;

/* ---- Hosts ---- */

struct sim_host *sim_host_new(const char *name, uint32_t address)
{
    ASSERT(host_count < SIM_HOSTS_MAX);
    struct sim_host *host = mem_zalloc(sizeof *host);
    snprintf(host->name, sizeof host->name, "%s", name);
    host->index = (uint32_t)host_count;
    host->address = address;
    host->powered = true;
    host->next_port = PORT_FIRST;
    host->disk_faults.sync_us = 1 * SIM_MS;
    host->clock = (struct sim_clock){
        .at_us = (1 + sim_draw(SIM_SCHEDULE, 1000000)) * SIM_SECOND,
        .rate_ppm = 1000000,
    };
    host->clock.wall_offset_us = (int64_t)EPOCH_S * SIM_SECOND - (int64_t)host->clock.at_us +
                                 (int64_t)sim_draw(SIM_SCHEDULE, 20 * SIM_MS);
    hosts[host_count++] = host;
    return host;
}

struct sim_host *sim_host_find(uint32_t address)
{
    for (size_t i = 0; i < host_count; i++) {
        if (hosts[i]->address == address) {
            return hosts[i];
        }
    }
    return NULL;
}

size_t sim_host_count(void)
{
    return host_count;
}

struct sim_host *sim_host_at(size_t index)
{
    ASSERT(index < host_count);
    return hosts[index];
}

static void store_close(struct sim_store *store)
{
    if (store->disk != NULL) {
        sim_disk_free(store->disk);
    }
    if (store->kv != NULL) {
        kv_close(store->kv);
    }
    *store = (struct sim_store){0}; // Its place is taken again by another one.
}

void sim_host_wipe(struct sim_host *host)
{
    ASSERT(host->process == NULL);
    for (size_t i = 0; i < host->store_count; i++) {
        store_close(&host->stores[i]);
    }
    host->store_count = 0;
}

bool sim_path_within(const char *name, const char *path)
{
    size_t size = strlen(path);
    return strncmp(name, path, size) == 0 && (name[size] == '\0' || name[size] == '/');
}

void sim_host_remove(struct sim_host *host, const char *path)
{
    struct sim_owner *owner = sim_memory_use(NULL);
    for (size_t i = 0; i < host->store_count; i++) {
        if (sim_path_within(host->stores[i].path, path)) {
            store_close(&host->stores[i]);
        }
    }
    sim_memory_use(owner);
}

void sim_hosts_free(void)
{
    while (host_count > 0) {
        struct sim_host *host = hosts[--host_count];
        sim_host_wipe(host);
        free(host);
    }
}

struct sim_store *sim_host_store_find(struct sim_host *host, const char *path)
{
    for (size_t i = 0; i < host->store_count; i++) {
        if (strcmp(host->stores[i].path, path) == 0) {
            return &host->stores[i];
        }
    }
    return NULL;
}

struct sim_store *sim_host_store(struct sim_host *host, const char *path)
{
    struct sim_store *store = sim_host_store_find(host, path);
    if (store != NULL) {
        return store;
    }
    store = sim_host_store_find(host, ""); // One that was taken away.
    if (store == NULL) {
        ASSERT(host->store_count < SIM_STORES_MAX);
        store = &host->stores[host->store_count++];
    }
    *store = (struct sim_store){.number = ++host->store_number};
    int size = snprintf(store->path, sizeof store->path, "%s", path);
    ASSERT(size < SIM_PATH_MAX);
    return store;
}

uint64_t sim_host_used(const struct sim_host *host)
{
    uint64_t used = 0;
    for (size_t i = 0; i < host->store_count; i++) {
        used += host->stores[i].disk == NULL ? 0 : sim_disk_size(host->stores[i].disk);
    }
    return used;
}

/* ---- Clocks ---- */

uint64_t sim_host_monotonic_us(const struct sim_host *host)
{
    const struct sim_clock *clock = &host->clock;
    return clock->at_us + (sim_now_us() - clock->since_us) * clock->rate_ppm / 1000000;
}

uint64_t sim_host_when(const struct sim_host *host, uint64_t monotonic_us)
{
    const struct sim_clock *clock = &host->clock;
    if (monotonic_us <= clock->at_us) {
        return clock->since_us;
    }
    uint64_t ahead = monotonic_us - clock->at_us;
    return clock->since_us + (ahead * 1000000 + clock->rate_ppm - 1) / clock->rate_ppm;
}

uint64_t sim_host_wall_us(const struct sim_host *host)
{
    const struct sim_clock *clock = &host->clock;
    return clock->wall_frozen
               ? clock->wall_frozen_us
               : (uint64_t)((int64_t)sim_host_monotonic_us(host) + clock->wall_offset_us);
}

void sim_host_drift(struct sim_host *host, uint32_t rate_ppm)
{
    host->clock.at_us = sim_host_monotonic_us(host);
    host->clock.since_us = sim_now_us();
    host->clock.rate_ppm = rate_ppm;
}

void sim_host_jump(struct sim_host *host, int64_t off_us)
{
    host->clock.wall_offset_us += off_us - host->clock.jumped_us;
    host->clock.jumped_us = off_us;
}

void sim_host_freeze(struct sim_host *host, bool frozen)
{
    host->clock.wall_frozen_us = sim_host_wall_us(host);
    host->clock.wall_frozen = frozen;
}

/* ---- Processes ---- */

struct sim_process *sim_process_current(void)
{
    return current;
}

void sim_process_switch(struct sim_process *process)
{
    current = process;
    sim_memory_use(process == NULL ? NULL : &process->memory);
}

static void on_reap(struct sim_event *event)
{
    struct sim_process *process = CONTAINER_OF(event, struct sim_process, reap);
    sim_process_kill(process, process->death);
}

struct sim_process *sim_process_start(struct sim_host *host, void (*main)(void *argument),
                                      void *argument,
                                      void (*on_death)(void *context, enum sim_death death),
                                      void *context)
{
    ASSERT(host->process == NULL && current == NULL);
    struct sim_process *process = mem_zalloc(sizeof *process);
    host->starts++;
    host->powered = true;
    host->disk_faults.failed = false;
    host->disk_faults.deadly_sync = 0;
    process->host = host;
    process->pid = PID_FIRST + host->index * 1000 + (uint32_t)(host->starts % 1000);
    process->random.state = sim_mix(sim_draw(SIM_SCHEDULE, UINT64_MAX), host->index);
    process->on_death = on_death;
    process->context = context;
    process->reap.run = on_reap;
    sim_owner_init(&process->memory);
    list_init(&process->threads);
    list_init(&process->loops);
    list_init(&process->sockets);
    list_init(&process->pool_queue);
    list_init(&process->pool_idle);
    host->process = process;
    sim_trace(host->name, "starts", host->starts, 0);
    sim_thread_start(process, main, argument);
    return process;
}

/* What a death leaves on the disks. */
static void leave_disks(struct sim_host *host, enum sim_death how)
{
    for (size_t i = 0; i < host->store_count; i++) {
        struct sim_store *store = &host->stores[i];
        if (store->disk != NULL) {
            sim_disk_abandon(store->disk);
            if (how == SIM_POWER_CUT) {
                sim_disk_crash(store->disk);
            }
        }
        if (store->kv != NULL) {
            kv_memory_crash(store->kv); // It has no log of its own: what is not flushed is gone.
        }
    }
}

void sim_process_kill(struct sim_process *process, enum sim_death how)
{
    ASSERT(current == NULL);
    struct sim_host *host = process->host;
    static const char *const words[SIM_DEATHS] = {"exits", "is killed", "loses power", "gives up"};
    sim_trace(host->name, words[how], process->memory.block_count, 0);
    if (how == SIM_EXIT && process->memory.block_count > 0) {
        sim_violation("leak", "%s ended in order but still holds %zu blocks, %zu bytes", host->name,
                      process->memory.block_count, process->memory.bytes);
    }
    host->powered = how != SIM_POWER_CUT;
    sim_event_cancel(&process->reap);
    sim_sockets_orphan(process, how == SIM_POWER_CUT);
    sim_threads_free(process);
    sim_loops_free(process);
    leave_disks(host, how);
    sim_owner_clear(&process->memory);
    host->process = NULL;
    void (*on_death)(void *, enum sim_death) = process->on_death;
    void *context = process->context;
    if (how == SIM_FATAL && !host->disk_faults.failed) {
        sim_violation("fatal", "%s gives up though its disk never failed: %s", host->name,
                      process->last_words);
    }
    free(process);
    on_death(context, how);
}

noreturn void sim_process_die(enum sim_death how)
{
    ASSERT(current != NULL);
    current->dying = true;
    current->death = how;
    sim_event_set(&current->reap, sim_now_us());
    sim_thread_stop();
}

void sim_process_pause(struct sim_process *process, uint64_t until_us)
{
    process->paused_until_us = until_us;
}
