/* Text to numbers as Java's valueOf() does it, because filters compare properties by that. Pure, no
 * allocation; any thread. Source: Integer.valueOf, Long.valueOf, Double.valueOf, Double.compare.
 *
 * Two deviations: only ASCII digits count, and a text of more than JAVA_DOUBLE_TEXT_MAX bytes is no
 * floating point number. */
#ifndef BROKER_FILTER_JAVA_NUMBER_H
#define BROKER_FILTER_JAVA_NUMBER_H

#include "common/base/slice.h"

enum { JAVA_DOUBLE_TEXT_MAX = 255 };

/* An optional sign and digits, and within the type; false if not. */
bool java_int_parse(struct slice text, int64_t *value);
bool java_long_parse(struct slice text, int64_t *value);

/* Decimal or hexadecimal with an optional exponent and suffix (f, d), NaN, Infinity; space round it
 * does not count. False if it is none of these. */
bool java_double_parse(struct slice text, double *value);

/* Negative, 0, positive. A total order: -0.0 below 0.0, NaN equal to itself and above all. */
int java_double_compare(double left, double right);

#endif
