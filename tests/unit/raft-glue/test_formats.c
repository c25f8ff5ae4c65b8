/* Golden files of every format that replicas write to disk or to each other, and what their
 * decoders refuse. */
#include "tests/support/golden.h"
#include "tests/support/test.h"

#include "common/base/crc32c.h"
#include "raft-glue/fetch_wire.h"
#include "raft-glue/log_frame.h"
#include "raft-glue/log_mark.h"
#include "raft-glue/replica.h"
#include "raft-glue/replica_configuration.h"
#include "raft-glue/replica_hello.h"
#include "raft-glue/replica_identity.h"
#include "raft-glue/replica_probe.h"
#include "raft-glue/replica_wire.h"
#include "raft-glue/segment_file.h"
#include "raft-glue/segment_summary.h"
#include "raft-glue/term_vote.h"
#include "tests/sim/sim_disk.h"

enum { SEED = 0x11223344 };

static const char payload_text[] = "hello, log";

static struct buf sample_frame(uint64_t index, uint64_t position)
{
    struct slice payload = slice_text(payload_text);
    struct log_frame frame = {
        .index = index,
        .term = 5,
        .position = position,
        .durable_mark = 0x1000,
        .payload_size = (uint32_t)payload.size,
        .payload_crc = crc32c(0, payload.data, payload.size),
        .previous = 0xA1B2C3D4,
        .type = LOG_FRAME_COMMAND,
    };
    struct buf bytes = {0};
    size_t size = log_frame_size(payload.size);
    memset(buf_extend(&bytes, size), 0, size);
    log_frame_encode(&frame, SEED, bytes.data);
    memcpy(bytes.data + LOG_FRAME_HEADER_SIZE, payload.data, payload.size);
    return bytes;
}

static void a_frame_is_as_its_golden_file(void **state)
{
    (void)state;
    struct buf bytes = sample_frame(7, 0x2040);
    golden_check("raft-glue/frame.hex", buf_slice(&bytes));
    struct log_frame frame;
    struct slice payload;
    assert_int_equal(log_frame_decode_whole(buf_slice(&bytes), SEED, &frame, &payload), STATUS_OK);
    assert_int_equal(frame.index, 7);
    assert_int_equal(frame.term, 5);
    assert_int_equal(frame.position, 0x2040);
    assert_int_equal(frame.durable_mark, 0x1000);
    assert_int_equal(frame.previous, 0xA1B2C3D4);
    assert_int_equal(frame.type, LOG_FRAME_COMMAND);
    assert_true(slice_equals_text(payload, payload_text));
    buf_close(&bytes);
}

