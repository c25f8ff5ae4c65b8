#include "common/base/crc32c.h"

#include <string.h>

#ifdef __SSE4_2__

#include <nmmintrin.h>
#include <wmmintrin.h>

/* Three independent streams hide the instruction's latency of three cycles; each block of
 * 3 x STREAM bytes is then folded together by shifting the first two over what follows them. */
enum { STREAM = 1024 };

/* One bit matrix row per bit: multiply a CRC by x^(8 * STREAM) modulo the polynomial. */
static uint32_t shift_bytes(uint32_t crc, size_t bytes)
{
    static const uint8_t zeros[64] = {0};
    uint64_t value = crc;
    while (bytes > 0) {
        size_t step = bytes < sizeof zeros ? bytes : sizeof zeros;
        for (size_t i = 0; i < step; i += 8) {
            value = _mm_crc32_u64(value, 0);
        }
        bytes -= step;
    }
    return (uint32_t)value;
}

struct shift_table {
    uint32_t entry[4][256];
};

static void shift_table_fill(struct shift_table *table, size_t bytes)
{
    for (unsigned byte = 0; byte < 4; byte++) {
        for (uint32_t value = 0; value < 256; value++) {
            table->entry[byte][value] = shift_bytes(value << (8 * byte), bytes);
        }
    }
}

static struct shift_table shift_one;
static struct shift_table shift_two;

/* Filled before main(): constant afterwards, so every thread may read it. */
__attribute__((constructor)) static void shift_tables_init(void)
{
    shift_table_fill(&shift_one, STREAM);
    shift_table_fill(&shift_two, 2 * (size_t)STREAM);
}

static uint32_t shift(const struct shift_table *table, uint32_t crc)
{
    return table->entry[0][crc & 0xFF] ^ table->entry[1][(crc >> 8) & 0xFF] ^
           table->entry[2][(crc >> 16) & 0xFF] ^ table->entry[3][crc >> 24];
}

static uint64_t load(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *at = data;
    uint64_t a = (uint32_t)~crc;
    while (size >= 3 * (size_t)STREAM) {
        uint64_t b = 0;
        uint64_t c = 0;
        for (size_t i = 0; i < STREAM; i += 8) {
            a = _mm_crc32_u64(a, load(at + i));
            b = _mm_crc32_u64(b, load(at + STREAM + i));
            c = _mm_crc32_u64(c, load(at + 2 * (size_t)STREAM + i));
        }
        a = shift(&shift_two, (uint32_t)a) ^ shift(&shift_one, (uint32_t)b) ^ (uint32_t)c;
        at += 3 * (size_t)STREAM;
        size -= 3 * (size_t)STREAM;
    }
    while (size >= 8) {
        a = _mm_crc32_u64(a, load(at));
        at += 8;
        size -= 8;
    }
    uint32_t rest = (uint32_t)a;
    while (size > 0) {
        rest = _mm_crc32_u8(rest, *at++);
        size--;
    }
    return ~rest;
}

#else

static uint32_t table[256];

__attribute__((constructor)) static void table_init(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0x82F63B78u & (0u - (crc & 1u)));
        }
        table[i] = crc;
    }
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
    const uint8_t *at = data;
    crc = ~crc;
    while (size-- > 0) {
        crc = (crc >> 8) ^ table[(crc ^ *at++) & 0xFF];
    }
    return ~crc;
}

#endif
