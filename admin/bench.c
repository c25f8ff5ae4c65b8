#include "admin/bench.h"

#include "admin/output.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"

#include <stdlib.h>

enum {
    TICK_MS = 1,
    OPAQUE_BASE = 1000000000,
    NS_PER_S = 1000000000,
    REQUEST_TIMEOUT_NS_PER_S = 5,
    RECONNECT_NS = 200000000,
    CHECK_NS = 100000000,
    FINISH_NS = 250000000,
    DRAIN_NS_PER_S = 5,
};

static void on_tick(uv_timer_t *timer);
static void on_pump(uv_prepare_t *prepare);
static void pump(struct bench *bench);
static void slot_free(struct bench_conn *conn, uint32_t slot);
static void conn_open(struct bench_conn *conn);
static void interval_report(struct bench *bench, uint64_t now);
static void finish(struct bench *bench, uint64_t now);
static void stop(struct bench *bench);

static uint64_t now_ns(void)
{
    return clock_measure_ns();
}

/* --- Life --------------------------------------------------------------------------------- */

static void conns_open(struct bench *bench)
{
    const struct bench_options *options = bench->options;
    bench->conn_count = bench->target_count * (size_t)options->connections;
    bench->conns = mem_zalloc(bench->conn_count * sizeof *bench->conns);
    for (size_t i = 0; i < bench->conn_count; i++) {
        struct bench_conn *conn = &bench->conns[i];
        conn->bench = bench;
        conn->target = &bench->targets[i % bench->target_count];
        conn->slot_count = (uint32_t)options->depth;
        conn->slots = mem_zalloc(conn->slot_count * sizeof *conn->slots);
        conn->free_slots = mem_alloc(conn->slot_count * sizeof *conn->free_slots);
        for (uint32_t slot = conn->slot_count; slot-- > 0;) {
            conn->free_slots[conn->free_count++] = slot;
        }
        conn_open(conn);
    }
}

struct bench *bench_new(struct cli *cli, const struct bench_send_options *options,
                        const struct bench_kind *kind, void *context)
{
    struct bench *bench = mem_zalloc(sizeof *bench);
    bench->cli = cli;
    bench->options = &options->common;
    bench->topic = options->topic;
    bench->kind = kind;
    bench->context = context;
    return bench;
}

enum cli_exit bench_run(struct bench *bench)
{
    struct random random = random_system();
    bench->unique_high = random_next(&random);
    if (uv_loop_init(&bench->loop) != 0) {
        return cli_fail(bench->cli, CLI_FAILED, "no event loop");
    }
    uv_timer_init(&bench->loop, &bench->tick);
    uv_prepare_init(&bench->loop, &bench->pump);
    bench->tick.data = bench;
    bench->pump.data = bench;
    conns_open(bench);
    bench->start_ns = bench->second_ns = now_ns();
    bench->measuring = bench->options->warmup_s == 0;
    bench->measured_from_ns = bench->start_ns;
    uv_timer_start(&bench->tick, on_tick, TICK_MS, TICK_MS);
    uv_prepare_start(&bench->pump, on_pump);
    conn_block_sigpipe();
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    uv_loop_close(&bench->loop);
    if (bench->total.done == 0) {
        json_decref(bench_result(bench));
        return cli_fail(bench->cli, CLI_UNREACHABLE, "no request succeeded, %llu failed",
                        (unsigned long long)bench->total.failed);
    }
    return CLI_OK;
}

void bench_close(struct bench *bench)
{
    for (size_t i = 0; i < bench->conn_count; i++) {
        free(bench->conns[i].slots);
        free(bench->conns[i].free_slots);
    }
    free(bench->conns);
    free(bench->targets);
    free(bench);
}

static bool idle(const struct bench *bench)
{
    for (size_t i = 0; i < bench->conn_count; i++) {
        const struct bench_conn *conn = &bench->conns[i];
        if (conn->conn != NULL &&
            (conn->free_count < conn->slot_count || conn_out_size(conn->conn) > 0)) {
            return false;
        }
    }
    return true;
}

static void stop(struct bench *bench)
{
    if (bench->stopping) {
        return;
    }
    bench->stopping = true;
    for (size_t i = 0; i < bench->conn_count; i++) {
        if (bench->conns[i].conn != NULL) {
            conn_close(bench->conns[i].conn, STATUS_OK);
        }
    }
    if (bench->route_conn != NULL) {
        conn_close(bench->route_conn, STATUS_OK);
    }
    uv_close((uv_handle_t *)&bench->tick, NULL);
    uv_close((uv_handle_t *)&bench->pump, NULL);
}