static void a_frame_cut_short_or_flipped_anywhere_is_refused(void **state)
{
    (void)state;
    struct buf bytes = sample_frame(7, 0x2040);
    struct log_frame frame;
    struct slice payload;
    for (size_t size = 0; size < bytes.size; size++) {
        assert_int_equal(log_frame_decode_whole(slice_of(bytes.data, size), SEED, &frame, &payload),
                         STATUS_MALFORMED);
    }
    for (size_t bit = 0; bit < 8 * bytes.size; bit++) {
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(log_frame_decode_whole(buf_slice(&bytes), SEED, &frame, &payload),
                         STATUS_MALFORMED);
        bytes.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(log_frame_decode_whole(buf_slice(&bytes), SEED + 1, &frame, &payload),
                     STATUS_MALFORMED);
    buf_close(&bytes);
}

static void a_frame_size_depends_on_the_payload_size_alone(void **state)
{
    (void)state;
    assert_int_equal(log_frame_size(0), 56);
    assert_int_equal(log_frame_size(1), 64);
    assert_int_equal(log_frame_size(8), 64);
    assert_int_equal(log_frame_size(9), 72);
}

static void a_segment_header_is_as_its_golden_file(void **state)
{
    (void)state;
    struct segment_header header = {
        .group = UINT64_C(0x0102030405060708),
        .number = 9,
        .first_index = 1000,
        .previous_term = 4,
        .previous = 0xCAFEBABE,
        .segment_size = 64 * 1024 * 1024,
        .version = SEGMENT_VERSION,
    };
    uint8_t bytes[SEGMENT_HEADER_SIZE];
    segment_header_encode(&header, bytes);
    golden_check("raft-glue/segment_header.hex", slice_of(bytes, sizeof bytes));
    struct segment_header back;
    assert_int_equal(segment_header_decode(slice_of(bytes, sizeof bytes), &back), STATUS_OK);
    assert_int_equal(back.group, header.group);
    assert_int_equal(back.number, 9);
    assert_int_equal(back.first_index, 1000);
    assert_int_equal(back.previous_term, 4);
    assert_int_equal(back.previous, 0xCAFEBABE);
    assert_int_equal(back.segment_size, header.segment_size);
    for (size_t i = 0; i < sizeof bytes; i++) {
        assert_int_equal(segment_header_decode(slice_of(bytes, i), &back), STATUS_MALFORMED);
        bytes[i] ^= 4;
        assert_int_equal(segment_header_decode(slice_of(bytes, sizeof bytes), &back),
                         STATUS_MALFORMED);
        bytes[i] ^= 4;
    }
}

static const struct summary_frame summarized[] = {
    {.term = 4, .payload_size = 11, .header_crc = 0x11121314, .type = LOG_FRAME_COMMAND},
    {.term = 5, .payload_size = 8, .header_crc = 0x21222324, .type = LOG_FRAME_BARRIER},
    {.term = 5, .payload_size = 0x012345, .header_crc = 0x31323334, .type = LOG_FRAME_CHANGE},
};
enum { SUMMARIZED = sizeof summarized / sizeof summarized[0] };

static struct buf sample_summary(void)
{
    const struct segment_summary head = {
        .group = 0x0102030405060708,
        .number = 9,
        .first_index = 1000,
        .segment_size = 64 * 1024 * 1024,
    };
    struct summary_builder builder = {0};
    struct buf bytes = {0};
    for (size_t i = 0; i < SUMMARIZED; i++) {
        summary_builder_add(&builder, &summarized[i]);
    }
    summary_builder_finish(&builder, &head, &bytes);
    summary_builder_close(&builder);
    return bytes;
}

static void a_summary_is_as_its_golden_file(void **state)
{
    (void)state;
    struct buf bytes = sample_summary();
    golden_check("raft-glue/segment_summary.hex", buf_slice(&bytes));
    struct segment_summary summary;
    struct summary_walk walk;
    struct summary_frame frame;
    assert_int_equal(segment_summary_decode(buf_slice(&bytes), &summary), STATUS_OK);
    assert_int_equal(summary.group, 0x0102030405060708);
    assert_int_equal(summary.number, 9);
    assert_int_equal(summary.first_index, 1000);
    assert_int_equal(summary.segment_size, 64 * 1024 * 1024);
    assert_int_equal(summary.frame_count, SUMMARIZED);
    summary_walk_begin(&walk, &summary);
    for (size_t i = 0; i < SUMMARIZED; i++) {
        assert_true(summary_walk_next(&walk, &frame));
        assert_true(frame.term == summarized[i].term && frame.type == summarized[i].type &&
                    frame.payload_size == summarized[i].payload_size &&
                    frame.header_crc == summarized[i].header_crc);
    }
    assert_false(summary_walk_next(&walk, &frame));
    for (size_t size = 0; size < bytes.size; size++) {
        uint8_t *prefix = malloc(size + 1);
        memcpy(prefix, bytes.data, size);
        assert_int_equal(segment_summary_decode(slice_of(prefix, size), &summary),
                         STATUS_MALFORMED);
        free(prefix);
        bytes.data[size] ^= 4;
        assert_int_equal(segment_summary_decode(buf_slice(&bytes), &summary), STATUS_MALFORMED);
        bytes.data[size] ^= 4;
    }
    buf_put_u8(&bytes, 0);
    assert_int_equal(segment_summary_decode(buf_slice(&bytes), &summary), STATUS_MALFORMED);
    buf_close(&bytes);
}

/* The checksum is right each time. */
static void a_summary_that_no_segment_has_is_refused(void **state)
{
    (void)state;
    const struct {
        const char *what;
        size_t at;
        uint32_t value;
    } cases[] = {
        {"version 2", 8, 2},
        {"a segment too small for its frames", 12, 4096},
        {"first index 0", 32, 0},
        {"no frames", 40, 0},
        {"more frames than bytes", 40, 4},
        {"more runs than bytes", 44, UINT32_MAX},
        {"a run without frames", 48, 0},
        {"a run longer than there are frames", 48, 2},
        {"a term that falls", 60 + 4, 3},
        {"a frame of type 0", 72, 11},
        {"a frame of type 4", 72, 11 | 4 << 24},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buf bytes = sample_summary();
        struct segment_summary summary;
        le32_put(bytes.data + cases[i].at, cases[i].value);
        le32_put(bytes.data + 4, crc32c(0, bytes.data + 8, bytes.size - 8));
        if (segment_summary_decode(buf_slice(&bytes), &summary) != STATUS_MALFORMED) {
            fail_msg("taken: %s", cases[i].what);
        }
        buf_close(&bytes);
    }
}

static void segment_names_are_parsed_strictly(void **state)
{
    (void)state;
    char name[DIRECTORY_NAME_MAX];
    uint64_t number = 0;
    segment_name_format(0x1A, name);
    assert_string_equal(name, "segment-000000000000001a");
    assert_true(segment_name_parse(name, &number));
    assert_int_equal(number, 0x1A);
    assert_false(spare_name_parse(name, &number));
    assert_false(summary_name_parse(name, &number));
    summary_name_format(0x1B, name);
    assert_string_equal(name, "summary-000000000000001b");
    assert_true(summary_name_parse(name, &number));
    assert_int_equal(number, 0x1B);
    assert_false(segment_name_parse("segment-1a", &number));
    assert_false(segment_name_parse("segment-00000000000000zz", &number));
    assert_false(segment_name_parse("segment-0x0000000000001a", &number));
    assert_false(segment_name_parse("segment-               1", &number));
    assert_false(segment_name_parse("segment-000000000000001a.bak", &number));
}

static void a_vote_file_is_as_its_golden_file(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct directory directory = sim_disk_directory(disk);
    struct term_vote vote;
    assert_int_equal(term_vote_create(&vote, &directory, UINT64_C(0x0102030405060708), 3,
                                      &(struct term_vote_state){.term = 12, .voted_for = 2}),
                     STATUS_OK);
    term_vote_close(&vote);
    size_t size = 0;
    const uint8_t *bytes = sim_disk_bytes(disk, "vote.0", &size);
    golden_check("raft-glue/vote.hex", slice_of(bytes, size));
    sim_disk_free(disk);
}

static void a_log_mark_is_as_its_golden_file(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct directory directory = sim_disk_directory(disk);
    struct log_mark_file file;
    struct log_mark mark;
    assert_int_equal(log_mark_open(&file, &directory, &mark), STATUS_OK);
    assert_int_equal(mark.index, 0);
    const struct log_mark stored = {.index = 1000, .term = 12, .position = 0x10203040};
    assert_int_equal(log_mark_store(&file, &stored), STATUS_OK);
    log_mark_close(&file);
    size_t size = 0;
    const uint8_t *bytes = sim_disk_bytes(disk, "durable.0", &size);
    golden_check("raft-glue/log_mark.hex", slice_of(bytes, size));
    assert_int_equal(log_mark_open(&file, &directory, &mark), STATUS_OK);
    assert_int_equal(mark.index, 1000);
    assert_int_equal(mark.term, 12);
    assert_int_equal(mark.position, 0x10203040);
    log_mark_close(&file);
    sim_disk_free(disk);
}

/* ---- Messages ---- */

struct sample {
    const char *path;
    struct wire_header header;
};

static const struct sample samples[] = {
    {"raft-glue/append_entries_result.hex",
     {.message = {.type = RAFT_APPEND_ENTRIES_RESULT,
                  .append_entries_result = {.version = 2,
                                            .term = 5,
                                            .rejected = 8,
                                            .last_log_index = 7,
                                            .features = 1,
                                            .capacity = 3}}}},
    {"raft-glue/request_vote.hex",
     {.message = {.type = RAFT_REQUEST_VOTE,
                  .request_vote = {.version = 2,
                                   .term = 6,
                                   .candidate_id = 3,
                                   .last_log_index = 70,
                                   .last_log_term = 5,
                                   .disrupt_leader = true,
                                   .pre_vote = true}}}},
    {"raft-glue/request_vote_result.hex",
     {.message = {.type = RAFT_REQUEST_VOTE_RESULT,
                  .request_vote_result = {.version = 2,
                                          .term = 6,
                                          .vote_granted = true,
                                          .pre_vote = true,
                                          .features = 1,
                                          .capacity = 9}}}},
    {"raft-glue/timeout_now.hex",
     {.message =
          {.type = RAFT_TIMEOUT_NOW,
           .timeout_now = {.version = 1, .term = 6, .last_log_index = 70, .last_log_term = 5}}}},
};

static void messages_are_as_their_golden_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        uint8_t bytes[WIRE_HEADER_SIZE];
        uint8_t again[WIRE_HEADER_SIZE];
        wire_header_encode(&samples[i].header, bytes);
        golden_check(samples[i].path, slice_of(bytes, sizeof bytes));
        struct wire_header back;
        assert_int_equal(wire_header_decode(slice_of(bytes, sizeof bytes), &back), STATUS_OK);
        wire_header_encode(&back, again);
        assert_memory_equal(again, bytes, sizeof bytes);
        for (size_t at = 0; at < sizeof bytes; at++) {
            assert_int_equal(wire_header_decode(slice_of(bytes, at), &back), STATUS_MALFORMED);
            bytes[at] ^= 8;
            assert_int_equal(wire_header_decode(slice_of(bytes, sizeof bytes), &back),
                             STATUS_MALFORMED);
            bytes[at] ^= 8;
        }
    }
}

