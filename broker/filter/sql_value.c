#include "broker/filter/sql_value.h"

#include "broker/filter/java_number.h"

#include <strings.h>

/* A text as a value of that type. */
static bool text_as(struct slice text, enum sql_type type, struct sql_value *value)
{
    *value = (struct sql_value){.type = type};
    switch (type) {
    case SQL_TYPE_INT:
        return java_int_parse(text, &value->integer);
    case SQL_TYPE_LONG:
        return java_long_parse(text, &value->integer);
    case SQL_TYPE_DOUBLE:
        return java_double_parse(text, &value->real);
    case SQL_TYPE_BOOLEAN:
        value->boolean = text.size == 4 && strncasecmp((const char *)text.data, "true", 4) == 0;
        return true;
    default:
        *value = sql_text(text);
        return true;
    }
}

static double as_double(struct sql_value value)
{
    return value.type == SQL_TYPE_DOUBLE ? value.real : (double)value.integer;
}

static int compare_alike(struct sql_value left, struct sql_value right)
{
    if (left.type == SQL_TYPE_TEXT) {
        return slice_compare(left.text, right.text);
    }
    if (left.type == SQL_TYPE_BOOLEAN) {
        return (int)left.boolean - (int)right.boolean;
    }
    if (left.type == SQL_TYPE_DOUBLE || right.type == SQL_TYPE_DOUBLE) {
        return java_double_compare(as_double(left), as_double(right));
    }
    return (left.integer > right.integer) - (left.integer < right.integer);
}

bool sql_compare(struct sql_value left, struct sql_value right, int *order)
{
    *order = -1;
    if (left.type == SQL_TYPE_TEXT && right.type != SQL_TYPE_TEXT) {
        if (!text_as(left.text, right.type, &left)) {
            return false;
        }
    } else if (right.type == SQL_TYPE_TEXT && left.type != SQL_TYPE_TEXT) {
        // Java converts the wrong side of a boolean and a text, which throws.
        if (left.type == SQL_TYPE_BOOLEAN || !text_as(right.text, left.type, &right)) {
            return false;
        }
    } else if ((left.type == SQL_TYPE_BOOLEAN) != (right.type == SQL_TYPE_BOOLEAN)) {
        return true;
    }
    *order = compare_alike(left, right);
    return true;
}

bool sql_compare_numbers(struct sql_value left, struct sql_value right, int *order)
{
    if (left.type == SQL_TYPE_TEXT && right.type == SQL_TYPE_TEXT) {
        return text_as(left.text, SQL_TYPE_DOUBLE, &left) &&
               text_as(right.text, SQL_TYPE_DOUBLE, &right) && sql_compare(left, right, order);
    }
    return sql_compare(left, right, order);
}

struct sql_value sql_negate(struct sql_value value)
{
    if (!sql_is_number(value)) {
        return sql_null();
    }
    if (value.type == SQL_TYPE_DOUBLE) {
        value.real = -value.real;
    } else {
        value.integer =
            -value.integer; // Literals have no sign, so the least number cannot come up.
    }
    return value;
}