/* --- Connections -------------------------------------------------------------------------- */

static void on_command(struct conn *uv_conn, const struct command *command, struct slice frame)
{
    (void)frame;
    struct bench_conn *conn = conn_context(uv_conn);
    struct bench *bench = conn->bench;
    if (!command_is_response(command)) {
        if (bench->kind->on_request != NULL) {
            bench->kind->on_request(bench, conn, command);
        }
        return;
    }
    uint32_t slot = (uint32_t)command->opaque - OPAQUE_BASE;
    if (slot >= conn->slot_count || !conn->slots[slot].busy) {
        return; // It came too late, or answers a greeting.
    }
    if (!bench->kind->on_reply(bench, conn, slot, command)) {
        return;
    }
    slot_free(conn, slot);
}

static void on_close(struct conn *uv_conn, enum status why)
{
    struct bench_conn *conn = conn_context(uv_conn);
    struct bench *bench = conn->bench;
    conn->conn = NULL;
    conn->reconnect_at_ns = now_ns() + RECONNECT_NS;
    bool any = false;
    for (uint32_t slot = 0; slot < conn->slot_count; slot++) {
        if (conn->slots[slot].busy) {
            bench_count_failure(bench, -(int32_t)(why == STATUS_OK ? STATUS_CONNECTION_LOST : why));
            slot_free(conn, slot);
            any = true;
        }
    }
    if (!any && !bench->stopping) {
        bench->connections_failed++;
    }
}

static void conn_open(struct bench_conn *conn)
{
    static const struct conn_events events = {.on_command = on_command, .on_close = on_close};
    struct conn_options options = {.events = &events, .context = conn};
    if (conn_connect(&conn->bench->loop, conn->target->host, &options, &conn->conn) != STATUS_OK) {
        conn->conn = NULL;
        conn->reconnect_at_ns = now_ns() + RECONNECT_NS;
        conn->bench->connections_failed++;
    } else if (conn->bench->kind->greet != NULL) {
        conn->bench->kind->greet(conn->bench, conn);
    }
}

static void slot_free(struct bench_conn *conn, uint32_t slot)
{
    conn->slots[slot].busy = false;
    conn->free_slots[conn->free_count++] = slot;
}

/* --- Pace --------------------------------------------------------------------------------- */

/* When the next request is due. */
static uint64_t due_ns(const struct bench *bench, uint64_t now)
{
    if (bench->options->rate == 0) {
        return now;
    }
    double seconds = (double)bench->issued / (double)bench->options->rate;
    return bench->start_ns + (uint64_t)(seconds * NS_PER_S);
}

/* Begin one request on a connection with a free slot. False: it has nothing to do. */
static bool issue(struct bench *bench, struct bench_conn *conn, uint64_t intended, uint64_t now)
{
    uint32_t slot = conn->free_slots[conn->free_count - 1];
    conn->slots[slot].intended_ns = intended;
    conn->slots[slot].sent_ns = now;
    if (!bench->kind->start(bench, conn, slot)) {
        return false;
    }
    slot = conn->free_slots[conn->free_count - 1]; // It may have preferred another one.
    conn->slots[slot].busy = true;
    conn->free_count--;
    bench->issued++;
    conn_flush_later(conn->conn);
    return true;
}

/* The next connection that can take a request, in turns; NULL if all are full. */
static struct bench_conn *conn_choose(struct bench *bench)
{
    for (size_t tried = 0; tried < bench->conn_count; tried++) {
        struct bench_conn *conn = &bench->conns[bench->conn_next];
        bench->conn_next = (bench->conn_next + 1) % bench->conn_count;
        if (conn->conn != NULL && conn->free_count > 0 && conn_out(conn->conn) != NULL) {
            return conn;
        }
    }
    return NULL;
}

/* Everybody is there and none has anything to do: the end of a finite load. */
static bool exhausted(const struct bench *bench)
{
    for (size_t i = 0; i < bench->conn_count; i++) {
        if (bench->conns[i].conn == NULL) {
            return false;
        }
    }
    return idle(bench);
}

static void pump(struct bench *bench)
{
    if (bench->draining) {
        return;
    }
    uint64_t now = now_ns();
    size_t refused = 0;
    while (refused < bench->conn_count) {
        uint64_t due = due_ns(bench, now);
        struct bench_conn *conn = due <= now ? conn_choose(bench) : NULL;
        if (conn == NULL) {
            return;
        }
        refused = issue(bench, conn, due, now) ? 0 : refused + 1;
    }
    bench->draining = exhausted(bench);
}

static void on_pump(uv_prepare_t *prepare)
{
    pump(prepare->data);
}

