/* SQL92 expressions to programs: recursive descent, one function for each level of the grammar.
 *
 * What RocketMQ refuses when it compiles is refused here for the same reason: the checks of
 * operands are those of its ComparisonExpression. */
#include "broker/filter/java_number.h"
#include "broker/filter/sql_builder.h"
#include "common/base/buf.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>

enum operand_kind {
    OPERAND_PROPERTY,
    OPERAND_LITERAL,
    OPERAND_BOOLEAN, /* The result of a comparison, of AND, OR, NOT. */
    OPERAND_NEGATED,
};

/* A part of the expression, compiled: the instructions from `first` to the last one. */
struct operand {
    enum operand_kind kind;
    uint32_t first;
    struct sql_value literal;
};

static bool parse_or(struct sql_builder *builder, struct operand *operand);

/* --- Operands ----------------------------------------------------------------------------- */

static bool parse_property(struct sql_builder *builder, struct operand *operand)
{
    uint32_t at;
    operand->kind = OPERAND_PROPERTY;
    if (!sql_add_name(builder, builder->token.text, &at)) {
        return false;
    }
    sql_advance(builder);
    return sql_emit(builder, SQL_PUSH_PROPERTY, at);
}

static bool number_value(struct sql_builder *builder, struct sql_value *value)
{
    struct slice text = builder->token.text;
    if (builder->token.kind == SQL_FLOAT) {
        *value = (struct sql_value){.type = SQL_TYPE_DOUBLE};
        bool fits = java_double_parse(text, &value->real);
        // RocketMQ's own check; it leaves no way to write 0.0.
        return (fits && value->real > 0 && value->real <= DBL_MAX) ||
               sql_fail(builder, "not a floating point number above 0");
    }
    if ((text.data[text.size - 1] | 0x20) == 'l') {
        text.size--;
    }
    *value = (struct sql_value){.type = SQL_TYPE_LONG};
    if (!java_long_parse(text, &value->integer)) {
        return sql_fail(builder, "the number has more than 64 bits");
    }
    if (value->integer <= INT32_MAX) {
        value->type = SQL_TYPE_INT;
    }
    return true;
}

static bool parse_literal(struct sql_builder *builder, struct operand *operand)
{
    size_t at = 0;
    operand->kind = OPERAND_LITERAL;
    switch (builder->token.kind) {
    case SQL_TEXT:
        return sql_take_text(builder, &operand->literal, &at) &&
               sql_emit(builder, SQL_PUSH_VALUE, at);
    case SQL_INTEGER:
    case SQL_FLOAT:
        if (!number_value(builder, &operand->literal)) {
            return false;
        }
        break;
    case SQL_TRUE:
    case SQL_FALSE:
        operand->literal = sql_boolean(builder->token.kind == SQL_TRUE);
        break;
    case SQL_NULL:
        operand->literal = sql_null();
        break;
    default:
        return sql_fail(builder, "a property or a value is needed");
    }
    if (!sql_add_value(builder, operand->literal, &at)) {
        return false;
    }
    sql_advance(builder);
    return sql_emit(builder, SQL_PUSH_VALUE, at);
}

/* Make a truth value of an operand that has just been emitted. */
static bool as_boolean(struct sql_builder *builder, struct operand *operand)
{
    bool literal = operand->kind == OPERAND_LITERAL && (operand->literal.type == SQL_TYPE_BOOLEAN ||
                                                        operand->literal.type == SQL_TYPE_NULL);
    if (literal || operand->kind == OPERAND_BOOLEAN) {
        return true;
    }
    if (operand->kind != OPERAND_PROPERTY) {
        return sql_fail(builder, "a condition is needed before this");
    }
    operand->kind = OPERAND_BOOLEAN;
    return sql_emit(builder, SQL_CAST, 0);
}

/* May it stand beside =, <>? */
static bool check_equal(struct sql_builder *builder, const struct operand *left,
                        const struct operand *right)
{
    const struct operand *both[] = {left, right};
    for (size_t i = 0; i < 2; i++) {
        if (both[i]->kind == OPERAND_LITERAL && both[i]->literal.type == SQL_TYPE_NULL) {
            return sql_fail(builder, "NULL equals nothing, use IS NULL, before this");
        }
    }
    if (left->kind == OPERAND_LITERAL && left->literal.type == SQL_TYPE_BOOLEAN &&
        right->kind == OPERAND_LITERAL && right->literal.type != SQL_TYPE_BOOLEAN) {
        return sql_fail(builder, "a truth value cannot be compared with that, before this");
    }
    return true;
}

