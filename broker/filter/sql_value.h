/* Values of a filter, and how Java compares them. Pure. Source: ComparisonExpression. */
#ifndef BROKER_FILTER_SQL_VALUE_H
#define BROKER_FILTER_SQL_VALUE_H

#include "common/base/slice.h"

enum sql_type {
    SQL_TYPE_NULL,
    SQL_TYPE_BOOLEAN,
    SQL_TYPE_INT, /* A number that fits into 32 bits: a text compared with it must, too. */
    SQL_TYPE_LONG,
    SQL_TYPE_DOUBLE,
    SQL_TYPE_TEXT,
};

struct sql_value {
    enum sql_type type;
    union {
        bool boolean;
        int64_t integer;
        double real;
        struct slice text; /* Borrowed. */
    };
};

static inline struct sql_value sql_null(void)
{
    return (struct sql_value){.type = SQL_TYPE_NULL};
}

static inline struct sql_value sql_boolean(bool boolean)
{
    return (struct sql_value){.type = SQL_TYPE_BOOLEAN, .boolean = boolean};
}

static inline struct sql_value sql_text(struct slice text)
{
    return (struct sql_value){.type = SQL_TYPE_TEXT, .text = text};
}

static inline bool sql_is_number(struct sql_value value)
{
    return value.type == SQL_TYPE_INT || value.type == SQL_TYPE_LONG ||
           value.type == SQL_TYPE_DOUBLE;
}

/* The order of two values that are not null: *order is negative, 0 or positive, and negative also
 * for types that have no order. False: a text is not what the other value is. */
bool sql_compare(struct sql_value left, struct sql_value right, int *order);

/* As sql_compare, but two texts are compared as numbers. */
bool sql_compare_numbers(struct sql_value left, struct sql_value right, int *order);

/* `-value` of a number, null of anything else. */
struct sql_value sql_negate(struct sql_value value);

#endif
