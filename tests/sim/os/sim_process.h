/* Hosts and the processes that run on them.
 *
 * A host has an address, clocks and disks, which outlive its processes; at most one process runs on
 * it at a time. A process owns threads, loops, sockets and memory; when it dies all of these are
 * gone at once, wherever its threads stood. */
#ifndef TESTS_SIM_OS_SIM_PROCESS_H
#define TESTS_SIM_OS_SIM_PROCESS_H

#include "tests/sim/os/sim_memory.h"
#include "tests/sim/os/sim_world.h"

enum { SIM_HOSTS_MAX = 32, SIM_HOST_NAME_SIZE = 16, SIM_STORES_MAX = 64, SIM_PATH_MAX = 128 };

/* A host's clocks. The monotonic one drifts; the wall clock follows it, and jumps or stands still.
 */
struct sim_clock {
    uint64_t since_us; /* World's time of the last change, */
    uint64_t at_us;    /* and what the monotonic clock said then. */
    uint32_t rate_ppm; /* 1,000,000: as the world's. */
    int64_t wall_offset_us;
    int64_t jumped_us; /* How far the wall clock is off. */
    bool wall_frozen;
    uint64_t wall_frozen_us;
};

/* What a disk does to those who use it. */
struct sim_disk_faults {
    uint64_t sync_us;        /* About how long a sync takes. */
    uint64_t stall_until_us; /* No sync ends before. */
    uint32_t fail_syncs_of;  /* One in so many fails; 0: none. */
    uint64_t capacity;       /* Bytes of all files; 0: as many as one likes. */
    uint32_t deadly_sync;    /* The process dies within the next but so many; 0: it does not. */
    bool deadly_power;       /* And how: of a power cut. */
    bool failed;             /* An error was given since the process started. */
};

struct sim_disk;
struct kv;

/* A directory of the log, or a store of the state machine. */
struct sim_store {
    char path[SIM_PATH_MAX];
    uint64_t number; /* No other store of this host ever has it. */
    struct sim_disk *disk;
    struct kv *kv;
};

struct sim_process;

struct sim_host {
    uint32_t index;
    char name[SIM_HOST_NAME_SIZE];
    uint32_t address;
    bool powered;
    struct sim_clock clock;
    struct sim_disk_faults disk_faults;
    struct sim_store stores[SIM_STORES_MAX];
    size_t store_count;
    uint64_t store_number;       /* Of the newest. */
    struct sim_process *process; /* NULL: none runs. */
    uint32_t next_port;
    uint64_t starts;
};

enum sim_death { SIM_EXIT, SIM_KILL, SIM_POWER_CUT, SIM_FATAL, SIM_DEATHS };

struct sim_process {
    struct sim_host *host;
    uint32_t pid;
    struct sim_owner memory;
    struct list threads;
    struct list loops;
    struct list sockets;
    struct list pool_queue; /* Work that waits for a thread of the pool. */
    struct list pool_idle;  /* Threads of it that wait for work. */
    uint32_t pool_count;
    uint64_t paused_until_us;
    struct random random;
    uint64_t next_number; /* For uv_hrtime(): never the same twice. */
    bool dying;
    enum sim_death death;
    struct sim_event reap;
    void (*on_death)(void *context, enum sim_death death);
    void *context;
    char last_words[256]; /* Of FATAL. */
};

/* A new host, powered on; the world owns it until sim_hosts_free(). */
struct sim_host *sim_host_new(const char *name, uint32_t address);
struct sim_host *sim_host_find(uint32_t address);
size_t sim_host_count(void);
struct sim_host *sim_host_at(size_t index);
void sim_hosts_free(void);

/* Start a process: `main` runs as its first thread. on_death is called from the world, after all of
 * the process is gone, and may start another. */
struct sim_process *sim_process_start(struct sim_host *host, void (*main)(void *argument),
                                      void *argument,
                                      void (*on_death)(void *context, enum sim_death death),
                                      void *context);

/* End a process from outside (not from one of its threads). Its unsynced data survives all but a
 * power cut, which also leaves its peers without a word. */
void sim_process_kill(struct sim_process *process, enum sim_death how);
/* The running thread ends its own process. */
noreturn void sim_process_die(enum sim_death how);

/* Nothing of it runs until then; its sockets go on taking what arrives. */
void sim_process_pause(struct sim_process *process, uint64_t until_us);

/* Whose thread runs; NULL: the world itself. */
struct sim_process *sim_process_current(void);
void sim_process_switch(struct sim_process *process);

uint64_t sim_host_monotonic_us(const struct sim_host *host);
uint64_t sim_host_wall_us(const struct sim_host *host);
/* World's time at which the host's monotonic clock says `monotonic_us`, if it goes on as it does.
 */
uint64_t sim_host_when(const struct sim_host *host, uint64_t monotonic_us);
void sim_host_drift(struct sim_host *host, uint32_t rate_ppm);
/* Let the wall clock be off by that, whatever it was before. */
void sim_host_jump(struct sim_host *host, int64_t off_us);
void sim_host_freeze(struct sim_host *host, bool frozen);

/* The host's store at a path, made on first sight. */
struct sim_store *sim_host_store(struct sim_host *host, const char *path);
/* The one that is there; NULL if none is. */
struct sim_store *sim_host_store_find(struct sim_host *host, const char *path);
/* Is a store of that name at this path, or below it? */
bool sim_path_within(const char *name, const char *path);
/* Take away all stores at a path and below it; no process has any of them open. */
void sim_host_remove(struct sim_host *host, const char *path);
/* Bytes of all files on its disks. */
uint64_t sim_host_used(const struct sim_host *host);
/* Forget all that is on its disks. No process may run. */
void sim_host_wipe(struct sim_host *host);

#endif
