#include "broker/filter/java_number.h"

#include <math.h>
#include <stdlib.h>

static bool integer_parse(struct slice text, int64_t least, int64_t greatest, int64_t *value)
{
    bool negative = text.size > 0 && text.data[0] == '-';
    size_t at = negative || (text.size > 0 && text.data[0] == '+') ? 1 : 0;
    if (at == text.size) {
        return false;
    }
    int64_t sum = 0; // Kept negative: there is one number more on that side.
    for (; at < text.size; at++) {
        if (text.data[at] < '0' || text.data[at] > '9') {
            return false;
        }
        int digit = text.data[at] - '0';
        if (sum < (INT64_MIN + digit) / 10) {
            return false;
        }
        sum = sum * 10 - digit;
    }
    if (!negative && sum == INT64_MIN) {
        return false;
    }
    *value = negative ? sum : -sum;
    return *value >= least && *value <= greatest;
}

bool java_int_parse(struct slice text, int64_t *value)
{
    return integer_parse(text, INT32_MIN, INT32_MAX, value);
}

bool java_long_parse(struct slice text, int64_t *value)
{
    return integer_parse(text, INT64_MIN, INT64_MAX, value);
}

/* String.trim(): everything up to a space goes, from both ends. */
static struct slice trim(struct slice text)
{
    while (text.size > 0 && text.data[0] <= ' ') {
        text = slice_from(text, 1);
    }
    while (text.size > 0 && text.data[text.size - 1] <= ' ') {
        text.size--;
    }
    return text;
}

static bool is_digit(uint8_t byte, bool hexadecimal)
{
    uint8_t lower = byte | 0x20;
    return (byte >= '0' && byte <= '9') || (hexadecimal && lower >= 'a' && lower <= 'f');
}

static size_t skip_digits(struct slice text, size_t *at, bool hexadecimal)
{
    size_t from = *at;
    while (*at < text.size && is_digit(text.data[*at], hexadecimal)) {
        ++*at;
    }
    return *at - from;
}

/* Is it a number in Java's grammar, from *at on? Leaves *at behind it, before any suffix. strtod()
 * alone would take more: "inf", "nan(1)", hexadecimal without an exponent. */
static bool number_skip(struct slice text, size_t *at)
{
    bool hexadecimal =
        text.size - *at >= 2 && text.data[*at] == '0' && (text.data[*at + 1] | 0x20) == 'x';
    *at += hexadecimal ? 2 : 0;
    size_t digits = skip_digits(text, at, hexadecimal);
    if (*at < text.size && text.data[*at] == '.') {
        ++*at;
        digits += skip_digits(text, at, hexadecimal);
    }
    if (digits == 0) {
        return false;
    }
    if (*at == text.size || (text.data[*at] | 0x20) != (hexadecimal ? 'p' : 'e')) {
        return !hexadecimal;
    }
    ++*at;
    if (*at < text.size && (text.data[*at] == '+' || text.data[*at] == '-')) {
        ++*at;
    }
    return skip_digits(text, at, false) > 0;
}

bool java_double_parse(struct slice text, double *value)
{
    text = trim(text);
    if (text.size == 0 || text.size > JAVA_DOUBLE_TEXT_MAX) {
        return false;
    }
    bool negative = text.data[0] == '-';
    size_t at = negative || text.data[0] == '+' ? 1 : 0;
    struct slice magnitude = slice_from(text, at);
    if (slice_equals_text(magnitude, "NaN") || slice_equals_text(magnitude, "Infinity")) {
        *value = magnitude.data[0] == 'N' ? NAN : (negative ? -INFINITY : INFINITY);
        return true;
    }
    if (!number_skip(text, &at)) {
        return false;
    }
    char copy[JAVA_DOUBLE_TEXT_MAX + 1];
    memcpy(copy, text.data, at);
    copy[at] = '\0';
    bool suffix =
        at < text.size && ((text.data[at] | 0x20) == 'f' || (text.data[at] | 0x20) == 'd');
    if (at + suffix != text.size) {
        return false;
    }
    *value = strtod(copy, NULL);
    return true;
}

int java_double_compare(double left, double right)
{
    if (left < right) {
        return -1;
    }
    if (left > right) {
        return 1;
    }
    if (isnan(left) || isnan(right)) {
        return (isnan(left) != 0) - (isnan(right) != 0);
    }
    return (signbit(left) == 0) - (signbit(right) == 0);
}