static void conns_check(struct bench *bench, uint64_t now)
{
    bool greet = bench->kind->greet != NULL && now - bench->greeted_ns >= NS_PER_S;
    bool needed = !bench->draining || bench->kind->finished != NULL;
    bench->greeted_ns = greet ? now : bench->greeted_ns;
    for (size_t i = 0; i < bench->conn_count; i++) {
        struct bench_conn *conn = &bench->conns[i];
        if (conn->conn == NULL) {
            if (needed && now >= conn->reconnect_at_ns) {
                conn_open(conn);
                bench_route_refresh(bench); // For the next attempt, should this one fail.
            }
            continue;
        }
        if (greet) {
            bench->kind->greet(bench, conn);
        }
        for (uint32_t slot = 0; slot < conn->slot_count; slot++) {
            if (conn->slots[slot].busy &&
                now - conn->slots[slot].sent_ns > (uint64_t)REQUEST_TIMEOUT_NS_PER_S * NS_PER_S) {
                conn_close(conn->conn, STATUS_TIMED_OUT);
                break;
            }
        }
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct bench *bench = timer->data;
    uint64_t now = now_ns();
    uint64_t warm_ns = bench->start_ns + (uint64_t)bench->options->warmup_s * NS_PER_S;
    uint64_t end_ns = warm_ns + (uint64_t)bench->options->seconds * NS_PER_S;
    if (now - bench->second_ns >= NS_PER_S && !bench->draining) {
        interval_report(bench, now);
    }
    if (now - bench->checked_ns >= CHECK_NS) {
        bench->checked_ns = now;
        conns_check(bench, now);
    }
    if (!bench->measuring && now >= warm_ns) {
        bench->measuring = true;
        bench->measured_from_ns = now;
        bench->total = (struct bench_counts){0};
        bench->failure_count = 0;
    }
    if (!bench->draining && now >= end_ns) {
        bench->draining = true;
    }
    if (bench->draining && bench->measured_to_ns == 0) {
        bench->measured_to_ns = now;
    }
    if (bench->draining &&
        (idle(bench) || now > bench->measured_to_ns + (uint64_t)DRAIN_NS_PER_S * NS_PER_S)) {
        finish(bench, now);
    }
}

static void finish(struct bench *bench, uint64_t now)
{
    if (bench->kind->finished == NULL) {
        stop(bench);
    } else if (now - bench->finish_asked_ns >= FINISH_NS) {
        bench->finish_asked_ns = now;
        if (bench->kind->finished(bench)) {
            stop(bench);
        }
    }
}

/* --- Counting ----------------------------------------------------------------------------- */

uint32_t bench_opaque(uint32_t slot)
{
    return OPAQUE_BASE + slot;
}

static void counts_add(struct bench_counts *counts, uint64_t latency, uint64_t messages,
                       uint64_t bytes)
{
    counts->done++;
    counts->messages += messages;
    counts->bytes += bytes;
    histogram_add(&counts->latency, latency);
}

void bench_count(struct bench *bench, const struct bench_slot *slot, uint64_t messages,
                 uint64_t bytes)
{
    uint64_t latency = now_ns() - slot->intended_ns;
    counts_add(&bench->total, latency, messages, bytes);
    counts_add(&bench->second, latency, messages, bytes);
}

void bench_count_failure(struct bench *bench, int32_t code)
{
    bench->total.failed++;
    bench->second.failed++;
    size_t i = 0;
    while (i < bench->failure_count && bench->failures[i].code != code) {
        i++;
    }
    if (i == BENCH_CODES_MAX) {
        return; // More kinds than that are only counted together.
    }
    if (i == bench->failure_count) {
        bench->failures[bench->failure_count].code = code;
        bench->failures[bench->failure_count++].count = 0;
    }
    bench->failures[i].count++;
}

static double ms(uint64_t ns)
{
    return (double)ns / 1e6;
}

static void interval_report(struct bench *bench, uint64_t now)
{
    const struct bench_counts *second = &bench->second;
    double seconds = (double)(now - bench->second_ns) / NS_PER_S;
    if (!bench->cli->json) {
        fprintf(bench->cli->out,
                "%4.0f s  %9.0f /s  %7.1f MB/s  p50 %7.2f  p99 %7.2f  max %8.2f ms%s%s\n",
                (double)(now - bench->start_ns) / NS_PER_S, (double)second->messages / seconds,
                (double)second->bytes / seconds / 1e6,
                ms(histogram_percentile(&second->latency, 0.5)),
                ms(histogram_percentile(&second->latency, 0.99)), ms(second->latency.max_ns),
                bench->measuring ? "" : "  (warm-up)", second->failed > 0 ? "  FAILURES" : "");
        fflush(bench->cli->out);
    }
    bench->second = (struct bench_counts){0};
    bench->second_ns = now;
}

static json_t *failures_json(const struct bench *bench)
{
    json_t *failures = json_object();
    for (size_t i = 0; i < bench->failure_count; i++) {
        int32_t code = bench->failures[i].code;
        const char *name = code < 0 ? status_name((enum status) - code) : response_code_name(code);
        json_object_set_new(failures, name, json_integer((json_int_t)bench->failures[i].count));
    }
    return failures;
}

json_t *bench_result(const struct bench *bench)
{
    const struct bench_counts *total = &bench->total;
    double seconds = (double)(bench->measured_to_ns - bench->measured_from_ns) / NS_PER_S;
    seconds = seconds > 0 ? seconds : 1;
    double mean = total->done == 0 ? 0 : (double)total->latency.sum_ns / (double)total->done;
    return json_pack(
        "{s:s, s:I, s:f, s:I, s:I, s:f, s:f, s:{s:f, s:f, s:f, s:f, s:f, s:f}, s:I, s:I, s:o}",
        "loop", bench->options->rate > 0 ? "open" : "closed", "connections",
        (json_int_t)bench->conn_count, "seconds", seconds, "requests", (json_int_t)total->done,
        "messages", (json_int_t)total->messages, "messagesPerSecond",
        (double)total->messages / seconds, "megabytesPerSecond",
        (double)total->bytes / seconds / 1e6, "latencyMs", "mean", mean / 1e6, "p50",
        ms(histogram_percentile(&total->latency, 0.5)), "p90",
        ms(histogram_percentile(&total->latency, 0.9)), "p99",
        ms(histogram_percentile(&total->latency, 0.99)), "p99.9",
        ms(histogram_percentile(&total->latency, 0.999)), "max", ms(total->latency.max_ns),
        "failed", (json_int_t)total->failed, "connectionsFailed",
        (json_int_t)bench->connections_failed, "failures", failures_json(bench));
}

void bench_print(struct cli *cli, json_t *result)
{
    if (cli->json) {
        output_json(cli, result);
        return;
    }
    const json_t *latency = json_object_get(result, "latencyMs");
    fprintf(cli->out, "\n%.0f messages/s, %.1f MB/s over %.1f s; %s loop, %lld connections\n",
            json_real_value(json_object_get(result, "messagesPerSecond")),
            json_real_value(json_object_get(result, "megabytesPerSecond")),
            json_real_value(json_object_get(result, "seconds")),
            json_string_value(json_object_get(result, "loop")),
            (long long)json_integer_value(json_object_get(result, "connections")));
    const char *name;
    json_t *value;
    fprintf(cli->out, "latency (ms): ");
    json_object_foreach((json_t *)latency, name, value)
    {
        fprintf(cli->out, " %s %.2f", name, json_real_value(value));
    }
    fprintf(cli->out, "\nfailed: %lld",
            (long long)json_integer_value(json_object_get(result, "failed")));
    json_object_foreach(json_object_get(result, "failures"), name, value)
    {
        fprintf(cli->out, "  %s %lld", name, (long long)json_integer_value(value));
    }
    fprintf(cli->out, "; connections failed: %lld\n",
            (long long)json_integer_value(json_object_get(result, "connectionsFailed")));
    const char *note = json_string_value(json_object_get(result, "verified"));
    if (note != NULL) {
        fprintf(cli->out, "verified: %s\n", note);
    }
    json_decref(result);
}

enum cli_exit bench_aim(struct bench *bench, const struct route *route, bool write)
{
    int32_t perm = write ? PERM_WRITE : PERM_READ;
    bench->targets = mem_zalloc((route->route.queue_count + 1) * sizeof *bench->targets);
    for (size_t i = 0; i < route->route.queue_count; i++) {
        const struct queue_data *queue = &route->route.queues[i];
        const struct broker_data *broker = route_broker(route, queue->broker);
        struct bench_target *target = &bench->targets[bench->target_count];
        target->queue_count = write ? queue->write_queues : queue->read_queues;
        if (broker == NULL || (queue->perm & perm) == 0 || target->queue_count <= 0 ||
            target->queue_count > QUEUES_PER_TOPIC_MAX || !broker_host(broker, &target->host)) {
            continue;
        }
        if (name_set(&target->name, broker->name)) {
            bench->target_count++;
        }
    }
    return bench->target_count > 0
               ? CLI_OK
               : cli_fail(bench->cli, CLI_NOT_FOUND, "no broker serves that topic at the moment");
}