/* AppendEntries with two entries: 8 and 9 after 7. */
static struct buf sample_append(void)
{
    struct buf first = sample_frame(8, 0x2040);
    struct buf second = sample_frame(9, 0x2040 + first.size);
    struct wire_header header = {
        .message = {.type = RAFT_APPEND_ENTRIES,
                    .append_entries = {.version = 0,
                                       .term = 5,
                                       .prev_log_index = 7,
                                       .prev_log_term = 4,
                                       .leader_commit = 6,
                                       .n_entries = 2}},
        .position = 0x2040,
        .body_size = first.size + second.size,
    };
    struct buf bytes = {0};
    wire_header_encode(&header, buf_extend(&bytes, WIRE_HEADER_SIZE));
    buf_put_slice(&bytes, buf_slice(&first));
    buf_put_slice(&bytes, buf_slice(&second));
    buf_close(&first);
    buf_close(&second);
    return bytes;
}

static void append_entries_carry_the_log_s_own_frames(void **state)
{
    (void)state;
    struct buf bytes = sample_append();
    golden_check("raft-glue/append_entries.hex", buf_slice(&bytes));
    struct wire_header header;
    struct wire_entry entries[2];
    assert_int_equal(wire_header_decode(buf_slice(&bytes), &header), STATUS_OK);
    assert_int_equal(header.message.append_entries.n_entries, 2);
    assert_int_equal(header.message.append_entries.leader_commit, 6);
    struct slice body = slice_from(buf_slice(&bytes), WIRE_HEADER_SIZE);
    assert_int_equal(header.body_size, body.size);
    assert_int_equal(wire_entries_decode(&header, body, SEED, entries), STATUS_OK);
    assert_int_equal(entries[1].frame.index, 9);
    assert_true(slice_equals_text(entries[1].payload, payload_text));
    for (size_t size = 0; size < body.size; size++) {
        assert_int_equal(wire_entries_decode(&header, slice_of(body.data, size), SEED, entries),
                         STATUS_MALFORMED);
    }
    header.position = 0x2048;
    assert_int_equal(wire_entries_decode(&header, body, SEED, entries), STATUS_MALFORMED);
    header.position = 0x2040;
    header.message.append_entries.prev_log_index = 8;
    assert_int_equal(wire_entries_decode(&header, body, SEED, entries), STATUS_MALFORMED);
    header.message.append_entries.prev_log_index = 7;
    header.message.append_entries.term = 4; // An entry newer than its leader.
    assert_int_equal(wire_entries_decode(&header, body, SEED, entries), STATUS_MALFORMED);
    buf_close(&bytes);
}