/* May it stand beside <, BETWEEN and their like? */
static bool check_ordered(struct sql_builder *builder, const struct operand *operand)
{
    bool number = operand->kind == OPERAND_LITERAL && sql_is_number(operand->literal);
    if (number || operand->kind == OPERAND_PROPERTY || operand->kind == OPERAND_NEGATED) {
        return true;
    }
    return sql_fail(builder, "only numbers have an order, before this");
}

/* --- The grammar, from its tightest level ------------------------------------------------- */

static bool parse_primary(struct sql_builder *builder, struct operand *operand)
{
    if (builder->token.kind == SQL_NAME) {
        return parse_property(builder, operand);
    }
    if (!sql_accept(builder, SQL_OPEN)) {
        return parse_literal(builder, operand);
    }
    if (!parse_or(builder, operand)) {
        return false;
    }
    return sql_accept(builder, SQL_CLOSE) || sql_fail(builder, "a closing parenthesis is needed");
}

/* + - NOT, and parentheses: what nests. */
static bool parse_unary(struct sql_builder *builder, struct operand *operand)
{
    if (builder->nesting == SQL_NESTING_MAX) {
        return sql_fail(builder, "the expression is nested too deeply");
    }
    builder->nesting++;
    operand->first = builder->filter->instruction_count;
    bool fine;
    if (sql_accept(builder, SQL_PLUS)) {
        fine = parse_unary(builder, operand);
    } else if (sql_accept(builder, SQL_MINUS)) {
        fine = parse_unary(builder, operand) && sql_emit(builder, SQL_DO_NEGATE, 0);
        operand->kind = OPERAND_NEGATED;
    } else if (sql_accept(builder, SQL_NOT)) {
        fine = parse_unary(builder, operand) && as_boolean(builder, operand) &&
               sql_emit(builder, SQL_DO_NOT, 0);
        operand->kind = OPERAND_BOOLEAN;
    } else {
        fine = parse_primary(builder, operand);
    }
    builder->nesting--;
    return fine;
}

/* The right side of <, its like, or half a BETWEEN: it is not looked at if the left one is null. */
static bool parse_right(struct sql_builder *builder, struct operand *right,
                        enum sql_operation operation)
{
    uint32_t skip = builder->filter->instruction_count;
    if (!sql_emit(builder, SQL_SKIP_IF_NULL, 0) || !parse_unary(builder, right) ||
        !check_ordered(builder, right) || !sql_emit(builder, operation, 0)) {
        return false;
    }
    sql_land(builder, skip);
    return true;
}

/* v BETWEEN low AND high is v >= low AND v <= high, its negation v < low OR v > high; v is
 * evaluated twice, and the second time only if the first comparison leaves it open. */
static bool parse_between(struct sql_builder *builder, struct operand *left, bool negated)
{
    uint32_t end = builder->filter->instruction_count;
    struct operand low = {0};
    struct operand high = {0};
    sql_advance(builder);
    if (!check_ordered(builder, left) ||
        !parse_right(builder, &low, negated ? SQL_DO_LESS : SQL_DO_GREATER_EQUAL)) {
        return false;
    }
    uint32_t skip = builder->filter->instruction_count;
    if (!sql_emit(builder, negated ? SQL_SKIP_IF_TRUE : SQL_SKIP_IF_FALSE, 0) ||
        !sql_emit_copy(builder, left->first, end)) {
        return false;
    }
    if (!sql_accept(builder, SQL_AND)) {
        return sql_fail(builder, "BETWEEN needs an AND");
    }
    if (!parse_right(builder, &high, negated ? SQL_DO_GREATER : SQL_DO_LESS_EQUAL) ||
        !sql_emit(builder, negated ? SQL_DO_OR : SQL_DO_AND, 0)) {
        return false;
    }
    sql_land(builder, skip);
    int order = 0;
    if (!negated && low.kind == OPERAND_LITERAL && high.kind == OPERAND_LITERAL &&
        sql_compare(high.literal, low.literal, &order) && order < 0) {
        return sql_fail(builder, "BETWEEN needs its smaller number first, before this");
    }
    left->kind = OPERAND_BOOLEAN;
    return true;
}

