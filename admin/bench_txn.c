/* raftmq bench txn: transactions. Each is a half message and, once that is acknowledged, a commit
 * sent oneway, as clients of RocketMQ do.
 *
 * A commit that is on its way to a node that dies is lost: then the broker has to ask, and this
 * answers like any producer. At the end the brokers' own counters must have grown by exactly as
 * many commits as transactions were decided here, with none left open. */
#include "admin/bench.h"

#include "admin/replica_status.h"
#include "common/base/clock.h"
#include "common/remoting/body_heartbeat.h"
#include "common/remoting/codes.h"
#include "common/remoting/message.h"
#include "common/remoting/names.h"

#include <stdlib.h>

enum { VERIFY_MS = 60000, UNIQUE_DIGITS = 32, ANSWER_OPAQUE = 1 };

struct counters {
    json_int_t commits;
    json_int_t open;
};

struct txn_bench {
    struct cli *cli;
    struct frame_template half;
    struct frame_template end;
    struct buf heartbeat;
    uint8_t *decided; /* By the low half of the message id: was a commit sent for it? */
    size_t decided_size;
    uint64_t decided_count;
    uint64_t checks_answered;
    bool verify;
    uint64_t verify_until_ms;
    struct counters before;
    struct counters after;
    bool equal;
};

/* --- Deciding ----------------------------------------------------------------------------- */

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
    static_assert(SYS_FLAG_COMMIT == 8, "the text above");
    command_add(&request, "fromTransactionCheck", slice_text("false"));
    command_add(&request, "msgId", slice_text(HOLE_UNIQUE));
    frame_template_init(template, &request);
}

/* A commit is sent for this one; the first or a repeated one. */
static void mark_decided(struct txn_bench *txn, uint64_t unique)
{
    if (unique >= txn->decided_size) {
        size_t size = txn->decided_size == 0 ? 65536 : txn->decided_size;
        while (size <= unique) {
            size *= 2;
        }
        txn->decided = mem_realloc(txn->decided, size);
        memset(txn->decided + txn->decided_size, 0, size - txn->decided_size);
        txn->decided_size = size;
    }
    txn->decided_count += txn->decided[unique] == 0 ? 1 : 0;
    txn->decided[unique] = 1;
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
        offset_message_id_parse(id, &host, &position) != STATUS_OK || position < 0 ||
        command_i64(reply, "queueOffset", true, &half_offset) != STATUS_OK || half_offset < 0) {
        bench_count_failure(bench, -(int32_t)STATUS_MALFORMED);
        return true;
    }
    size_t begin = frame_append(&txn->end, out);
    frame_patch(&txn->end, out, begin, FRAME_OFFSET, (uint64_t)half_offset);
    frame_patch(&txn->end, out, begin, FRAME_POSITION, (uint64_t)position);
    frame_patch_unique(&txn->end, out, begin, bench->unique_high, conn->slots[slot].unique);
    conn_flush_later(conn->conn);
    mark_decided(txn, conn->slots[slot].unique);
    bench_count(bench, &conn->slots[slot], 1, (uint64_t)bench->options->size);
    return true;
}

/* --- Being a producer --------------------------------------------------------------------- */

static void greet(struct bench *bench, struct bench_conn *conn)
{
    const struct txn_bench *txn = bench->context;
    struct command request;
    command_init_request(&request, REQUEST_HEART_BEAT, ANSWER_OPAQUE);
    request.body = buf_slice(&txn->heartbeat);
    conn_send_command(conn->conn, &request);
}

/* Sixteen hex digits. */
static bool hex_parse(const uint8_t *digits, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < UNIQUE_DIGITS / 2; i++) {
        const char *all = "0123456789ABCDEF";
        const char *found = digits[i] == 0 ? NULL : strchr(all, digits[i]);
        if (found == NULL) {
            return false;
        }
        *value = *value << 4 | (uint64_t)(found - all);
    }
    return true;
}

/* The broker asks for the outcome of a transaction: all of ours are to be committed. */
static void on_request(struct bench *bench, struct bench_conn *conn, const struct command *check)
{
    struct txn_bench *txn = bench->context;
    struct slice id;
    struct slice offset;
    struct slice position;
    uint64_t high;
    uint64_t low;
    if (check->code != REQUEST_CHECK_TRANSACTION_STATE || !command_find(check, "msgId", &id) ||
        !command_find(check, "tranStateTableOffset", &offset) ||
        !command_find(check, "commitLogOffset", &position) || id.size != UNIQUE_DIGITS ||
        !hex_parse(id.data, &high) || !hex_parse(id.data + UNIQUE_DIGITS / 2, &low) ||
        high != bench->unique_high || low >= bench->unique_low) {
        return; // Of an earlier run: not for us to decide.
    }
    struct command request;
    command_init_request(&request, REQUEST_END_TRANSACTION, 0);
    request.flag = COMMAND_FLAG_ONEWAY;
    command_add(&request, "topic", slice_text(bench->topic));
    command_add(&request, "producerGroup", slice_text(bench->options->group));
    command_add(&request, "tranStateTableOffset", offset);
    command_add(&request, "commitLogOffset", position);
    command_add(&request, "commitOrRollback", slice_text("8"));
    command_add(&request, "fromTransactionCheck", slice_text("true"));
    command_add(&request, "msgId", id);
    conn_send_command(conn->conn, &request);
    mark_decided(txn, low);
    txn->checks_answered++;
}