static void a_message_beyond_the_bounds_takes_no_memory(void **state)
{
    (void)state;
    struct wire_header header = {
        .message = {.type = RAFT_APPEND_ENTRIES,
                    .append_entries = {.term = 5, .n_entries = WIRE_ENTRIES_MAX + 1}},
        .body_size = 1024 * 1024,
    };
    struct wire_header back;
    uint8_t bytes[WIRE_HEADER_SIZE];
    wire_header_encode(&header, bytes);
    assert_int_equal(wire_header_decode(slice_of(bytes, sizeof bytes), &back), STATUS_MALFORMED);
    header.message.append_entries.n_entries = 1;
    header.body_size = WIRE_BODY_MAX + 1;
    wire_header_encode(&header, bytes);
    assert_int_equal(wire_header_decode(slice_of(bytes, sizeof bytes), &back), STATUS_MALFORMED);
    header.body_size = LOG_FRAME_HEADER_SIZE - 1;
    wire_header_encode(&header, bytes);
    assert_int_equal(wire_header_decode(slice_of(bytes, sizeof bytes), &back), STATUS_MALFORMED);
    header.message.append_entries.n_entries = 0;
    wire_header_encode(&header, bytes);
    assert_int_equal(wire_header_decode(slice_of(bytes, sizeof bytes), &back), STATUS_MALFORMED);
}

