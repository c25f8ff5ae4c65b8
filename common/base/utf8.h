/* UTF-8, one code point at a time. */
#ifndef COMMON_BASE_UTF8_H
#define COMMON_BASE_UTF8_H

#include "common/base/slice.h"

enum { UTF8_SIZE_MAX = 4, UTF8_REPLACEMENT = 0xFFFD };

/* Take the code point at the front of *rest (not empty). A byte that begins no well-formed sequence
 * is taken alone and reads as UTF8_REPLACEMENT, as Java's decoder does. */
uint32_t utf8_next(struct slice *rest);

/* Write a code point (up to 0x10FFFF; surrogates become UTF8_REPLACEMENT); returns the bytes. */
size_t utf8_put(uint32_t code_point, uint8_t to[UTF8_SIZE_MAX]);

/* Is this well-formed UTF-8 throughout? */
bool utf8_valid(struct slice text);

#endif
