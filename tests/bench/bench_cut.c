/* What retention costs the loop: CUT of one segment after the other with many queues, each with
 * messages in every segment, and reads from queues after it. Not a test; run it in a release build.
 *
 *   build/release/tests/bench_cut rocksdb-directory */
#include "broker/machine/machine.h"

#include "common/remoting/message.h"

#include <stdio.h>
#include <time.h>

enum {
    TOPICS = 10,
    QUEUES = 1000, /* Of each topic. */
    SEGMENTS = 100,
    PER_ENTRY = 250,
    BODY_SIZE = 16,
    READS = 10000,
    MESSAGES = 4, /* To each queue in each segment. */
    CUT_UNTIL = SEGMENTS - 5,
};

struct bench {
    struct kv *kv;
    struct machine *machine;
    struct buf entry;
    uint64_t index;
    uint64_t position;
    uint64_t time_ms;
};

struct timing {
    uint64_t sum_ns;
    uint64_t max_ns;
    uint64_t count;
};

/* Wall time: what reads wait for counts. */
static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void timing_add(struct timing *timing, uint64_t since_ns)
{
    uint64_t took = now_ns() - since_ns;
    timing->sum_ns += took;
    timing->max_ns = took > timing->max_ns ? took : timing->max_ns;
    timing->count++;
}

static void timing_print(const char *what, const struct timing *timing)
{
    printf("%-34s %9.1f us, longest %9.1f us, %llu times\n", what,
           (double)timing->sum_ns / 1e3 / (double)timing->count, (double)timing->max_ns / 1e3,
           (unsigned long long)timing->count);
}

static void topic_name(uint32_t topic, char name[16])
{
    snprintf(name, 16, "topic-%u", topic);
}

static void apply(struct bench *bench)
{
    entry_finish(&bench->entry, bench->time_ms++);
    machine_apply(bench->machine, ++bench->index, bench->position, buf_slice(&bench->entry));
    bench->position += bench->entry.size + 64;
    buf_clear(&bench->entry);
    entry_begin(&bench->entry);
}

static void checkpoint(struct bench *bench, struct timing *loop, struct timing *pool)
{
    uint64_t start = now_ns();
    struct kv_batch *batch = machine_checkpoint(bench->machine);
    timing_add(loop, start);
    start = now_ns();
    if (kv_write(bench->kv, batch) != STATUS_OK) {
        FATAL("the store cannot be written");
    }
    timing_add(pool, start);
    kv_batch_free(batch);
    machine_checkpoint_written(bench->machine);
}

static void put_message(struct bench *bench, uint32_t topic, int32_t queue_id)
{
    static const uint8_t body[BODY_SIZE];
    char name[16];
    topic_name(topic, name);
    const struct message message = {
        .topic = slice_text(name),
        .queue_id = queue_id,
        .body = slice_of(body, sizeof body),
        .properties = slice_text("KEYS\001order\002"),
    };
    size_t begin = entry_operation_begin(&bench->entry, OPERATION_MESSAGE);
    for (int i = 0; i < MESSAGES; i++) {
        message_encode(&message, &bench->entry);
    }
    entry_operation_end(&bench->entry, begin);
}

/* Messages to each queue, in a segment of their own. */
static void fill_segment(struct bench *bench)
{
    bench->position = (bench->position / SEGMENT_SIZE + 1) * SEGMENT_SIZE + 64;
    for (uint32_t i = 0; i < TOPICS * QUEUES; i++) {
        put_message(bench, i % TOPICS, (int32_t)(i / TOPICS));
        if (entry_count(&bench->entry) == PER_ENTRY) {
            apply(bench);
        }
    }
}

static void read_queues(struct bench *bench, struct timing *timing)
{
    for (uint32_t i = 0; i < READS; i++) {
        char name[16];
        struct index_entry entries[32];
        uint32_t count;
        topic_name(i % TOPICS, name);
        const struct queue *queue =
            machine_queue_find(bench->machine, slice_text(name), (int32_t)(i / TOPICS % QUEUES));
        uint64_t start = now_ns();
        enum status status =
            machine_queue_read(bench->machine, queue, queue->offset_first, 32, entries, &count);
        timing_add(timing, start);
        ASSERT(status == STATUS_OK && count > 0);
    }
}

static void cut_all(struct bench *bench)
{
    struct timing cuts = {0};
    struct timing loop = {0};
    struct timing pool = {0};
    struct timing before = {0};
    struct timing after = {0};
    read_queues(bench, &before);
    for (uint64_t segment = 2; segment <= CUT_UNTIL; segment++) {
        entry_put_cut(&bench->entry, &(struct operation_cut){segment * SEGMENT_SIZE});
        uint64_t start = now_ns();
        apply(bench);
        timing_add(&cuts, start);
        checkpoint(bench, &loop, &pool);
    }
    ASSERT(machine_cut_done(bench->machine).position == (uint64_t)CUT_UNTIL * SEGMENT_SIZE);
    read_queues(bench, &after);
    timing_print("apply a CUT of one segment", &cuts);
    timing_print("its checkpoint, in the loop", &loop);
    timing_print("its checkpoint, in the pool", &pool);
    timing_print("read 32 entries of a queue, before", &before);
    timing_print("read 32 entries of a queue, after", &after);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    struct timing loop = {0};
    struct timing pool = {0};
    char *error = NULL;
    if (argc != 2) {
        fprintf(stderr, "usage: bench_cut rocksdb-directory\n");
        return 2;
    }
    bench.time_ms = 1700000000000;
    if (kv_open_rocksdb(argv[1], 8 << 20, &bench.kv, &error) != STATUS_OK ||
        machine_open(bench.kv, NULL, &bench.machine, &error) != STATUS_OK) {
        FATAL("%s", error);
    }
    entry_begin(&bench.entry);
    for (uint32_t topic = 0; topic < TOPICS; topic++) {
        char name[16];
        topic_name(topic, name);
        entry_put_topic_put(&bench.entry,
                            &(struct operation_topic_put){.config = {.name = slice_text(name),
                                                                     .read_queue_count = QUEUES,
                                                                     .write_queue_count = QUEUES,
                                                                     .perm = 6}});
    }
    apply(&bench);
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        fill_segment(&bench);
        checkpoint(&bench, &loop, &pool);
    }
    printf("%d queues, %d chunks of the queue index\n", TOPICS * QUEUES,
           TOPICS * QUEUES * SEGMENTS);
    cut_all(&bench);
    machine_close(bench.machine);
    kv_close(bench.kv);
    buf_close(&bench.entry);
    return 0;
}