/* ---- Hello ---- */

static void a_hello_is_as_its_golden_file(void **state)
{
    (void)state;
    const uint64_t ids[] = {1, 2, 3};
    struct hello hello = {
        .version = HELLO_VERSION,
        .sender = 2,
        .receiver = 3,
        .members = hello_members_hash(ids, 3),
        .identity = UINT64_C(0x1122334455667788),
        .change = 9,
        .raft_host = {0x0A000002, 10912},
        .client_host = {0x0A000002, 10911},
        .cluster = slice_text("DefaultCluster"),
        .group = slice_text("broker-a"),
    };
    struct buf bytes = {0};
    hello_encode(&hello, &bytes);
    golden_check("raft-glue/hello.hex", buf_slice(&bytes));
    struct hello back;
    size_t size = 0;
    assert_int_equal(hello_decode(buf_slice(&bytes), &back, &size), STATUS_OK);
    assert_int_equal(size, bytes.size);
    assert_int_equal(back.sender, 2);
    assert_int_equal(back.receiver, 3);
    assert_int_equal(back.members, hello.members);
    assert_int_equal(back.identity, hello.identity);
    assert_int_equal(back.change, 9);
    assert_int_equal(back.raft_host.address, 0x0A000002);
    assert_int_equal(back.client_host.port, 10911);
    assert_true(slice_equals_text(back.cluster, "DefaultCluster"));
    assert_true(slice_equals_text(back.group, "broker-a"));
    for (size_t i = 0; i < bytes.size; i++) {
        assert_int_equal(hello_decode(slice_of(bytes.data, i), &back, &size), STATUS_PENDING);
        bytes.data[i] ^= 0x20;
        assert_int_not_equal(hello_decode(buf_slice(&bytes), &back, &size), STATUS_OK);
        bytes.data[i] ^= 0x20;
    }
    assert_int_equal(hello_decode(slice_text("GET / HTTP/1.1\r\n"), &back, &size),
                     STATUS_MALFORMED);
    buf_close(&bytes);
}

