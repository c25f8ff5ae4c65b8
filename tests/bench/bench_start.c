/* How long a log takes to open: with its summaries, and by reading it. Not a test; run it in a
 * release build, on a file system with room for the log.
 *
 *   build/release/tests/bench_start directory gigabytes
 *
 * The page cache is dropped before each opening if this process may do so. */
#include "common/base/crc32c.h"
#include "common/base/limits.h"
#include "raft-glue/segment_file.h"
#include "raft-glue/segment_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { GROUP = 42, PAYLOAD = 16 * 1024, CACHE_SIZE = 32 * 1024 * 1024 };

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct segment_log *open_log(const struct directory *directory, const struct log *logger,
                                    double *took_s)
{
    const struct segment_log_options options = {
        .directory = *directory,
        .log = logger,
        .group = GROUP,
        .segment_size = SEGMENT_SIZE,
        .cache_size = CACHE_SIZE,
    };
    struct segment_log *log = NULL;
    char *error = NULL;
    double start = now_s();
    if (segment_log_open(&options, &log, &error) != STATUS_OK) {
        FATAL("%s", error);
    }
    *took_s = now_s() - start;
    return log;
}

static void fill(struct segment_log *log, uint64_t bytes)
{
    struct block *block = block_new(PAYLOAD);
    memset(block->data, 'x', PAYLOAD);
    uint32_t crc = crc32c(0, block->data, PAYLOAD);
    while (segment_log_end_position(log) < bytes) {
        for (int i = 0; i < 512; i++) {
            segment_log_append(log, 1, LOG_FRAME_COMMAND, block, slice_of(block->data, PAYLOAD),
                               crc);
        }
        struct log_write *write = segment_log_write_begin(log);
        if (log_write_run(write) != STATUS_OK) {
            FATAL("the log cannot be written");
        }
        segment_log_write_end(log, write);
    }
    block_release(block);
}

/* Write the summaries that are due; the longest preparation of one on the loop. */
static double summarize(struct segment_log *log)
{
    struct log_summary_job job;
    double longest = 0;
    for (;;) {
        double start = now_s();
        if (!segment_log_summary_begin(log, &job)) {
            return longest;
        }
        double took = now_s() - start;
        longest = took > longest ? took : longest;
        if (log_summary_run(&job) != STATUS_OK) {
            FATAL("a summary cannot be written");
        }
        segment_log_summary_end(log, &job);
    }
}

static void drop_cache(void)
{
    sync();
    int file = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
    if (file < 0 || write(file, "3", 1) != 1) {
        printf("the page cache stays warm\n");
    }
    if (file >= 0) {
        close(file);
    }
}

int main(int argc, char **argv)
{
    struct directory directory;
    struct log logger;
    double took_s;
    if (argc != 3 || directory_posix_open(argv[1], &directory) != STATUS_OK) {
        fprintf(stderr, "usage: bench_start directory gigabytes\n");
        return 2;
    }
    log_init(&logger, stderr, LOG_WARN, "bench");
    struct segment_log *log = open_log(&directory, &logger, &took_s);
    fill(log, strtoull(argv[2], NULL, 10) << 30);
    segment_log_close(log);
    drop_cache();
    log = open_log(&directory, &logger, &took_s);
    printf("without summaries  %7.3f s, %.1f GB, %llu entries\n", took_s,
           (double)segment_log_end_position(log) / 1e9,
           (unsigned long long)segment_log_last_index(log));
    printf("a summary holds the loop for %.3f ms at most\n", summarize(log) * 1e3);
    segment_log_close(log);
    drop_cache();
    log = open_log(&directory, &logger, &took_s);
    printf("with summaries     %7.3f s\n", took_s);
    segment_log_close(log);
    directory_posix_close(&directory);
    return 0;
}
