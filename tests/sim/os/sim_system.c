/* What our code asks the operating system for, besides libuv: clocks, chance, files, and the ways
 * to end. Defined here in place of common/base's and others' own versions. */
#include "tests/sim/os/sim_thread.h"

#include "common/base/clock.h"
#include "common/base/file.h"
#include "common/base/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <unistd.h>

enum { DISK_SIZE = 1024 * 1024 * 1024, BLOCK_SIZE = 4096 };

noreturn void __assert_fail(const char *expression, const char *file, unsigned line,
                            const char *function);
pid_t __wrap_getpid(void);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_statvfs(const char *path, struct statvfs *out);
void __wrap_log_write(const struct log *log, enum log_level level, const char *phrase,
                      const char *format, ...) PRINTF_LIKE(4, 5);

/* ---- common/base/clock.h ---- */

static uint64_t monotonic_ms(void *context)
{
    (void)context;
    return sim_host_monotonic_us(sim_process_current()->host) / SIM_MS;
}

static uint64_t wall_ms(void *context)
{
    (void)context;
    return sim_host_wall_us(sim_process_current()->host) / SIM_MS;
}

const struct clock *clock_system(void)
{
    static const struct clock clock = {monotonic_ms, wall_ms, NULL};
    return &clock;
}

uint64_t clock_measure_ns(void)
{
    return sim_now_us() * 1000;
}

/* ---- common/base/random.h ---- */

struct random random_system(void)
{
    struct sim_process *process = sim_process_current();
    return (struct random){random_next(&process->random)};
}

/* ---- common/base/check.h ---- */

noreturn void check_assert_failed(const char *expression, const char *file, int line,
                                  const char *function)
{
    sim_violation("assert", "%s (%s:%d in %s)", expression, file, line, function);
}

noreturn void check_fatal(const char *file, int line, const char *format, ...)
{
    struct sim_process *process = sim_process_current();
    char words[sizeof process->last_words];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    if (process == NULL) {
        sim_violation("fatal", "%s (%s:%d)", words, file, line);
    }
    memcpy(process->last_words, words, sizeof words);
    sim_tell(process->host->name, "FATAL %s (%s:%d)", words, file, line);
    sim_process_die(SIM_FATAL);
}

/* Of libraries that are built with their assertions. */
noreturn void __assert_fail(const char *expression, const char *file, unsigned line,
                            const char *function)
{
    sim_violation("assert", "%s (%s:%u in %s)", expression, file, line, function);
}

/* ---- common/base/log.h: lines belong to the trace ---- */

void __wrap_log_write(const struct log *log, enum log_level level, const char *phrase,
                      const char *format, ...)
{
    static const char *const levels[] = {"debug", "info", "warn", "error", "silent"};
    char words[512];
    if (!sim_tracing()) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    const struct sim_process *process = sim_process_current();
    sim_tell(process == NULL ? "world" : process->host->name, "%s [%s] %s %s", levels[level],
             log->name, phrase, words);
}

/* ---- common/base/file.h: there are no plain files ---- */

enum status file_read(const char *path, size_t size_max, struct buf *out)
{
    (void)path;
    (void)size_max;
    (void)out;
    return STATUS_NOT_FOUND;
}

enum status file_replace(const char *path, struct slice content)
{
    (void)path;
    (void)content;
    return STATUS_OK;
}

/* ---- POSIX ---- */

pid_t __wrap_getpid(void)
{
    return (pid_t)sim_process_current()->pid;
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    (void)path;
    (void)mode;
    return 0;
}

int __wrap_statvfs(const char *path, struct statvfs *out)
{
    const struct sim_host *host = sim_process_current()->host;
    uint64_t used = sim_host_used(host);
    uint64_t capacity = host->disk_faults.capacity == 0 ? DISK_SIZE : host->disk_faults.capacity;
    (void)path;
    *out = (struct statvfs){.f_frsize = BLOCK_SIZE, .f_bsize = BLOCK_SIZE};
    out->f_blocks = capacity / BLOCK_SIZE;
    out->f_bavail = used < capacity ? (capacity - used) / BLOCK_SIZE : 0;
    out->f_bfree = out->f_bavail;
    return 0;
}