static bool parse_in(struct sql_builder *builder, struct operand *left, bool negated)
{
    sql_advance(builder);
    if (left->kind != OPERAND_PROPERTY) {
        return sql_fail(builder, "IN needs a property to its left, before this");
    }
    if (!sql_accept(builder, SQL_OPEN)) {
        return sql_fail(builder, "IN needs a list in parentheses");
    }
    size_t first = builder->filter->value_count;
    struct sql_value value;
    size_t at;
    do {
        if (!sql_take_text(builder, &value, &at)) {
            return false;
        }
    } while (sql_accept(builder, SQL_COMMA));
    if (!sql_accept(builder, SQL_CLOSE)) {
        return sql_fail(builder, "a closing parenthesis is needed");
    }
    left->kind = OPERAND_BOOLEAN;
    return sql_emit_instruction(builder, (struct sql_instruction){
                                             .operation = SQL_DO_IN,
                                             .negated = negated,
                                             .at = (uint16_t)first,
                                             .count = (uint16_t)(at - first + 1),
                                         });
}

/* CONTAINS and its kin. No text contains nothing, and RocketMQ then does not even look at the left
 * side, which might fail. */
static bool parse_part(struct sql_builder *builder, struct operand *left, bool negated)
{
    enum sql_token_kind kind = builder->token.kind;
    struct sql_value value;
    size_t at;
    sql_advance(builder);
    if (!sql_take_text(builder, &value, &at)) {
        return false;
    }
    left->kind = OPERAND_BOOLEAN;
    if (value.text.size == 0) {
        sql_rewind(builder, left->first);
        builder->filter->values[at] = sql_boolean(false);
        return sql_emit(builder, SQL_PUSH_VALUE, at);
    }
    return sql_emit_instruction(builder,
                                (struct sql_instruction){
                                    .operation = (uint8_t)(SQL_DO_CONTAINS + (kind - SQL_CONTAINS)),
                                    .negated = negated,
                                    .at = (uint16_t)at,
                                });
}

static bool parse_ordered(struct sql_builder *builder, struct operand *left)
{
    enum sql_token_kind kind = builder->token.kind;
    struct operand right = {0};
    sql_advance(builder);
    bool fine =
        check_ordered(builder, left) &&
        parse_right(builder, &right, (enum sql_operation)(SQL_DO_GREATER + (kind - SQL_GREATER)));
    left->kind = OPERAND_BOOLEAN;
    return fine;
}

static bool parse_comparison(struct sql_builder *builder, struct operand *left)
{
    if (!parse_unary(builder, left)) {
        return false;
    }
    for (bool fine = true; fine;) {
        bool negated = sql_accept(builder, SQL_NOT);
        switch (builder->token.kind) {
        case SQL_GREATER:
        case SQL_GREATER_EQUAL:
        case SQL_LESS:
        case SQL_LESS_EQUAL:
            fine = negated ? sql_fail(builder, "not what NOT may stand before")
                           : parse_ordered(builder, left);
            break;
        case SQL_BETWEEN:
            fine = parse_between(builder, left, negated);
            break;
        case SQL_IN:
            fine = parse_in(builder, left, negated);
            break;
        case SQL_CONTAINS:
        case SQL_STARTSWITH:
        case SQL_ENDSWITH:
            fine = parse_part(builder, left, negated);
            break;
        default:
            return !negated || sql_fail(builder, "not what NOT may stand before");
        }
    }
    return false;
}

static bool parse_is(struct sql_builder *builder, struct operand *left)
{
    sql_advance(builder);
    bool negated = sql_accept(builder, SQL_NOT);
    if (!sql_accept(builder, SQL_NULL)) {
        return sql_fail(builder, "IS needs NULL or NOT NULL");
    }
    left->kind = OPERAND_BOOLEAN;
    return sql_emit(builder, SQL_DO_IS_NULL, 0) && (!negated || sql_emit(builder, SQL_DO_NOT, 0));
}

static bool parse_equality(struct sql_builder *builder, struct operand *left)
{
    if (!parse_comparison(builder, left)) {
        return false;
    }
    for (;;) {
        enum sql_token_kind kind = builder->token.kind;
        if (kind == SQL_IS) {
            if (!parse_is(builder, left)) {
                return false;
            }
            continue;
        }
        if (kind != SQL_EQUAL && kind != SQL_NOT_EQUAL) {
            return true;
        }
        struct operand right = {0};
        sql_advance(builder);
        if (!parse_comparison(builder, &right) || !check_equal(builder, left, &right) ||
            !sql_emit(builder, SQL_DO_EQUAL, 0) ||
            (kind == SQL_NOT_EQUAL && !sql_emit(builder, SQL_DO_NOT, 0))) {
            return false;
        }
        left->kind = OPERAND_BOOLEAN;
    }
}

