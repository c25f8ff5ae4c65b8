/* What replicas send each other: hellos, their answers, messages with frames, probes, copies of the
 * data; and the record of a cut log's base, which travels too.
 *
 * The first byte picks one; its high bits ask for right checksums, which no mutation finds. */
#include "common/base/crc32c.h"
#include "raft-glue/fetch_wire.h"
#include "raft-glue/replica_configuration.h"
#include "raft-glue/replica_hello.h"
#include "raft-glue/replica_probe.h"
#include "raft-glue/replica_wire.h"
#include "tests/fuzz/fuzz.h"

enum { SEED = 42, FIX_HEADER = 0x80, FIX_FRAMES = 0x40, CRC_AT = 4, CRC_FROM = 8 };

static void fuzz_hello(struct slice bytes)
{
    struct hello hello;
    size_t size = 0;
    struct buf out = {0};
    if (hello_decode(bytes, &hello, &size) == STATUS_OK) {
        ASSERT(size <= bytes.size && size <= HELLO_SIZE_MAX);
        if (hello.version == HELLO_VERSION) {
            hello_encode(&hello, &out);
            ASSERT(out.size == size);
            struct hello again;
            enum status status = hello_decode(buf_slice(&out), &again, &size);
            ASSERT(status == STATUS_OK && again.sender == hello.sender);
            ASSERT(slice_equals(again.group, hello.group));
            ASSERT(slice_equals(again.cluster, hello.cluster));
        }
    }
    buf_close(&out);
}

static void fuzz_answer(struct slice bytes)
{
    enum hello_answer answer;
    if (hello_answer_decode(bytes, &answer) == STATUS_OK) {
        uint8_t bytes_again[HELLO_ANSWER_SIZE];
        enum hello_answer again;
        hello_answer_encode(answer, bytes_again);
        enum status status = hello_answer_decode(slice_of(bytes_again, sizeof bytes_again), &again);
        ASSERT(status == STATUS_OK && again == answer);
        ASSERT(strlen(hello_answer_text(answer)) > 0);
    }
}

static void fix_crc(uint8_t *header, size_t size, uint32_t seed)
{
    le32_put(header + CRC_AT, crc32c(seed, header + CRC_FROM, size - CRC_FROM));
}

/* Walk the frames by their sizes and make checksums right. */
static void fix_frames(uint8_t *body, size_t size)
{
    size_t at = 0;
    while (size - at >= LOG_FRAME_HEADER_SIZE) {
        uint32_t payload = le32_get(body + at + 8);
        size_t room = size - at - LOG_FRAME_HEADER_SIZE;
        if (payload > room) {
            return;
        }
        le32_put(body + at + 12, crc32c(0, body + at + LOG_FRAME_HEADER_SIZE, payload));
        fix_crc(body + at, LOG_FRAME_HEADER_SIZE, SEED);
        size_t frame = log_frame_size(payload);
        at += frame < size - at ? frame : size - at;
    }
}

static void fuzz_message(struct slice bytes, uint8_t how)
{
    struct buf copy = {0};
    struct wire_header header;
    static struct wire_entry entries[WIRE_ENTRIES_MAX];
    buf_put_slice(&copy, bytes);
    if (copy.size >= WIRE_HEADER_SIZE && (how & FIX_HEADER) != 0) {
        fix_crc(copy.data, WIRE_HEADER_SIZE, 0);
    }
    if (copy.size >= WIRE_HEADER_SIZE && (how & FIX_FRAMES) != 0) {
        fix_frames(copy.data + WIRE_HEADER_SIZE, copy.size - WIRE_HEADER_SIZE);
    }
    if (wire_header_decode(buf_slice(&copy), &header) == STATUS_OK) {
        uint8_t again[WIRE_HEADER_SIZE];
        ASSERT(header.body_size <= WIRE_BODY_MAX);
        wire_header_encode(&header, again);
        struct wire_header decoded;
        enum status status = wire_header_decode(slice_of(again, sizeof again), &decoded);
        ASSERT(status == STATUS_OK && decoded.body_size == header.body_size);
        ASSERT(decoded.message.type == header.message.type);
        struct slice body = slice_from(buf_slice(&copy), WIRE_HEADER_SIZE);
        if (header.message.type == RAFT_APPEND_ENTRIES && body.size >= header.body_size) {
            ASSERT(header.message.append_entries.n_entries <= WIRE_ENTRIES_MAX);
            body.size = header.body_size;
            status = wire_entries_decode(&header, body, SEED, entries);
            ASSERT(status == STATUS_OK || status == STATUS_MALFORMED);
        }
    }
    buf_close(&copy);
}

