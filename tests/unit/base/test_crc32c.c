/* CRC-32C against the vectors of RFC 3720 B.4, and the wide path against the narrow one. */
#include "tests/support/test.h"

#include "common/base/crc32c.h"
#include "common/base/random.h"

#include <string.h>

static void rfc3720_vectors(void **state)
{
    (void)state;
    uint8_t bytes[32] = {0};
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x8A9136AAu);
    memset(bytes, 0xFF, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x62A8AB43u);
    for (uint8_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = i;
    }
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x46DD794Eu);
    assert_int_equal(crc32c(0, "123456789", 9), 0xE3069283u);
}

static uint32_t bitwise(const uint8_t *data, size_t size)
{
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0x82F63B78u & (0u - (crc & 1u)));
        }
    }
    return ~crc;
}

/* Sizes around every boundary of the blocked implementation, at odd alignments. */
static void agrees_with_the_definition_at_any_size(void **state)
{
    (void)state;
    static uint8_t bytes[20000];
    struct random random = {7};
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)random_next(&random);
    }
    const size_t sizes[] = {0, 1, 7, 8, 9, 3071, 3072, 3073, 3080, 6143, 6144, 6145, 12345, 19990};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (size_t shift = 0; shift < 9; shift += 3) {
            assert_int_equal(crc32c(0, bytes + shift, sizes[i]), bitwise(bytes + shift, sizes[i]));
        }
    }
}

static void extends_piece_by_piece(void **state)
{
    (void)state;
    static uint8_t bytes[10000];
    memset(bytes, 0x5A, sizeof bytes);
    uint32_t whole = crc32c(0, bytes, sizeof bytes);
    for (size_t cut = 0; cut <= sizeof bytes; cut += 1234) {
        assert_int_equal(crc32c(crc32c(0, bytes, cut), bytes + cut, sizeof bytes - cut), whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc3720_vectors),
        cmocka_unit_test(agrees_with_the_definition_at_any_size),
        cmocka_unit_test(extends_piece_by_piece),
    };
    return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
