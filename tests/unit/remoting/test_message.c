/* message: the stored layout, ids, hosts and Java's functions. */
#include "tests/support/golden.h"
#include "tests/support/test.h"

#include "common/remoting/message.h"

static struct message sample(void)
{
    return (struct message){
        .queue_id = 3,
        .flag = 5,
        .queue_offset = 1001,
        .physical_offset = 0x123456789A,
        .sys_flag = SYS_FLAG_PREPARED,
        .born_time_ms = 1700000000000,
        .born_host = {0x0A000009, 40110},
        .store_time_ms = 1700000000123,
        .store_host = {0x0A010203, 10911},
        .reconsume_times = 2,
        .prepared_offset = 77,
        .body = slice_text("hello"),
        .topic = slice_text("Orders"),
        .properties = slice_text("KEYS\1k1\2TAGS\1paid\2"),
    };
}

static void assert_same(const struct message *a, const struct message *b)
{
    assert_int_equal(a->queue_id, b->queue_id);
    assert_int_equal(a->flag, b->flag);
    assert_true(a->queue_offset == b->queue_offset);
    assert_true(a->physical_offset == b->physical_offset);
    assert_int_equal(a->sys_flag, b->sys_flag);
    assert_true(a->born_time_ms == b->born_time_ms);
    assert_int_equal(a->born_host.address, b->born_host.address);
    assert_int_equal(a->born_host.port, b->born_host.port);
    assert_true(a->store_time_ms == b->store_time_ms);
    assert_int_equal(a->store_host.address, b->store_host.address);
    assert_int_equal(a->store_host.port, b->store_host.port);
    assert_int_equal(a->reconsume_times, b->reconsume_times);
    assert_true(a->prepared_offset == b->prepared_offset);
    assert_true(slice_equals(a->body, b->body));
    assert_true(slice_equals(a->topic, b->topic));
    assert_true(slice_equals(a->properties, b->properties));
}

static void encodes_as_the_golden_file_and_back(void **state)
{
    (void)state;
    struct message message = sample();
    struct message decoded;
    struct buf out = {0};
    size_t size;
    message_encode(&message, &out);
    golden_check("remoting/message_v1.hex", buf_slice(&out));
    assert_int_equal(out.size, message_size(&message));
    assert_int_equal(message_decode(buf_slice(&out), &decoded, &size), STATUS_OK);
    assert_int_equal(size, out.size);
    assert_same(&message, &decoded);
    assert_int_equal(decoded.body_crc, message_body_crc(message.body));
    buf_close(&out);
}

static void a_long_topic_takes_the_second_version(void **state)
{
    (void)state;
    char topic[200];
    memset(topic, 'g', sizeof topic);
    struct message message = sample();
    message.topic = slice_of(topic, sizeof topic);
    struct message decoded;
    struct buf out = {0};
    size_t size;
    message_encode(&message, &out);
    assert_int_equal(be32_get(out.data + MESSAGE_AT_MAGIC), 0xDAA320ABu);
    assert_int_equal(message_decode(buf_slice(&out), &decoded, &size), STATUS_OK);
    assert_same(&message, &decoded);
    buf_close(&out);
}

static void the_smallest_message_has_91_bytes(void **state)
{
    (void)state;
    struct message message = {0};
    struct message decoded;
    struct buf out = {0};
    size_t size;
    message_encode(&message, &out);
    assert_int_equal(out.size, MESSAGE_SIZE_MIN);
    assert_int_equal(message_decode(buf_slice(&out), &decoded, &size), STATUS_OK);
    buf_close(&out);
}

/* Both cut short as it is, and with the size field made to match the cut. */
static void every_truncated_prefix_is_refused(void **state)
{
    (void)state;
    struct message message = sample();
    struct message decoded;
    struct buf out = {0};
    message_encode(&message, &out);
    for (size_t cut = 0; cut < out.size; cut++) {
        uint8_t *copy = mem_alloc(cut); // Exactly sized, for the sanitizer to see any overrun.
        size_t size;
        memcpy(copy, out.data, cut);
        assert_int_equal(message_decode(slice_of(copy, cut), &decoded, &size), STATUS_MALFORMED);
        if (cut >= 4) {
            be32_put(copy, (uint32_t)cut);
            assert_int_equal(message_decode(slice_of(copy, cut), &decoded, &size),
                             STATUS_MALFORMED);
        }
        free(copy);
    }
    buf_close(&out);
}

static void contradictory_lengths_are_refused(void **state)
{
    (void)state;
    struct message message = sample();
    struct message decoded;
    struct buf out = {0};
    size_t size;
    message_encode(&message, &out);
    static const uint32_t lengths[] = {0x80000005u, 0xFFFFFFFFu, 4, 6, 1000000};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        be32_put(out.data + MESSAGE_AT_BODY_SIZE, lengths[i]);
        assert_int_equal(message_decode(buf_slice(&out), &decoded, &size), STATUS_MALFORMED);
    }
    be32_put(out.data + MESSAGE_AT_BODY_SIZE, 5);
    be32_put(out.data + MESSAGE_AT_MAGIC, 0xCBD43194u); // The blank tail of a file.
    assert_int_equal(message_decode(buf_slice(&out), &decoded, &size), STATUS_MALFORMED);
    buf_close(&out);
}

