/* Runs a compiled filter. See sql_program.h for the machine. */
#include "broker/filter/sql_program.h"
#include "common/remoting/properties.h"

struct run {
    const struct sql_filter *filter;
    struct sql_value properties[SQL_NAMES_MAX]; /* By the filter's names. */
    struct sql_value stack[SQL_STACK_MAX];
    size_t depth;
};

/* One walk over the string for all names; of equal ones the later counts. */
static void load_properties(struct run *run, struct slice properties)
{
    const struct sql_filter *filter = run->filter;
    for (size_t i = 0; i < filter->name_count; i++) {
        run->properties[i] = sql_null();
    }
    struct slice name;
    struct slice value;
    while (filter->name_count > 0 && properties_next(&properties, &name, &value)) {
        for (size_t i = 0; i < filter->name_count; i++) {
            if (slice_equals(filter->names[i], name)) {
                run->properties[i] = sql_text(value);
                break;
            }
        }
    }
}

static void push(struct run *run, struct sql_value value)
{
    ASSERT(run->depth < SQL_STACK_MAX);
    run->stack[run->depth++] = value;
}

static struct sql_value pop(struct run *run)
{
    ASSERT(run->depth > 0);
    return run->stack[--run->depth];
}

static bool is_boolean(struct sql_value value, bool wanted)
{
    return value.type == SQL_TYPE_BOOLEAN && value.boolean == wanted;
}

/* RocketMQ's rule is not symmetric: a missing left side is unknown, a missing right side unequal.
 */
static bool equal(struct sql_value left, struct sql_value right, struct sql_value *result)
{
    if (left.type == SQL_TYPE_NULL) {
        *result = right.type == SQL_TYPE_NULL ? sql_boolean(true) : sql_null();
        return true;
    }
    int order = -1;
    bool comparable = right.type == SQL_TYPE_NULL || sql_compare(left, right, &order);
    *result = sql_boolean(order == 0);
    return comparable;
}

static bool ordered(enum sql_operation operation, struct sql_value left, struct sql_value right,
                    struct sql_value *result)
{
    *result = sql_null();
    if (left.type == SQL_TYPE_NULL || right.type == SQL_TYPE_NULL) {
        return true;
    }
    int order;
    if (!sql_compare_numbers(left, right, &order)) {
        return false;
    }
    switch (operation) {
    case SQL_DO_GREATER:
        *result = sql_boolean(order > 0);
        break;
    case SQL_DO_GREATER_EQUAL:
        *result = sql_boolean(order >= 0);
        break;
    case SQL_DO_LESS:
        *result = sql_boolean(order < 0);
        break;
    default:
        *result = sql_boolean(order <= 0);
        break;
    }
    return true;
}

static struct sql_value is_in(const struct run *run, const struct sql_instruction *instruction,
                              struct sql_value value)
{
    if (value.type != SQL_TYPE_TEXT) {
        return sql_null();
    }
    bool found = false;
    for (size_t i = 0; i < instruction->count && !found; i++) {
        found = slice_equals(run->filter->values[instruction->at + i].text, value.text);
    }
    return sql_boolean(found != instruction->negated);
}

/* CONTAINS and its kin know no null: what is missing, or no text, neither has a part nor lacks
 * it. */
static struct sql_value has_part(const struct run *run, const struct sql_instruction *instruction,
                                 struct sql_value value)
{
    struct slice part = run->filter->values[instruction->at].text;
    if (value.type != SQL_TYPE_TEXT) {
        return sql_boolean(false);
    }
    struct slice text = value.text;
    bool found = text.size >= part.size;
    if (found && instruction->operation == SQL_DO_CONTAINS) {
        found = memmem(text.data, text.size, part.data, part.size) != NULL;
    } else if (found && instruction->operation == SQL_DO_STARTSWITH) {
        found = memcmp(text.data, part.data, part.size) == 0;
    } else if (found) {
        found = memcmp(text.data + text.size - part.size, part.data, part.size) == 0;
    }
    return sql_boolean(found != instruction->negated);
}

