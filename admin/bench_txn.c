/* raftmq bench txn: transactions. Each is a half message and, once that is acknowledged, a commit
 * sent oneway, as clients of RocketMQ do. At the end the brokers' own counters must have grown by
 * as many commits. */
#include "admin/bench.h"

#include "admin/replica_status.h"
#include "common/base/clock.h"
#include "common/remoting/codes.h"
#include "common/remoting/message.h"
#include "common/remoting/names.h"

#include <stdlib.h>
#include <unistd.h>

enum { VERIFY_MS = 10000, VERIFY_STEP_MS = 100, DECISION_COMMIT_CODE = SYS_FLAG_COMMIT };

struct txn_bench {
    struct frame_template half;
    struct frame_template end;
    uint64_t ended; /* Commits sent, warm-up included. */
};

static void end_template(struct frame_template *template, const struct bench_send_options *options)
{
    struct command request;
    command_init_request(&request, REQUEST_END_TRANSACTION, 0);
    request.flag = COMMAND_FLAG_ONEWAY;
    command_add(&request, "topic", slice_text(options->topic));
    command_add(&request, "producerGroup", slice_text(options->common.group));
    command_add(&request, "tranStateTableOffset", slice_text(HOLE_OFFSET));
    command_add(&request, "commitLogOffset", slice_text(HOLE_POSITION));
    command_add(&request, "commitOrRollback", slice_text("8"));
    static_assert(DECISION_COMMIT_CODE == 8, "the text above");
    command_add(&request, "fromTransactionCheck", slice_text("false"));
    command_add(&request, "msgId", slice_text(HOLE_UNIQUE));
    frame_template_init(template, &request);
}

static bool start(struct bench *bench, struct bench_conn *conn, uint32_t slot)
{
    const struct txn_bench *txn = bench->context;
    bench_put_send(bench, conn, slot, &txn->half);
    return true;
}

static bool on_reply(struct bench *bench, struct bench_conn *conn, uint32_t slot,
                     const struct command *reply)
{
    struct txn_bench *txn = bench->context;
    struct buf *out = conn_out(conn->conn);
    struct slice id;
    struct host host;
    int64_t position;
    int64_t half_offset;
    if (reply->code != RESPONSE_SUCCESS) {
        bench_count_failure(bench, reply->code);
        return true;
    }
    if (out == NULL || !command_find(reply, "msgId", &id) ||
        offset_message_id_parse(id, &host, &position) != STATUS_OK ||
        command_i64(reply, "queueOffset", true, &half_offset) != STATUS_OK) {
        bench_count_failure(bench, -(int32_t)STATUS_MALFORMED);
        return true;
    }
    size_t begin = frame_append(&txn->end, out);
    frame_patch(&txn->end, out, begin, FRAME_OFFSET, (uint64_t)half_offset);
    frame_patch(&txn->end, out, begin, FRAME_POSITION, (uint64_t)position);
    frame_patch_unique(&txn->end, out, begin, bench->unique_high, conn->slots[slot].unique);
    conn_flush_later(conn->conn);
    txn->ended++;
    bench_count(bench, &conn->slots[slot], 1, (uint64_t)bench->options->size);
    return true;
}

/* Commits that all leaders have counted so far; false if they cannot be asked. */
static bool commits_counted(struct cli *cli, json_int_t *commits)
{
    struct brokers brokers;
    bool all = brokers_find(cli, &brokers) == CLI_OK && brokers.info.broker_count > 0;
    *commits = 0;
    for (size_t i = 0; all && i < brokers.info.broker_count; i++) {
        json_t *group = group_status(cli, &brokers.info.brokers[i]);
        const json_t *leader = json_object_get(group, "leader");
        json_t *counted = NULL;
        size_t r;
        json_t *row;
        json_array_foreach(json_object_get(group, "replicas"), r, row)
        {
            if (leader != NULL && json_equal(leader, json_object_get(row, "address"))) {
                const json_t *status = json_object_get(row, "status");
                counted = json_object_get(json_object_get(status, "counters"), "commits");
            }
        }
        all = json_is_integer(counted);
        *commits += json_integer_value(counted);
        json_decref(group);
    }
    brokers_close(&brokers);
    return all;
}

/* Wait until the brokers have counted as many commits as were sent. */
static enum cli_exit verify(struct cli *cli, uint64_t ended, json_int_t before, json_t *result)
{
    json_int_t after = before;
    for (int waited = 0; waited < VERIFY_MS; waited += VERIFY_STEP_MS) {
        if (commits_counted(cli, &after) && after - before >= (json_int_t)ended) {
            break;
        }
        usleep(VERIFY_STEP_MS * 1000);
    }
    bool equal = after - before == (json_int_t)ended;
    json_object_set_new(result, "committed", json_integer(after - before));
    json_object_set_new(result, "verified",
                        json_sprintf("%s: %llu commits sent, %lld counted by the brokers",
                                     equal ? "yes" : "NO", (unsigned long long)ended,
                                     (long long)(after - before)));
    return equal ? CLI_OK : CLI_FAILED;
}

static enum cli_exit run(struct bench *bench, const struct bench_send_options *options)
{
    struct txn_bench *txn = bench->context;
    json_int_t before = 0;
    bool counted = options->verify && commits_counted(bench->cli, &before);
    bench_send_template(&txn->half, &options->common, options->topic, true);
    end_template(&txn->end, options);
    enum cli_exit code = bench_run(bench);
    frame_template_close(&txn->half);
    frame_template_close(&txn->end);
    if (code != CLI_OK) {
        return code;
    }
    json_t *result = bench_result(bench);
    if (counted) {
        code = verify(bench->cli, txn->ended, before, result);
    } else {
        json_object_set_new(result, "verified",
                            json_string("no: these brokers do not tell their counters"));
    }
    bench_print(bench->cli, result);
    return code;
}

enum cli_exit bench_txn(struct cli *cli, const void *opaque, char **arguments)
{
    (void)arguments;
    static const struct bench_kind kind = {start, on_reply};
    const struct bench_send_options *options = opaque;
    struct route route;
    struct txn_bench txn = {0};
    struct bench *bench = bench_new(cli, options, &kind, &txn);
    enum cli_exit code = route_find(cli, options->topic, &route);
    if (code == CLI_OK) {
        code = bench_aim(bench, &route, true);
    }
    if (code == CLI_OK) {
        code = run(bench, options);
    }
    bench_close(bench);
    route_close(&route);
    return code;
}
