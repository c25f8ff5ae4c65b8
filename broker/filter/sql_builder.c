#include "broker/filter/sql_builder.h"

#include "common/base/buf.h"

#include <stdio.h>

bool sql_fail(struct sql_builder *builder, const char *why)
{
    size_t at = (size_t)(builder->token.text.data - builder->text.data);
    snprintf(builder->trouble->text, sizeof builder->trouble->text, "%s, at byte %zu", why, at);
    return false;
}

void sql_advance(struct sql_builder *builder)
{
    builder->token = sql_token_next(&builder->rest);
}

bool sql_accept(struct sql_builder *builder, enum sql_token_kind kind)
{
    if (builder->token.kind != kind) {
        return false;
    }
    sql_advance(builder);
    return true;
}

/* How an instruction changes the depth of the stack. */
static int depth_change(enum sql_operation operation)
{
    switch (operation) {
    case SQL_PUSH_VALUE:
    case SQL_PUSH_PROPERTY:
        return 1;
    case SQL_DO_EQUAL:
    case SQL_DO_GREATER:
    case SQL_DO_GREATER_EQUAL:
    case SQL_DO_LESS:
    case SQL_DO_LESS_EQUAL:
    case SQL_DO_AND:
    case SQL_DO_OR:
        return -1;
    default:
        return 0;
    }
}

bool sql_emit_instruction(struct sql_builder *builder, struct sql_instruction instruction)
{
    struct sql_filter *filter = builder->filter;
    if (filter->instruction_count == builder->instruction_capacity) {
        enum { FIRST_CAPACITY = 16 };
        if (filter->instruction_count >= SQL_INSTRUCTIONS_MAX) {
            return sql_fail(builder, "the expression has too many parts");
        }
        uint32_t capacity = builder->instruction_capacity;
        builder->instruction_capacity = capacity == 0 ? FIRST_CAPACITY : 2 * capacity;
        filter->instructions = mem_realloc(
            filter->instructions, builder->instruction_capacity * sizeof filter->instructions[0]);
    }
    int change = depth_change(instruction.operation);
    if (change > 0 && builder->depth == SQL_STACK_MAX) {
        return sql_fail(builder, "the expression is nested too deeply");
    }
    filter->work += 1U + instruction.count; // A copy of IN compares with all its texts again.
    if (filter->work > SQL_WORK_MAX) {
        return sql_fail(builder, "the expression takes too long");
    }
    builder->depth = (size_t)((int)builder->depth + change);
    filter->instructions[filter->instruction_count++] = instruction;
    return true;
}

bool sql_emit(struct sql_builder *builder, enum sql_operation operation, size_t at)
{
    return sql_emit_instruction(
        builder, (struct sql_instruction){.operation = (uint8_t)operation, .at = (uint16_t)at});
}

bool sql_emit_copy(struct sql_builder *builder, uint32_t first, uint32_t end)
{
    for (uint32_t at = first; at < end; at++) {
        if (!sql_emit_instruction(builder, builder->filter->instructions[at])) {
            return false;
        }
    }
    return true;
}

void sql_rewind(struct sql_builder *builder, uint32_t first)
{
    builder->filter->instruction_count = first;
    builder->depth--;
}

void sql_land(struct sql_builder *builder, uint32_t at)
{
    struct sql_filter *filter = builder->filter;
    filter->instructions[at].at = (uint16_t)(filter->instruction_count - at - 1);
}

bool sql_add_value(struct sql_builder *builder, struct sql_value value, size_t *at)
{
    struct sql_filter *filter = builder->filter;
    if (filter->value_count == builder->value_capacity) {
        return sql_fail(builder, "the expression has too many numbers and texts");
    }
    *at = filter->value_count;
    filter->values[filter->value_count++] = value;
    return true;
}

bool sql_take_text(struct sql_builder *builder, struct sql_value *value, size_t *at)
{
    if (builder->token.kind != SQL_TEXT) {
        return sql_fail(builder, "a text in single quotes is needed");
    }
    uint8_t *bytes = builder->filter->bytes + builder->bytes_used;
    size_t size = sql_text_decode(builder->token.text, bytes);
    builder->bytes_used += size;
    *value = sql_text(slice_of(bytes, size));
    if (!sql_add_value(builder, *value, at)) {
        return false;
    }
    sql_advance(builder);
    return true;
}

bool sql_add_name(struct sql_builder *builder, struct slice name, uint32_t *at)
{
    struct sql_filter *filter = builder->filter;
    *at = 0;
    while (*at < filter->name_count && !slice_equals(filter->names[*at], name)) {
        ++*at;
    }
    if (*at == SQL_NAMES_MAX) {
        return sql_fail(builder, "the expression names too many properties");
    }
    if (*at == filter->name_count) {
        uint8_t *bytes = filter->bytes + builder->bytes_used;
        memcpy(bytes, name.data, name.size);
        builder->bytes_used += name.size;
        filter->names[filter->name_count++] = slice_of(bytes, name.size);
    }
    return true;
}
