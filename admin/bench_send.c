/* raftmq bench send: ordinary messages. */
#include "admin/bench.h"

#include "common/base/clock.h"
#include "common/remoting/codes.h"
#include "common/remoting/message.h"
#include "common/remoting/names.h"
#include "common/remoting/properties.h"

#include <stdlib.h>

void bench_send_template(struct frame_template *template, const struct bench_options *options,
                         const char *topic, bool half)
{
    struct command request;
    struct buf properties = {0};
    uint8_t *body = mem_alloc((size_t)options->size);
    memset(body, 'x', (size_t)options->size);
    properties_append(&properties, 0, PROPERTY_UNIQUE_KEY, slice_text(HOLE_UNIQUE));
    properties_append(&properties, 0, PROPERTY_WAIT, slice_text("true"));
    if (half) {
        properties_append(&properties, 0, PROPERTY_TRANSACTION_PREPARED, slice_text("true"));
        properties_append(&properties, 0, PROPERTY_PRODUCER_GROUP, slice_text(options->group));
    }
    command_init_request(&request, REQUEST_SEND_MESSAGE_V2, HOLE_OPAQUE);
    command_add(&request, "a", slice_text(options->group));
    command_add(&request, "b", slice_text(topic));
    command_add(&request, "c", slice_text(TOPIC_DEFAULT));
    command_add(&request, "d", slice_text("4"));
    command_add(&request, "e", slice_text(HOLE_QUEUE));
    command_add(&request, "f", slice_text(half ? "4" : "0"));
    command_add(&request, "g", slice_text(HOLE_TIME));
    command_add(&request, "h", slice_text("0"));
    command_add(&request, "i", buf_slice(&properties));
    command_add(&request, "j", slice_text("0"));
    command_add(&request, "k", slice_text("false"));
    command_add(&request, "m", slice_text("false"));
    request.body = slice_of(body, (size_t)options->size);
    frame_template_init(template, &request);
    buf_close(&properties);
    free(body);
}

void bench_put_send(struct bench *bench, struct bench_conn *conn, uint32_t slot,
                    const struct frame_template *template)
{
    struct buf *out = conn_out(conn->conn);
    size_t begin = frame_append(template, out);
    conn->slots[slot].unique = bench->unique_low++;
    frame_patch(template, out, begin, FRAME_OPAQUE, bench_opaque(slot));
    frame_patch(template, out, begin, FRAME_TIME, clock_wall_ms(clock_system()));
    frame_patch(template, out, begin, FRAME_QUEUE, conn->target->queue_at);
    frame_patch_unique(template, out, begin, bench->unique_high, conn->slots[slot].unique);
    conn->target->queue_at = (conn->target->queue_at + 1) % (uint32_t)conn->target->queue_count;
}

static bool start(struct bench *bench, struct bench_conn *conn, uint32_t slot)
{
    bench_put_send(bench, conn, slot, bench->context);
    return true;
}

static bool on_reply(struct bench *bench, struct bench_conn *conn, uint32_t slot,
                     const struct command *reply)
{
    if (reply->code == RESPONSE_SUCCESS) {
        bench_count(bench, &conn->slots[slot], 1, (uint64_t)bench->options->size);
    } else {
        bench_count_failure(bench, reply->code);
    }
    return true;
}

enum cli_exit bench_send(struct cli *cli, const void *opaque, char **arguments)
{
    (void)arguments;
    static const struct bench_kind kind = {.start = start, .on_reply = on_reply};
    const struct bench_send_options *options = opaque;
    struct route route;
    struct frame_template template;
    struct bench *bench = bench_new(cli, options, &kind, &template);
    enum cli_exit code = route_find(cli, options->topic, &route);
    if (code == CLI_OK) {
        code = bench_aim(bench, &route, true);
    }
    if (code == CLI_OK) {
        bench_send_template(&template, &options->common, options->topic, false);
        code = bench_run(bench);
        frame_template_close(&template);
    }
    if (code == CLI_OK) {
        bench_print(cli, bench_result(bench));
    }
    bench_close(bench);
    route_close(&route);
    return code;
}