static void an_answer_is_as_its_golden_file(void **state)
{
    (void)state;
    uint8_t bytes[HELLO_ANSWER_SIZE];
    enum hello_answer answer = HELLO_WELCOME;
    hello_answer_encode(HELLO_OTHER_GROUP, bytes);
    golden_check("raft-glue/hello_answer.hex", slice_of(bytes, sizeof bytes));
    assert_int_equal(hello_answer_decode(slice_of(bytes, sizeof bytes), &answer), STATUS_OK);
    assert_int_equal(answer, HELLO_OTHER_GROUP);
    for (size_t i = 0; i < sizeof bytes; i++) {
        assert_int_equal(hello_answer_decode(slice_of(bytes, i), &answer), STATUS_MALFORMED);
        bytes[i] ^= 1;
        assert_int_equal(hello_answer_decode(slice_of(bytes, sizeof bytes), &answer),
                         STATUS_MALFORMED);
        bytes[i] ^= 1;
    }
}

/* ---- Memberships ---- */

/* Every prefix and every flipped byte of `bytes` is refused. */
#define ASSERT_REFUSES_DAMAGE(bytes, size, decode)                                                 \
    for (size_t at = 0; at < (size); at++) {                                                       \
        assert_int_not_equal((decode)(slice_of((bytes), at)), STATUS_OK);                          \
        (bytes)[at] ^= 0x20;                                                                       \
        assert_int_not_equal((decode)(slice_of((bytes), (size))), STATUS_OK);                      \
        (bytes)[at] ^= 0x20;                                                                       \
    }

static enum status decode_probe(struct slice bytes)
{
    struct probe probe;
    return probe_decode(bytes, &probe);
}

static void a_probes_answer_is_as_its_golden_file(void **state)
{
    (void)state;
    const struct replica_voter voters[] = {{1, "10.0.0.1:10912"}, {2, "10.0.0.2:10912"}};
    struct raft_configuration configuration = replica_bootstrap(voters, 2);
    struct raft_buffer change = configuration_encode(&configuration);
    struct probe probe = {
        .counted = true,
        .leader = true,
        .identity = UINT64_C(0x1122334455667788),
        .term = 7,
        .last_index = 900,
        .leader_id = 2,
        .change_index = 1,
        .change = slice_of(change.base, change.len),
    };
    struct buf bytes = {0};
    probe_encode(&probe, &bytes);
    golden_check("raft-glue/probe.hex", buf_slice(&bytes));
    struct probe back;
    assert_int_equal(probe_decode(buf_slice(&bytes), &back), STATUS_OK);
    assert_true(back.counted && back.leader && !back.blank);
    assert_int_equal(back.identity, probe.identity);
    assert_int_equal(back.term, 7);
    assert_int_equal(back.last_index, 900);
    assert_int_equal(back.leader_id, 2);
    assert_true(slice_equals(back.change, probe.change));
    ASSERT_REFUSES_DAMAGE(bytes.data, bytes.size, decode_probe);
    buf_close(&bytes);
    raft_free(change.base);
    raft_configuration_close(&configuration);
}

/* ---- Copies ---- */

static enum status decode_request(struct slice bytes)
{
    struct fetch_request request;
    return fetch_request_decode(bytes, &request);
}