static void a_foreign_brokers_ipv6_hosts_are_skipped(void **state)
{
    (void)state;
    struct message message = sample();
    struct buf plain = {0};
    struct buf v6 = {0};
    static const uint8_t address[16] = {0x20, 0x01};
    message_encode(&message, &plain);
    buf_put(&v6, plain.data, MESSAGE_AT_BORN_HOST);
    buf_put(&v6, address, sizeof address);
    buf_put(&v6, plain.data + MESSAGE_AT_BORN_HOST + 4, 4 + 8);
    buf_put(&v6, address, sizeof address);
    buf_put(&v6, plain.data + MESSAGE_AT_STORE_HOST + 4, plain.size - MESSAGE_AT_STORE_HOST - 4);
    be32_put(v6.data, (uint32_t)v6.size);
    be32_put(v6.data + MESSAGE_AT_SYS_FLAG, SYS_FLAG_BORN_HOST_V6 | SYS_FLAG_STORE_HOST_V6);
    struct message decoded;
    size_t size;
    assert_int_equal(message_decode(buf_slice(&v6), &decoded, &size), STATUS_OK);
    assert_int_equal(size, plain.size + 24);
    assert_int_equal(decoded.born_host.address, 0);
    assert_int_equal(decoded.born_host.port, 40110);
    assert_int_equal(decoded.store_host.port, 10911);
    assert_true(slice_equals(decoded.properties, message.properties));
    buf_close(&plain);
    buf_close(&v6);
}

static void hash_codes_are_those_of_java(void **state)
{
    (void)state;
    assert_int_equal(java_hash_code((struct slice){0}), 0);
    assert_int_equal(java_hash_code(slice_text("PQ")), 80 * 31 + 81);
    assert_int_equal(java_hash_code(slice_text("TagA")), 2598919);
    assert_int_equal(java_hash_code(slice_text("polygenelubricants")), INT32_MIN);
    assert_int_equal(java_hash_code(slice_text("\xC3\xA9")), 0xE9);
    // U+1F600 counts as its two UTF-16 units.
    assert_int_equal(java_hash_code(slice_text("\xF0\x9F\x98\x80")), 0xD83D * 31 + 0xDE00);
}

static void the_body_crc_is_masked_to_31_bits(void **state)
{
    (void)state;
    assert_int_equal(message_body_crc(slice_text("123456789")), 0xCBF43926u & 0x7FFFFFFFu);
    assert_int_equal(message_body_crc((struct slice){0}), 0);
}

static void offset_ids_read_back(void **state)
{
    (void)state;
    char id[OFFSET_MESSAGE_ID_SIZE];
    struct host host;
    int64_t offset;
    offset_message_id_format((struct host){0x0A010203, 10911}, 4660, id);
    assert_memory_equal(id, "0A01020300002A9F0000000000001234", sizeof id);
    assert_int_equal(offset_message_id_parse(slice_of(id, sizeof id), &host, &offset), STATUS_OK);
    assert_int_equal(host.address, 0x0A010203);
    assert_int_equal(host.port, 10911);
    assert_int_equal(offset, 4660);
    assert_int_equal(offset_message_id_parse(slice_of(id, 31), &host, &offset), STATUS_MALFORMED);
    id[5] = 'g';
    assert_int_equal(offset_message_id_parse(slice_of(id, sizeof id), &host, &offset),
                     STATUS_MALFORMED);
}

static void hosts_read_back_and_others_are_refused(void **state)
{
    (void)state;
    struct host host;
    struct buf out = {0};
    assert_int_equal(host_parse(slice_text("10.1.2.255:65535"), &host), STATUS_OK);
    host_format(host, &out);
    assert_true(slice_equals_text(buf_slice(&out), "10.1.2.255:65535"));
    static const char *const bad[] = {
        "",
        "10.1.2.3",
        "10.1.2.3:",
        "10.1.2:80",
        "256.1.1.1:80",
        "1.1.1.1:65536",
        "1.1.1.1:80 ",
        "a.b.c.d:80",
        "1..1.1:80",
        "1.1.1.1.1:80",
        "1.1.1.1:000080",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(host_parse(slice_text(bad[i]), &host), STATUS_MALFORMED);
    }
    buf_close(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_as_the_golden_file_and_back),
        cmocka_unit_test(a_long_topic_takes_the_second_version),
        cmocka_unit_test(the_smallest_message_has_91_bytes),
        cmocka_unit_test(every_truncated_prefix_is_refused),
        cmocka_unit_test(contradictory_lengths_are_refused),
        cmocka_unit_test(a_foreign_brokers_ipv6_hosts_are_skipped),
        cmocka_unit_test(hash_codes_are_those_of_java),
        cmocka_unit_test(the_body_crc_is_masked_to_31_bits),
        cmocka_unit_test(offset_ids_read_back),
        cmocka_unit_test(hosts_read_back_and_others_are_refused),
    };
    return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
