/* A filter in the making: the words of its expression, and the instructions they have become.
 *
 * The functions that return bool say false once something is not as it must be; the trouble is then
 * told, and compiling ends. Used by sql_compile.c alone. */
#ifndef BROKER_FILTER_SQL_BUILDER_H
#define BROKER_FILTER_SQL_BUILDER_H

#include "broker/filter/sql_program.h"
#include "broker/filter/sql_token.h"

struct sql_builder {
    struct slice text;
    struct slice rest;      /* Behind the token. */
    struct sql_token token; /* The next one, not yet taken. */
    struct sql_filter *filter;
    uint32_t instruction_capacity;
    uint32_t value_capacity;
    size_t bytes_used;
    size_t depth; /* Of the stack after the last instruction. */
    size_t nesting;
    struct sql_trouble *trouble;
};

/* Tell what is wrong, with the place of the word at hand. Returns false. */
bool sql_fail(struct sql_builder *builder, const char *why);

/* Go on to the next word. */
void sql_advance(struct sql_builder *builder);
/* Take the word at hand if it is one of that kind. */
bool sql_accept(struct sql_builder *builder, enum sql_token_kind kind);

/* Append an instruction. */
WARN_UNUSED bool sql_emit_instruction(struct sql_builder *builder,
                                      struct sql_instruction instruction);
WARN_UNUSED bool sql_emit(struct sql_builder *builder, enum sql_operation operation, size_t at);
/* Append again what stands in [first, end). Skips are relative, so it means the same there. */
WARN_UNUSED bool sql_emit_copy(struct sql_builder *builder, uint32_t first, uint32_t end);
/* Drop the instructions of the last operand, which begin at `first`. */
void sql_rewind(struct sql_builder *builder, uint32_t first);
/* Let the skip at `at` lead to what is emitted next. */
void sql_land(struct sql_builder *builder, uint32_t at);

/* Append a value; *at is its number. */
WARN_UNUSED bool sql_add_value(struct sql_builder *builder, struct sql_value value, size_t *at);
/* Append the text at hand as a value, its bytes kept in the filter, and go on. */
WARN_UNUSED bool sql_take_text(struct sql_builder *builder, struct sql_value *value, size_t *at);
/* The number of a property's name, appended if it is new. */
WARN_UNUSED bool sql_add_name(struct sql_builder *builder, struct slice name, uint32_t *at);

#endif