/* Is what comes after a skip left out? */
static bool decides(enum sql_operation skip, struct sql_value value)
{
    return skip == SQL_SKIP_IF_NULL ? value.type == SQL_TYPE_NULL
                                    : is_boolean(value, skip == SQL_SKIP_IF_TRUE);
}

/* Both sides have been evaluated: the left one did not decide. */
static struct sql_value decide(struct sql_value left, struct sql_value right, bool deciding)
{
    if (is_boolean(left, deciding) || is_boolean(right, deciding)) {
        return sql_boolean(deciding);
    }
    bool unknown = left.type == SQL_TYPE_NULL || right.type == SQL_TYPE_NULL;
    return unknown ? sql_null() : sql_boolean(!deciding);
}

static struct sql_value unary(struct run *run, const struct sql_instruction *instruction)
{
    struct sql_value value = pop(run);
    switch ((enum sql_operation)instruction->operation) {
    case SQL_CAST: // It is a text, which is no truth value.
        return value.type == SQL_TYPE_NULL ? value : sql_boolean(false);
    case SQL_DO_NOT:
        return value.type == SQL_TYPE_NULL ? value : sql_boolean(!value.boolean);
    case SQL_DO_NEGATE:
        return sql_negate(value);
    case SQL_DO_IS_NULL:
        return sql_boolean(value.type == SQL_TYPE_NULL);
    case SQL_DO_IN:
        return is_in(run, instruction, value);
    default:
        return has_part(run, instruction, value);
    }
}

static bool binary(struct run *run, enum sql_operation operation, struct sql_value *result)
{
    struct sql_value right = pop(run);
    struct sql_value left = pop(run);
    switch (operation) {
    case SQL_DO_EQUAL:
        return equal(left, right, result);
    case SQL_DO_AND:
        *result = decide(left, right, false);
        return true;
    case SQL_DO_OR:
        *result = decide(left, right, true);
        return true;
    default:
        return ordered(operation, left, right, result);
    }
}

/* Runs one instruction; how many to leave out after it comes back in *skip. False: it failed. */
static bool step(struct run *run, const struct sql_instruction *instruction, size_t *skip)
{
    enum sql_operation operation = instruction->operation;
    struct sql_value result = sql_null();
    bool fine = true;
    switch (operation) {
    case SQL_PUSH_VALUE:
        result = run->filter->values[instruction->at];
        break;
    case SQL_PUSH_PROPERTY:
        result = run->properties[instruction->at];
        break;
    case SQL_SKIP_IF_FALSE:
    case SQL_SKIP_IF_TRUE:
    case SQL_SKIP_IF_NULL:
        result = pop(run);
        *skip = decides(operation, result) ? instruction->at : 0;
        break;
    case SQL_DO_EQUAL:
    case SQL_DO_GREATER:
    case SQL_DO_GREATER_EQUAL:
    case SQL_DO_LESS:
    case SQL_DO_LESS_EQUAL:
    case SQL_DO_AND:
    case SQL_DO_OR:
        fine = binary(run, operation, &result);
        break;
    default:
        result = unary(run, instruction);
        break;
    }
    push(run, result);
    return fine;
}

enum sql_result sql_filter_evaluate(const struct sql_filter *filter, struct slice properties)
{
    struct run run;
    run.filter = filter;
    run.depth = 0;
    load_properties(&run, properties);
    for (size_t at = 0; at < filter->instruction_count; at++) {
        size_t skip = 0;
        if (!step(&run, &filter->instructions[at], &skip)) {
            return SQL_RESULT_FAILED;
        }
        at += skip;
    }
    struct sql_value result = pop(&run);
    ASSERT(run.depth == 0);
    if (result.type == SQL_TYPE_NULL) {
        return SQL_RESULT_UNKNOWN;
    }
    return result.boolean ? SQL_RESULT_TRUE : SQL_RESULT_FALSE;
}
