/* raftmq bench pull: read a topic from its beginning, every queue by itself, as fast as it comes.
 */
#include "admin/bench.h"

#include "common/base/clock.h"
#include "common/remoting/codes.h"
#include "common/remoting/message.h"
#include "common/remoting/names.h"

#include <stdlib.h>

enum { PULL_MESSAGES = 32, PULL_FLAG_SUBSCRIPTION = 4 };

/* A queue that is read: one per slot, so one pull per queue is in flight. */
struct pull_queue {
    int32_t id;
    uint64_t offset;
    bool finished;
};

struct pull_bench {
    struct frame_template template;
    struct pull_queue *queues; /* conn_count * depth of them. */
    bool ready;
};

static void pull_template(struct frame_template *template, const struct bench_send_options *options)
{
    struct command request;
    command_init_request(&request, REQUEST_PULL_MESSAGE, HOLE_OPAQUE);
    command_add(&request, "consumerGroup", slice_text(options->common.group));
    command_add(&request, "topic", slice_text(options->topic));
    command_add(&request, "queueId", slice_text(HOLE_QUEUE));
    command_add(&request, "queueOffset", slice_text(HOLE_OFFSET));
    command_add(&request, "maxMsgNums", slice_text("32"));
    static_assert(PULL_MESSAGES == 32 && PULL_FLAG_SUBSCRIPTION == 4, "the texts here");
    command_add(&request, "sysFlag", slice_text("4"));
    command_add(&request, "commitOffset", slice_text("0"));
    command_add(&request, "suspendTimeoutMillis", slice_text("0"));
    command_add(&request, "subscription", slice_text("*"));
    command_add(&request, "subVersion", slice_text("0"));
    command_add(&request, "expressionType", slice_text("TAG"));
    frame_template_init(template, &request);
}

static struct pull_queue *queue_of(const struct bench *bench, const struct bench_conn *conn,
                                   uint32_t slot)
{
    const struct pull_bench *pull = bench->context;
    size_t index = (size_t)(conn - bench->conns);
    return &pull->queues[index * conn->slot_count + slot];
}

/* Queue ids in turns over the connections of their broker; slots that get none have nothing to do.
 */
static void queues_share_out(struct bench *bench)
{
    struct pull_bench *pull = bench->context;
    int32_t per_broker = (int32_t)(bench->conn_count / bench->target_count);
    pull->queues =
        mem_zalloc(bench->conn_count * bench->conns[0].slot_count * sizeof *pull->queues);
    for (size_t i = 0; i < bench->conn_count; i++) {
        const struct bench_conn *conn = &bench->conns[i];
        for (uint32_t slot = 0; slot < conn->slot_count; slot++) {
            struct pull_queue *queue = queue_of(bench, conn, slot);
            queue->id = (int32_t)slot * per_broker + (int32_t)(i / bench->target_count);
            queue->finished = queue->id >= conn->target->queue_count;
        }
    }
    pull->ready = true;
}

static bool start(struct bench *bench, struct bench_conn *conn, uint32_t slot)
{
    struct pull_bench *pull = bench->context;
    if (!pull->ready) {
        queues_share_out(bench);
    }
    // Slots that are free come last in, first out; look for one with something left to read.
    for (uint32_t i = conn->free_count; i-- > 0;) {
        uint32_t other = conn->free_slots[i];
        if (!queue_of(bench, conn, other)->finished) {
            conn->slots[other] = conn->slots[slot];
            conn->free_slots[i] = slot;
            conn->free_slots[conn->free_count - 1] = other;
            slot = other;
            break;
        }
    }
    struct pull_queue *queue = queue_of(bench, conn, slot);
    if (queue->finished) {
        return false;
    }
    struct buf *out = conn_out(conn->conn);
    size_t begin = frame_append(&pull->template, out);
    frame_patch(&pull->template, out, begin, FRAME_OPAQUE, bench_opaque(slot));
    frame_patch(&pull->template, out, begin, FRAME_QUEUE, (uint64_t)queue->id);
    frame_patch(&pull->template, out, begin, FRAME_OFFSET, queue->offset);
    return true;
}

/* How many messages lie in a pull's body, and how large their bodies are. */
static uint64_t messages_in(struct slice rest, uint64_t *bytes)
{
    uint64_t count = 0;
    struct message message;
    size_t size;
    while (message_decode(rest, &message, &size) == STATUS_OK) {
        count++;
        *bytes += message.body.size;
        rest = slice_from(rest, size);
    }
    return count;
}

static bool on_reply(struct bench *bench, struct bench_conn *conn, uint32_t slot,
                     const struct command *reply)
{
    struct pull_queue *queue = queue_of(bench, conn, slot);
    int64_t next = -1;
    bool moves = reply->code == RESPONSE_SUCCESS || reply->code == RESPONSE_PULL_OFFSET_MOVED ||
                 reply->code == RESPONSE_PULL_RETRY_IMMEDIATELY;
    if (moves && (command_i64(reply, "nextBeginOffset", true, &next) != STATUS_OK || next < 0)) {
        bench_count_failure(bench, -(int32_t)STATUS_MALFORMED);
    } else if (reply->code == RESPONSE_SUCCESS) {
        uint64_t bytes = 0;
        uint64_t count = messages_in(reply->body, &bytes);
        bench_count(bench, &conn->slots[slot], count, bytes);
        queue->offset = (uint64_t)next;
    } else if (moves) {
        queue->offset = (uint64_t)next;
    } else if (reply->code == RESPONSE_PULL_NOT_FOUND) {
        queue->finished = true; // Its end.
    } else {
        bench_count_failure(bench, reply->code);
    }
    return true;
}

enum cli_exit bench_pull(struct cli *cli, const void *opaque, char **arguments)
{
    (void)arguments;
    static const struct bench_kind kind = {.start = start, .on_reply = on_reply};
    struct bench_send_options options = *(const struct bench_send_options *)opaque;
    struct route route;
    struct pull_bench pull = {0};
    struct bench *bench = bench_new(cli, &options, &kind, &pull);
    enum cli_exit code = route_find(cli, options.topic, &route);
    if (code == CLI_OK) {
        code = bench_aim(bench, &route, false);
    }
    if (code == CLI_OK) {
        // As many slots as the connections of a broker need for all of its queues.
        int32_t queues = 1;
        for (size_t i = 0; i < bench->target_count; i++) {
            queues =
                bench->targets[i].queue_count > queues ? bench->targets[i].queue_count : queues;
        }
        options.common.depth =
            (queues + options.common.connections - 1) / options.common.connections;
        pull_template(&pull.template, &options);
        code = bench_run(bench);
        frame_template_close(&pull.template);
    }
    if (code == CLI_OK) {
        bench_print(cli, bench_result(bench));
    }
    bench_close(bench);
    free(pull.queues);
    route_close(&route);
    return code;
}
