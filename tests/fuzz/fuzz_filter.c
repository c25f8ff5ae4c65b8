/* SQL92 filters. Up to the first byte 0: the expression; then property strings, one up to each
 * further 0. What compiles evaluates, twice alike; three laws of its logic hold. */
#include "broker/filter/sql_filter.h"
#include "common/base/buf.h"
#include "tests/fuzz/fuzz.h"

/* What the expression gives inside another; SQL_RESULT_FAILED too if that is beyond a bound. */
static enum sql_result evaluate_within(const char *before, struct slice text, const char *after,
                                       struct slice properties)
{
    struct sql_filter *filter;
    struct sql_trouble trouble;
    struct buf whole = {0};
    enum sql_result result = SQL_RESULT_FAILED;
    buf_put_text(&whole, before);
    buf_put_slice(&whole, text);
    buf_put_text(&whole, after);
    if (sql_filter_compile(buf_slice(&whole), &filter, &trouble) == STATUS_OK) {
        result = sql_filter_evaluate(filter, properties);
        sql_filter_free(filter);
    }
    buf_close(&whole);
    return result;
}

/* Does it mean the same in parentheses? It may close more than it opens. Where a quote or a comment
 * could hide one of them, the answer is no. */
static bool stands_alone(struct slice text)
{
    int open = 0;
    bool hides = false;
    bool closes = false;
    for (size_t i = 0; i < text.size && open >= 0; i++) {
        open += (text.data[i] == '(') - (text.data[i] == ')');
        closes |= text.data[i] == ')';
        hides |= text.data[i] == '\'' || text.data[i] == '-' || text.data[i] == '/';
    }
    return open == 0 && !(closes && hides);
}

static void check_laws(struct slice text, struct slice properties, enum sql_result result)
{
    enum sql_result within = SQL_RESULT_FAILED;
    if (stands_alone(text)) {
        within = evaluate_within("(", text, "\n)", properties);
    }
    if (within == SQL_RESULT_FAILED) {
        return; // So does an expression with something behind it, which is not read, in there.
    }
    static const enum sql_result negations[] = {SQL_RESULT_TRUE, SQL_RESULT_FALSE,
                                                SQL_RESULT_UNKNOWN};
    enum sql_result negated = evaluate_within("NOT (", text, "\n)", properties);
    ASSERT(within == result);
    ASSERT(negated == SQL_RESULT_FAILED || negated == negations[result]);
    enum sql_result either = evaluate_within("TRUE OR (", text, "\n)", properties);
    ASSERT(either == SQL_RESULT_FAILED || either == SQL_RESULT_TRUE);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input input = {slice_of(data, size)};
    struct slice text = fuzz_until(&input, '\0');
    struct sql_filter *filter;
    struct sql_trouble trouble = {{0}};
    if (sql_filter_compile(text, &filter, &trouble) != STATUS_OK) {
        ASSERT(filter == NULL && memchr(trouble.text, '\0', sizeof trouble.text) != trouble.text);
        return 0;
    }
    do {
        struct slice properties = fuzz_until(&input, '\0');
        enum sql_result result = sql_filter_evaluate(filter, properties);
        ASSERT(result == sql_filter_evaluate(filter, properties));
        check_laws(text, properties, result);
    } while (fuzz_left(&input));
    sql_filter_free(filter);
    return 0;
}
