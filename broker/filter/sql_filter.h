/* SQL92 filters over the properties of a message, with RocketMQ's grammar and its arithmetic of
 * missing values and types.
 *
 * An expression is compiled once to a program for a small stack machine; evaluating it allocates
 * nothing and takes time bounded by the sizes of program and properties. Pure; any thread may
 * evaluate. Source: RocketMQ's SelectorParser.jj, ComparisonExpression, UnaryExpression,
 * LogicExpression, ExpressionMessageFilter; the results of its own library are in
 * tests/golden/broker/sql_filter.txt.
 *
 * What may surprise, and is meant: properties are texts, which become numbers when they are
 * compared with one, and if they cannot the evaluation fails (so does `d > 1` for d = "1.5", as 1
 * is an integer). A property alone is never true. `a = b` of two missing properties is. What
 * follows a complete expression is not read. */
#ifndef BROKER_FILTER_SQL_FILTER_H
#define BROKER_FILTER_SQL_FILTER_H

#include "common/base/check.h"
#include "common/base/slice.h"
#include "common/base/status.h"

enum {
    SQL_SIZE_MAX = 16 * 1024, /* Bytes of an expression. */
    SQL_INSTRUCTIONS_MAX = 2048,
    SQL_VALUES_MAX = 4096,             /* Numbers and texts in it. */
    SQL_WORK_MAX = 2 * SQL_VALUES_MAX, /* Instructions, and texts that IN compares with. */
    SQL_NAMES_MAX = 64,                /* Different properties. */
    SQL_NESTING_MAX = 64,              /* Of parentheses, signs and NOT. */
    SQL_TROUBLE_MAX = 128,
};

/* Why an expression does not compile: text for people, with the place. */
struct sql_trouble {
    char text[SQL_TROUBLE_MAX];
};

enum sql_result {
    SQL_RESULT_FALSE,
    SQL_RESULT_TRUE,
    SQL_RESULT_UNKNOWN, /* SQL's null. */
    SQL_RESULT_FAILED,  /* Values that cannot be compared. */
};

struct sql_filter;

/* Compile. Copies the text; *filter is the caller's to free. Errors:
 * STATUS_SUBSCRIPTION_MALFORMED: not in the grammar, or beyond a bound above; *trouble says which,
 * *filter is NULL. */
WARN_UNUSED enum status sql_filter_compile(struct slice text, struct sql_filter **filter,
                                           struct sql_trouble *trouble);
/* NULL is allowed. */
void sql_filter_free(struct sql_filter *filter);

/* Bytes of memory that it takes. */
size_t sql_filter_size(const struct sql_filter *filter);

/* What evaluating it on a property string of that size costs at most: about its steps, each as long
 * as the properties are. */
uint64_t sql_filter_cost(const struct sql_filter *filter, size_t properties_size);

/* Evaluate on a message's property string. Borrows until it returns. */
enum sql_result sql_filter_evaluate(const struct sql_filter *filter, struct slice properties);

/* Does the message pass? Only if the result is TRUE. */
static inline bool sql_filter_matches(const struct sql_filter *filter, struct slice properties)
{
    return sql_filter_evaluate(filter, properties) == SQL_RESULT_TRUE;
}

#endif
