/* A nameserver's requests, one after the other, without sockets: registrations above all.
 *
 * Each request: a byte that picks the code, one that picks the body (bit 0: registration deflated,
 * bit 1: clock jumps), fields "name=value" up to a newline, then the body up to the next 0xFF.
 * Whatever is asked is answered with a frame that decodes. */
#include "common/base/clock.h"
#include "nameserver/nameserver_internal.h"
#include "nameserver/settings.h"
#include "tests/fuzz/fuzz.h"

#include <zlib.h>

enum { REQUESTS_MAX = 32, CONNECTIONS = 3, CLOCK_STEP_MS = 50 * 1000 };

static const int32_t codes[] = {103, 104, 105, 106, 100, 101, 102, 205, 206, 216, 217, 219,
                                224, 304, 311, 312, 313, 318, 319, 322, 327, 901, 904, 1};

static uint64_t clock_now(void *context)
{
    return *(const uint64_t *)context;
}

/* The kv file cannot be written: its folder is not there. */
static void open_nameserver(struct nameserver *nameserver, const struct clock *clock,
                            struct log *log)
{
    *nameserver = (struct nameserver){
        .options = {.settings = nameserver_settings_new(NULL), .clock = clock, .log = log},
        .routes = route_table_new(),
    };
    enum status status = kv_config_open("/nonexistent/raftmq/kv.json", &nameserver->kv);
    ASSERT(status == STATUS_OK);
}

static void close_nameserver(struct nameserver *nameserver)
{
    route_table_free(nameserver->routes);
    kv_config_free(nameserver->kv);
    config_free(nameserver->options.settings);
    buf_close(&nameserver->body);
    buf_close(&nameserver->scratch);
    buf_close(&nameserver->remark);
}

static void add_fields(struct command *command, struct slice text)
{
    struct fuzz_input fields = {text};
    while (fuzz_left(&fields) && command->field_count < HEADER_FIELDS_MAX) {
        struct fuzz_input pair = {fuzz_until(&fields, '&')};
        struct slice name = fuzz_until(&pair, '=');
        command->fields[command->field_count++] = (struct field){name, pair.rest};
    }
}

static struct slice deflated(struct slice body, struct buf *out)
{
    uLongf size = compressBound(body.size);
    int result = compress(buf_extend(out, size), &size, body.data, body.size);
    ASSERT(result == Z_OK);
    return slice_of(out->data, size);
}

static void assert_answer(const struct command *response, int32_t opaque)
{
    struct buf frame = {0};
    struct buf scratch = {0};
    struct command decoded;
    size_t size = 0;
    command_encode(response, &frame);
    enum status status = frame_measure(frame.data, &size);
    ASSERT(status == STATUS_OK && size == frame.size);
    status = command_decode(buf_slice(&frame), &scratch, &decoded);
    ASSERT(status == STATUS_OK && decoded.opaque == opaque && command_is_response(&decoded));
    ASSERT(decoded.code == 0 || (decoded.remark.size > 0 && decoded.body.size == 0));
    buf_close(&frame);
    buf_close(&scratch);
}

static void ask(struct nameserver *nameserver, struct fuzz_input *input, int32_t opaque,
                uint64_t *now_ms)
{
    struct command command;
    struct command response;
    struct buf body = {0};
    int32_t code = codes[fuzz_u8(input) % (sizeof codes / sizeof codes[0])];
    uint8_t how = fuzz_u8(input);
    command_init_request(&command, code, opaque);
    command.version = how >> 4 & 1 ? 479 : 30;
    add_fields(&command, fuzz_until(input, '\n'));
    command.body = fuzz_until(input, 0xFF);
    if ((how & 1) != 0 && command.body.size > 0) {
        command.body = deflated(command.body, &body);
    }
    if ((how & 2) != 0) {
        *now_ms += CLOCK_STEP_MS;
        route_table_expire(nameserver->routes, *now_ms);
    }
    uint64_t connection = 1 + (uint64_t)(how >> 2 & 3) % CONNECTIONS;
    nameserver_answer(nameserver, &command, connection, &response);
    assert_answer(&response, opaque);
    if ((how & 0x80) != 0) {
        route_table_disconnect(nameserver->routes, connection);
    }
    buf_close(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {slice_of(data, size)};
    uint64_t now_ms = 1;
    const struct clock clock = {clock_now, clock_now, &now_ms};
    struct nameserver nameserver;
    struct log log;
    log_init(&log, stderr, LOG_SILENT, "fuzz");
    open_nameserver(&nameserver, &clock, &log);
    for (int32_t i = 0; i < REQUESTS_MAX && fuzz_left(&input); i++) {
        ask(&nameserver, &input, i, &now_ms);
        log.level = LOG_SILENT; // A request may have changed it.
    }
    // What may not be changed from afar was not.
    ASSERT(config_integer(nameserver.options.settings, "listenPort") == 9876);
    ASSERT(strcmp(config_text(nameserver.options.settings, "kvConfigPath"), "kvConfig.json") == 0);
    for (uint64_t i = 1; i <= CONNECTIONS; i++) {
        route_table_disconnect(nameserver.routes, i);
    }
    ASSERT(route_table_broker_count(nameserver.routes) == 0);
    close_nameserver(&nameserver);
    return 0;
}