static enum status decode_answer(struct slice bytes)
{
    struct fetch_answer answer;
    return fetch_answer_decode(bytes, &answer);
}

static void requests_and_answers_of_copies_are_as_their_golden_files(void **state)
{
    (void)state;
    uint8_t request[FETCH_REQUEST_SIZE];
    fetch_request_encode(&(struct fetch_request){.type = FETCH_ENTRIES, .index = 77}, request);
    golden_check("raft-glue/fetch_request.hex", slice_of(request, sizeof request));
    struct fetch_request request_back;
    assert_int_equal(fetch_request_decode(slice_of(request, sizeof request), &request_back),
                     STATUS_OK);
    assert_int_equal(request_back.type, FETCH_ENTRIES);
    assert_int_equal(request_back.index, 77);
    ASSERT_REFUSES_DAMAGE(request, sizeof request, decode_request);
    struct fetch_answer answer = {
        .type = FETCH_ENTRIES,
        .status = STATUS_OK,
        .body_size = 4096,
        .body_crc = 0x01020304,
        .first_index = 77,
        .count = 3,
        .end = true,
        .last_index = 99,
        .term = 5,
        .applied = 60,
    };
    uint8_t bytes[FETCH_ANSWER_SIZE];
    fetch_answer_encode(&answer, bytes);
    golden_check("raft-glue/fetch_answer.hex", slice_of(bytes, sizeof bytes));
    struct fetch_answer back;
    assert_int_equal(fetch_answer_decode(slice_of(bytes, sizeof bytes), &back), STATUS_OK);
    assert_int_equal(back.body_crc, answer.body_crc);
    assert_int_equal(back.count, 3);
    assert_int_equal(back.last_index, 99);
    assert_int_equal(back.applied, 60);
    ASSERT_REFUSES_DAMAGE(bytes, sizeof bytes, decode_answer);
    answer.body_size = FETCH_BODY_MAX + 1;
    fetch_answer_encode(&answer, bytes);
    assert_int_equal(decode_answer(slice_of(bytes, sizeof bytes)), STATUS_MALFORMED);
}

/* ---- Twin files ---- */

static void a_base_is_as_its_golden_file(void **state)
{
    (void)state;
    const struct replica_voter voters[] = {{1, "10.0.0.1:10912"}, {2, "10.0.0.2:10912"}};
    struct raft_configuration configuration = replica_bootstrap(voters, 2);
    struct raft_buffer change = configuration_encode(&configuration);
    struct replica_base base = {
        .index = 500, .term = 4, .change_index = 1, .change_size = (uint32_t)change.len};
    memcpy(base.change, change.base, change.len);
    uint8_t record[REPLICA_BASE_RECORD_SIZE];
    replica_base_encode(&base, record);
    golden_check("raft-glue/base.hex", slice_of(record, sizeof record));
    struct replica_base back;
    assert_int_equal(replica_base_decode(record, &back), STATUS_OK);
    assert_int_equal(back.index, 500);
    assert_int_equal(back.term, 4);
    assert_int_equal(back.change_index, 1);
    assert_true(slice_equals(replica_base_change(&back), slice_of(change.base, change.len)));
    record[16] = 0; // No change.
    assert_int_equal(replica_base_decode(record, &back), STATUS_CORRUPT);
    record[16] = 1;
    record[28] = 9; // Not a membership.
    assert_int_equal(replica_base_decode(record, &back), STATUS_CORRUPT);
    raft_free(change.base);
    raft_configuration_close(&configuration);
}

