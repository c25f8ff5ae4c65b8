/* What applying costs in processor time: messages, transactions, checkpoints. Not a test; run it in
 * a release build.
 *
 *   build/release/tests/bench_machine [rocksdb-directory [queues [bytes of change per checkpoint]]]
 */
#include "broker/machine/machine.h"

#include "common/remoting/message.h"
#include "common/remoting/properties.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum {
    BODY_SIZE = 1024,
    MESSAGES = 2000000,
    TRANSACTIONS = 500000,
    PER_ENTRY = 256,
    QUEUES = 8,
    TOPIC_QUEUES_MAX = 1000,
    CHECKPOINT_SIZE = 8 * 1024 * 1024,
    FRAME_HEADER_SIZE = 40,
};

struct bench {
    struct kv *kv;
    struct machine *machine;
    struct buf entry;
    uint64_t queues;
    uint64_t checkpoint_size;
    uint64_t index;
    uint64_t position;
    uint64_t time_ms;
    uint64_t unique;
    uint64_t apply_ns;
    uint64_t checkpoint_ns;
    uint64_t write_ns;
    uint64_t checkpoint_max_ns;
    uint64_t checkpoints;
    struct operation_result halves[PER_ENTRY];
};

/* Processor time of this thread: what others do on the machine does not count. */
static uint64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void on_result(void *context, uint32_t ordinal, const struct operation *operation,
                      const struct operation_result *result)
{
    struct bench *bench = context;
    ASSERT(result->status == STATUS_OK);
    if (operation->type == OPERATION_HALF) {
        bench->halves[ordinal] = *result;
    }
}

static void checkpoint(struct bench *bench)
{
    uint64_t start = cpu_ns();
    struct kv_batch *batch = machine_checkpoint_begin(bench->machine);
    uint64_t taken = cpu_ns();
    machine_checkpoint_fill(bench->machine, batch);
    if (kv_write(bench->kv, batch) != STATUS_OK) {
        FATAL("the store cannot be written");
    }
    kv_batch_free(batch);
    uint64_t written = cpu_ns();
    machine_checkpoint_written(bench->machine);
    uint64_t loop_ns = taken - start + (cpu_ns() - written);
    bench->checkpoint_ns += loop_ns;
    bench->checkpoint_max_ns =
        loop_ns > bench->checkpoint_max_ns ? loop_ns : bench->checkpoint_max_ns;
    bench->write_ns += written - taken;
    bench->checkpoints++;
}

static void apply(struct bench *bench)
{
    entry_finish(&bench->entry, bench->time_ms++);
    if ((bench->position + FRAME_HEADER_SIZE + bench->entry.size) / SEGMENT_SIZE >
        bench->position / SEGMENT_SIZE) {
        bench->position = (bench->position / SEGMENT_SIZE + 1) * SEGMENT_SIZE; // As the log does.
    }
    bench->position += FRAME_HEADER_SIZE;
    uint64_t start = cpu_ns();
    machine_apply(bench->machine, ++bench->index, bench->position, buf_slice(&bench->entry));
    bench->apply_ns += cpu_ns() - start;
    bench->position += bench->entry.size;
    buf_clear(&bench->entry);
    entry_begin(&bench->entry);
    if (machine_checkpoint_due(bench->machine, bench->checkpoint_size)) {
        checkpoint(bench);
    }
}

/* Of the topic that has the nth queue of all. */
static const char *topic_name(uint64_t queue, char name[16])
{
    snprintf(name, 16, "orders%d", (int)(queue / TOPIC_QUEUES_MAX));
    return name;
}

static void put_message(struct bench *bench, bool half)
{
    char name[16];
    uint64_t queue = bench->unique % bench->queues;
    static const uint8_t body[BODY_SIZE];
    struct buf properties = {0};
    buf_printf(&properties, "UNIQ_KEY\001%032llX\002WAIT\001true\002TAGS\001paid\002%s",
               (unsigned long long)bench->unique,
               half ? "TRAN_MSG\001true\002PGROUP\001payments\002" : "");
    buf_printf(&properties,
               "CLUSTER\001DefaultCluster\002MSG_REGION\001DefaultRegion\002TRACE_ON\001true\002");
    struct message message = {
        .queue_id = (int32_t)(queue % TOPIC_QUEUES_MAX),
        .topic = slice_text(topic_name(queue, name)),
        .body = slice_of(body, sizeof body),
        .properties = buf_slice(&properties),
    };
    bench->unique++;
    size_t begin = entry_operation_begin(&bench->entry, half ? OPERATION_HALF : OPERATION_MESSAGE);
    if (half) {
        buf_put_le64(&bench->entry, bench->time_ms + 6000);
        buf_put_le32(&bench->entry, 0);
    }
    message_encode(&message, &bench->entry);
    entry_operation_end(&bench->entry, begin);
    buf_close(&properties);
}

