#include "broker/core/delay_levels.h"

#include "broker/machine/operation.h"
#include "common/base/check.h"
#include "common/base/decimal.h"

/* 0 for what is no unit. */
static uint64_t unit_ms(uint8_t unit)
{
    switch (unit) {
    case 's':
        return UINT64_C(1000);
    case 'm':
        return UINT64_C(60) * 1000;
    case 'h':
        return UINT64_C(3600) * 1000;
    case 'd':
        return UINT64_C(24) * 3600 * 1000;
    default:
        return 0;
    }
}

/* "10s"; 0 for what is no delay. */
static uint64_t level_parse(struct slice word)
{
    int64_t number;
    if (word.size < 2) {
        return 0;
    }
    uint64_t unit = unit_ms(word.data[word.size - 1]);
    if (unit == 0 || !decimal_parse(slice_of(word.data, word.size - 1), &number) || number <= 0 ||
        (uint64_t)number > DELAY_MAX_MS / unit) {
        return 0;
    }
    return (uint64_t)number * unit;
}

bool delay_levels_parse(struct slice text, struct delay_levels *levels)
{
    *levels = (struct delay_levels){0};
    while (text.size > 0) {
        const uint8_t *space = memchr(text.data, ' ', text.size);
        struct slice word = text;
        word.size = space == NULL ? text.size : (size_t)(space - text.data);
        text = slice_from(text, word.size + (space == NULL ? 0 : 1));
        if (word.size == 0) {
            continue;
        }
        uint64_t ms = level_parse(word);
        if (ms == 0 || levels->count == DELAY_LEVELS_MAX) {
            return false;
        }
        levels->ms[levels->count++] = ms;
    }
    return levels->count > 0;
}

uint64_t delay_level_ms(const struct delay_levels *levels, int64_t level)
{
    ASSERT(level >= 1);
    ASSERT(levels->count >= 1);
    return levels->ms[(level < levels->count ? level : levels->count) - 1];
}