/* --- Verifying ---------------------------------------------------------------------------- */

/* Add what the leader of a group has counted; false if it does not tell. */
static bool add_counters(const json_t *group, struct counters *counters)
{
    const json_t *leader = json_object_get(group, "leader");
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(group, "replicas"), i, row)
    {
        const json_t *found = json_object_get(json_object_get(row, "status"), "counters");
        const json_t *commits = json_object_get(found, "commits");
        if (leader != NULL && json_equal(leader, json_object_get(row, "address")) &&
            json_is_integer(commits)) {
            counters->commits += json_integer_value(commits);
            counters->open += json_integer_value(json_object_get(found, "pending"));
            return true;
        }
    }
    return false;
}

/* What all leaders have counted so far; false if one of them does not tell. */
static bool counters_ask(struct cli *cli, struct counters *counters)
{
    struct brokers brokers;
    bool all = brokers_find(cli, &brokers) == CLI_OK && brokers.info.broker_count > 0;
    *counters = (struct counters){0};
    for (size_t i = 0; all && i < brokers.info.broker_count; i++) {
        json_t *group = group_status(cli, &brokers.info.brokers[i]);
        all = add_counters(group, counters);
        json_decref(group);
    }
    brokers_close(&brokers);
    return all;
}

static bool finished(struct bench *bench)
{
    struct txn_bench *txn = bench->context;
    uint64_t now = clock_monotonic_ms(clock_system());
    if (!txn->verify) {
        return true;
    }
    if (txn->verify_until_ms == 0) {
        txn->verify_until_ms = now + VERIFY_MS;
    }
    if (counters_ask(txn->cli, &txn->after)) {
        txn->equal = txn->after.commits - txn->before.commits == (json_int_t)txn->decided_count &&
                     txn->after.open <= txn->before.open;
    }
    return txn->equal || now >= txn->verify_until_ms;
}

static enum cli_exit report(struct bench *bench)
{
    const struct txn_bench *txn = bench->context;
    json_t *result = bench_result(bench);
    json_object_set_new(result, "checksAnswered", json_integer((json_int_t)txn->checks_answered));
    if (!txn->verify) {
        json_object_set_new(result, "verified",
                            json_string("no: these brokers do not tell their counters"));
    } else {
        json_int_t committed = txn->after.commits - txn->before.commits;
        json_object_set_new(result, "committed", json_integer(committed));
        json_object_set_new(
            result, "verified",
            json_sprintf("%s: %llu transactions decided, %lld committed by the brokers, %lld left "
                         "open; %llu checks answered",
                         txn->equal ? "yes" : "NO", (unsigned long long)txn->decided_count,
                         (long long)committed, (long long)(txn->after.open - txn->before.open),
                         (unsigned long long)txn->checks_answered));
    }
    bench_print(bench->cli, result);
    return txn->verify && !txn->equal ? CLI_FAILED : CLI_OK;
}

static void heartbeat_make(struct txn_bench *txn, const char *group)
{
    struct slice producer = slice_text(group);
    struct heartbeat heartbeat = {
        .client_id = slice_text("raftmq-bench"),
        .producer_count = 1,
        .producers = &producer,
    };
    heartbeat_encode(&heartbeat, &txn->heartbeat);
}

enum cli_exit bench_txn(struct cli *cli, const void *opaque, char **arguments)
{
    (void)arguments;
    static const struct bench_kind kind = {
        .start = start,
        .on_reply = on_reply,
        .greet = greet,
        .on_request = on_request,
        .finished = finished,
    };
    const struct bench_send_options *options = opaque;
    struct route route;
    struct txn_bench txn = {.cli = cli};
    struct bench *bench = bench_new(cli, options, &kind, &txn);
    enum cli_exit code = route_find(cli, options->topic, &route);
    if (code == CLI_OK) {
        code = bench_aim(bench, &route, true);
    }
    if (code == CLI_OK) {
        txn.verify = options->verify && counters_ask(cli, &txn.before);
        bench_send_template(&txn.half, &options->common, options->topic, true);
        end_template(&txn.end, options);
        heartbeat_make(&txn, options->common.group);
        code = bench_run(bench);
        code = code == CLI_OK ? report(bench) : code;
    }
    frame_template_close(&txn.half);
    frame_template_close(&txn.end);
    buf_close(&txn.heartbeat);
    free(txn.decided);
    bench_close(bench);
    route_close(&route);
    return code;
}
