/* Decimal text to and from integers, without locale, allocation or detour through double. */
#ifndef COMMON_BASE_DECIMAL_H
#define COMMON_BASE_DECIMAL_H

#include "common/base/slice.h"

enum { DECIMAL_SIZE_MAX = 20 }; /* Characters of the longest int64, with its sign. */

/* Write value into text (not NUL-terminated); returns the number of characters. */
size_t decimal_format(int64_t value, char text[DECIMAL_SIZE_MAX]);

/* Read the whole of text as an optional minus and digits; false (*value unchanged) if it is
 * anything else or does not fit. */
bool decimal_parse(struct slice text, int64_t *value);

#endif