static void an_identity_is_as_its_golden_file_and_survives(void **state)
{
    (void)state;
    struct sim_disk *disk = sim_disk_new(1);
    struct directory directory = sim_disk_directory(disk);
    struct replica_identity identity;
    assert_int_equal(replica_identity_open(&directory, 0xABCDEF, &identity), STATUS_OK);
    assert_int_equal(identity.number, 0xABCDEF);
    identity.begun = true;
    identity.count = 2;
    identity.counted[0].member = 2;
    identity.counted[0].number = 0x222;
    identity.counted[1].member = 3;
    identity.counted[1].number = 0x333;
    assert_int_equal(replica_identity_store(&directory, &identity), STATUS_OK);
    size_t size = 0;
    const uint8_t *bytes = sim_disk_bytes(disk, "identity.1", &size);
    golden_check("raft-glue/identity.hex", slice_of(bytes, size));
    sim_disk_crash(disk);
    struct replica_identity back;
    assert_int_equal(replica_identity_open(&directory, 0x999, &back), STATUS_OK);
    assert_int_equal(back.number, 0xABCDEF);
    assert_true(back.begun);
    assert_true(replica_identity_counts(&back, 3, 0x333));
    assert_false(replica_identity_counts(&back, 3, 0x222));
    assert_false(replica_identity_counts(&back, 1, 0x222));
    sim_disk_free(disk);
}

static void a_membership_is_as_its_golden_file_and_checked_before_it_is_decoded(void **state)
{
    (void)state;
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    assert_int_equal(raft_configuration_add(&configuration, 1, "10.0.0.1:1", RAFT_VOTER), 0);
    assert_int_equal(raft_configuration_add(&configuration, 2, "10.0.0.2:1", RAFT_STANDBY), 0);
    struct raft_buffer encoded = configuration_encode(&configuration);
    raft_configuration_close(&configuration);
    struct slice bytes = slice_of(encoded.base, encoded.len);
    golden_check("raft-glue/membership.hex", bytes);
    assert_true(configuration_valid(bytes));
    configuration = configuration_decode(bytes);
    assert_int_equal(configuration_voters(&configuration), 1);
    assert_true(configuration_lone_voter(&configuration, 1));
    assert_false(configuration_lone_voter(&configuration, 2));
    raft_configuration_close(&configuration);
    for (size_t size = 0; size < bytes.size; size++) {
        assert_false(configuration_valid(slice_of(bytes.data, size)));
    }
    uint8_t *data = encoded.base;
    data[1] = 200; // More servers than there are.
    assert_false(configuration_valid(bytes));
    data[1] = 2;
    data[9] = 2; // The same id twice.
    assert_false(configuration_valid(bytes));
    raft_free(encoded.base);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_as_its_golden_file),
        cmocka_unit_test(a_frame_cut_short_or_flipped_anywhere_is_refused),
        cmocka_unit_test(a_frame_size_depends_on_the_payload_size_alone),
        cmocka_unit_test(a_segment_header_is_as_its_golden_file),
        cmocka_unit_test(a_summary_is_as_its_golden_file),
        cmocka_unit_test(a_summary_that_no_segment_has_is_refused),
        cmocka_unit_test(segment_names_are_parsed_strictly),
        cmocka_unit_test(a_vote_file_is_as_its_golden_file),
        cmocka_unit_test(a_log_mark_is_as_its_golden_file),
        cmocka_unit_test(messages_are_as_their_golden_files),
        cmocka_unit_test(append_entries_carry_the_log_s_own_frames),
        cmocka_unit_test(a_message_beyond_the_bounds_takes_no_memory),
        cmocka_unit_test(a_hello_is_as_its_golden_file),
        cmocka_unit_test(an_answer_is_as_its_golden_file),
        cmocka_unit_test(a_probes_answer_is_as_its_golden_file),
        cmocka_unit_test(requests_and_answers_of_copies_are_as_their_golden_files),
        cmocka_unit_test(a_base_is_as_its_golden_file),
        cmocka_unit_test(an_identity_is_as_its_golden_file_and_survives),
        cmocka_unit_test(a_membership_is_as_its_golden_file_and_checked_before_it_is_decoded),
    };
    return cmocka_run_group_tests_name("formats", tests, NULL, NULL);
}