typedef bool parse_level(struct sql_builder *builder, struct operand *operand);

/* A chain of conditions: once one decides, the rest is left out. */
static bool parse_chain(struct sql_builder *builder, struct operand *left, parse_level *next,
                        enum sql_token_kind kind)
{
    if (!next(builder, left)) {
        return false;
    }
    while (builder->token.kind == kind) {
        struct operand right = {0};
        if (!as_boolean(builder, left)) {
            return false;
        }
        sql_advance(builder);
        uint32_t skip = builder->filter->instruction_count;
        if (!sql_emit(builder, kind == SQL_OR ? SQL_SKIP_IF_TRUE : SQL_SKIP_IF_FALSE, 0) ||
            !next(builder, &right) || !as_boolean(builder, &right) ||
            !sql_emit(builder, kind == SQL_OR ? SQL_DO_OR : SQL_DO_AND, 0)) {
            return false;
        }
        sql_land(builder, skip);
        left->kind = OPERAND_BOOLEAN;
    }
    return true;
}

static bool parse_and(struct sql_builder *builder, struct operand *operand)
{
    return parse_chain(builder, operand, parse_equality, SQL_AND);
}

static bool parse_or(struct sql_builder *builder, struct operand *operand)
{
    return parse_chain(builder, operand, parse_and, SQL_OR);
}

/* --- The whole ---------------------------------------------------------------------------- */

/* Give back what was not needed. */
static void trim(struct sql_builder *builder)
{
    struct sql_filter *filter = builder->filter;
    size_t instructions = filter->instruction_count * sizeof filter->instructions[0];
    size_t values = (filter->value_count + 1) * sizeof filter->values[0]; // There may be none.
    size_t names = (filter->name_count + 1) * sizeof filter->names[0];
    size_t bytes = builder->bytes_used + 1;
    filter->instructions = mem_realloc(filter->instructions, instructions);
    filter->values = mem_realloc(filter->values, values);
    filter->names = mem_realloc(filter->names, names);
    filter->size = sizeof *filter + instructions + values + names + bytes;
}

enum status sql_filter_compile(struct slice text, struct sql_filter **filter,
                               struct sql_trouble *trouble)
{
    *filter = NULL;
    if (text.size > SQL_SIZE_MAX) {
        snprintf(trouble->text, sizeof trouble->text, "the expression is longer than %d bytes",
                 SQL_SIZE_MAX);
        return STATUS_SUBSCRIPTION_MALFORMED;
    }
    struct sql_builder builder = {.text = text, .rest = text, .trouble = trouble};
    size_t most = text.size + 1; // Each value, name and byte comes from a byte of the text.
    builder.value_capacity = most < SQL_VALUES_MAX ? (uint32_t)most : SQL_VALUES_MAX;
    struct sql_filter *made = mem_zalloc(sizeof *made);
    made->values = mem_alloc(builder.value_capacity * sizeof made->values[0]);
    made->names = mem_alloc((most < SQL_NAMES_MAX ? most : SQL_NAMES_MAX) * sizeof made->names[0]);
    made->bytes = mem_alloc(most);
    builder.filter = made;
    sql_advance(&builder);
    struct operand whole = {0};
    // What follows is not read, as in RocketMQ, but for the next word: that must be one.
    bool fine = parse_or(&builder, &whole) && as_boolean(&builder, &whole) &&
                (builder.token.kind != SQL_NO_WORD || sql_fail(&builder, "not a word of SQL"));
    if (!fine) {
        sql_filter_free(made);
        return STATUS_SUBSCRIPTION_MALFORMED;
    }
    ASSERT(builder.depth == 1);
    trim(&builder);
    *filter = made;
    return STATUS_OK;
}

uint64_t sql_filter_cost(const struct sql_filter *filter, size_t properties_size)
{
    enum { STEP = 64 }; // So much of a text is compared in no time.
    return (uint64_t)filter->work * (STEP + properties_size);
}

size_t sql_filter_size(const struct sql_filter *filter)
{
    return filter->size;
}

void sql_filter_free(struct sql_filter *filter)
{
    if (filter == NULL) {
        return;
    }
    free(filter->instructions);
    free(filter->values);
    free(filter->names);
    free(filter->bytes);
    free(filter);
}
