/* A compiled filter: instructions for a stack machine, and what they refer to. Built by
 * sql_compile.c, run by sql_evaluate.c. */
#ifndef BROKER_FILTER_SQL_PROGRAM_H
#define BROKER_FILTER_SQL_PROGRAM_H

#include "broker/filter/sql_filter.h"
#include "broker/filter/sql_value.h"

/* Values that wait on the stack: at most five for each level of nesting (left sides of OR, AND, an
 * equality and a comparison, and what BETWEEN has pushed). */
enum { SQL_STACK_MAX = 5 * (SQL_NESTING_MAX + 2) };

/* [in -> out] is what an instruction takes off the stack and puts there. */
enum sql_operation {
    SQL_PUSH_VALUE,    /* [-> v] values[at] */
    SQL_PUSH_PROPERTY, /* [-> v] the property names[at], or null */
    SQL_CAST,          /* [v -> b] a property as a truth value: false, or null */
    SQL_DO_NOT,        /* [b -> b] */
    SQL_DO_NEGATE,     /* [v -> v] */
    SQL_DO_IS_NULL,    /* [v -> b] */
    SQL_DO_EQUAL,      /* [v v -> b] */
    SQL_DO_GREATER,    /* [v v -> b] */
    SQL_DO_GREATER_EQUAL,
    SQL_DO_LESS,
    SQL_DO_LESS_EQUAL,
    SQL_DO_IN,       /* [v -> b] is it one of the `count` texts from values[at] on? */
    SQL_DO_CONTAINS, /* [v -> b] the text values[at]; so are the next two */
    SQL_DO_STARTSWITH,
    SQL_DO_ENDSWITH,
    SQL_DO_AND,        /* [b b -> b] */
    SQL_DO_OR,         /* [b b -> b] */
    SQL_SKIP_IF_FALSE, /* [b -> b] leave out the next `at` instructions */
    SQL_SKIP_IF_TRUE,  /* [b -> b] */
    SQL_SKIP_IF_NULL,  /* [v -> v] */
};

struct sql_instruction {
    uint8_t operation;
    bool negated; /* NOT IN, NOT CONTAINS, … */
    uint16_t at;
    uint16_t count;
};

struct sql_filter {
    struct sql_instruction *instructions; /* Owned, as are the others. */
    struct sql_value *values;
    struct slice *names;
    uint8_t *bytes; /* Names and texts. */
    uint32_t instruction_count;
    uint32_t value_count;
    uint32_t name_count;
    uint32_t work; /* Instructions, and texts that they compare with, each time again. */
    size_t size;   /* Bytes of all this. */
};

#endif