static void fuzz_probe(struct slice bytes)
{
    struct probe probe;
    struct probe again;
    struct buf out = {0};
    if (probe_decode(bytes, &probe) == STATUS_OK) {
        ASSERT(probe.change.size <= REPLICA_BASE_CHANGE_MAX);
        ASSERT(probe.change.size == 0 || configuration_valid(probe.change));
        probe_encode(&probe, &out);
        enum status status = probe_decode(buf_slice(&out), &again);
        ASSERT(status == STATUS_OK && again.answer == probe.answer && again.term == probe.term);
        ASSERT(slice_equals(again.change, probe.change));
    }
    buf_close(&out);
}

static void fuzz_fetch_request(struct slice bytes)
{
    struct fetch_request request;
    struct fetch_request again;
    uint8_t to[FETCH_REQUEST_SIZE];
    if (fetch_request_decode(bytes, &request) == STATUS_OK) {
        fetch_request_encode(&request, to);
        enum status status = fetch_request_decode(slice_of(to, sizeof to), &again);
        ASSERT(status == STATUS_OK && again.type == request.type && again.index == request.index);
    }
}

static void fuzz_fetch_answer(struct slice bytes)
{
    struct fetch_answer answer;
    struct fetch_answer again;
    uint8_t to[FETCH_ANSWER_SIZE];
    if (fetch_answer_decode(bytes, &answer) == STATUS_OK) {
        ASSERT(answer.body_size <= FETCH_BODY_MAX);
        fetch_answer_encode(&answer, to);
        enum status status = fetch_answer_decode(slice_of(to, sizeof to), &again);
        ASSERT(status == STATUS_OK && again.body_size == answer.body_size);
        ASSERT(again.status == answer.status && again.count == answer.count);
    }
}

static void fuzz_base(struct slice bytes)
{
    struct replica_base base;
    uint8_t record[REPLICA_BASE_RECORD_SIZE] = {0};
    uint8_t again[REPLICA_BASE_RECORD_SIZE];
    if (bytes.size > 0) {
        memcpy(record, bytes.data, bytes.size < sizeof record ? bytes.size : sizeof record);
    }
    if (replica_base_decode(record, &base) == STATUS_OK) {
        ASSERT(base.change_size <= REPLICA_BASE_CHANGE_MAX);
        ASSERT(base.change_size == 0 || configuration_valid(replica_base_change(&base)));
        replica_base_encode(&base, again);
        struct replica_base decoded;
        enum status status = replica_base_decode(again, &decoded);
        ASSERT(status == STATUS_OK && decoded.index == base.index);
    }
}

/* With the checksum made right, of as many bytes as the format has it over. */
static void fuzz_fixed(struct slice bytes, uint8_t how)
{
    struct buf copy = {0};
    buf_put_slice(&copy, bytes);
    size_t size = how % 8 == 5 ? FETCH_REQUEST_SIZE : FETCH_ANSWER_SIZE;
    if (how % 8 == 4 && copy.size >= 12) {
        size = le16_get(copy.data + 10);
    }
    if ((how & FIX_HEADER) != 0 && size >= CRC_FROM && copy.size >= size) {
        fix_crc(copy.data, size, 0);
    }
    switch (how % 8) {
    case 4:
        fuzz_probe(buf_slice(&copy));
        break;
    case 5:
        fuzz_fetch_request(buf_slice(&copy));
        break;
    default:
        fuzz_fetch_answer(buf_slice(&copy));
        break;
    }
    buf_close(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {slice_of(data, size)};
    uint8_t how = fuzz_u8(&input);
    switch (how % 8) {
    case 0:
        fuzz_hello(input.rest);
        break;
    case 1:
        fuzz_answer(input.rest);
        break;
    case 2:
    case 3:
        fuzz_message(input.rest, how);
        break;
    case 7:
        fuzz_base(input.rest);
        break;
    default:
        fuzz_fixed(input.rest, how);
        break;
    }
    return 0;
}
