/* The words of an SQL92 expression. Pure; borrows the text. Source: RocketMQ's SelectorParser.jj.
 */
#ifndef BROKER_FILTER_SQL_TOKEN_H
#define BROKER_FILTER_SQL_TOKEN_H

#include "common/base/slice.h"

enum sql_token_kind {
    SQL_END,     /* Nothing is left. */
    SQL_NO_WORD, /* Bytes that begin no word. */
    SQL_NAME,
    SQL_TEXT,    /* With its quotes; see sql_text_decode. */
    SQL_INTEGER, /* An 'l' may follow the digits. */
    SQL_FLOAT,
    SQL_EQUAL,
    SQL_NOT_EQUAL,
    SQL_GREATER,
    SQL_GREATER_EQUAL,
    SQL_LESS,
    SQL_LESS_EQUAL,
    SQL_OPEN,
    SQL_CLOSE,
    SQL_COMMA,
    SQL_PLUS,
    SQL_MINUS,
    SQL_NOT, /* From here on the keywords, in any case. */
    SQL_AND,
    SQL_OR,
    SQL_BETWEEN,
    SQL_IN,
    SQL_TRUE,
    SQL_FALSE,
    SQL_NULL,
    SQL_IS,
    SQL_CONTAINS,
    SQL_STARTSWITH,
    SQL_ENDSWITH,
};

struct sql_token {
    enum sql_token_kind kind;
    struct slice text;
};

/* Take the next word, the longest there is, off the front of *rest, with the space and the comments
 * before it. */
struct sql_token sql_token_next(struct slice *rest);

/* The value of an SQL_TEXT: without its quotes, and '' as one quote. Copies to `out`, which has
 * room for text.size bytes. Returns how many they are. */
size_t sql_text_decode(struct slice text, uint8_t *out);

#endif