static void put_end(struct bench *bench, const struct operation_result *half)
{
    struct operation_end end = {
        .half_position = half->message.position,
        .half_offset = half->message.queue_offset,
        .decision = DECISION_COMMIT,
        .producer_group = slice_text("payments"),
    };
    entry_put_end(&bench->entry, &end);
}

static void report(struct bench *bench, const char *what, uint64_t count)
{
    printf(
        "%-14s apply %6.0f ns  checkpoint in loop %5.0f ns (longest %.1f ms)  store write %5.0f ns"
        "  each; %llu checkpoints\n",
        what, (double)bench->apply_ns / (double)count, (double)bench->checkpoint_ns / (double)count,
        (double)bench->checkpoint_max_ns / 1e6, (double)bench->write_ns / (double)count,
        (unsigned long long)bench->checkpoints);
    bench->apply_ns = bench->checkpoint_ns = bench->write_ns = bench->checkpoint_max_ns = 0;
    bench->checkpoints = 0;
}

static void put_topic(struct bench *bench, uint64_t queue)
{
    char name[16];
    uint64_t left = bench->queues - queue;
    int32_t count = (int32_t)(left < TOPIC_QUEUES_MAX ? left : TOPIC_QUEUES_MAX);
    struct operation_topic_put put = {.config = {.name = slice_text(topic_name(queue, name)),
                                                 .read_queue_count = count,
                                                 .write_queue_count = count,
                                                 .perm = 6}};
    entry_put_topic_put(&bench->entry, &put);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    char *error = NULL;
    bench.time_ms = 1700000000000;
    bench.queues = argc > 2 ? strtoull(argv[2], NULL, 10) : QUEUES;
    bench.checkpoint_size = argc > 3 ? strtoull(argv[3], NULL, 10) : CHECKPOINT_SIZE;
    struct machine_events events = {.context = &bench, .on_result = on_result};
    bench.kv = kv_open_memory();
    if (argc > 1) {
        kv_close(bench.kv);
        if (kv_open_rocksdb(argv[1], 8 << 20, &bench.kv, &error) != STATUS_OK) {
            FATAL("%s", error);
        }
    }
    if (machine_open(bench.kv, &events, &bench.machine, &error) != STATUS_OK) {
        FATAL("%s", error);
    }
    entry_begin(&bench.entry);
    for (uint64_t queue = 0; queue < bench.queues; queue += TOPIC_QUEUES_MAX) {
        put_topic(&bench, queue);
    }
    apply(&bench);
    bench.apply_ns = 0;
    for (uint32_t i = 0; i < MESSAGES; i++) {
        put_message(&bench, false);
        if (entry_count(&bench.entry) == PER_ENTRY) {
            apply(&bench);
        }
    }
    apply(&bench);
    report(&bench, "message 1 KiB", MESSAGES);
    for (uint32_t i = 0; i < TRANSACTIONS / PER_ENTRY; i++) {
        for (uint32_t j = 0; j < PER_ENTRY; j++) {
            put_message(&bench, true);
        }
        apply(&bench);
        for (uint32_t j = 0; j < PER_ENTRY; j++) {
            put_end(&bench, &bench.halves[j]);
        }
        apply(&bench);
    }
    report(&bench, "transaction", TRANSACTIONS);
    checkpoint(&bench);
    machine_close(bench.machine);
    uint64_t start = cpu_ns();
    if (machine_open(bench.kv, &events, &bench.machine, &error) != STATUS_OK) {
        FATAL("%s", error);
    }
    printf("open           %.0f ms\n", (double)(cpu_ns() - start) / 1e6);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("memory         %ld MB at most\n", usage.ru_maxrss / 1024);
    machine_close(bench.machine);
    kv_close(bench.kv);
    buf_close(&bench.entry);
    return 0;
}
