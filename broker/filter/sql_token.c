#include "broker/filter/sql_token.h"

#include <strings.h>

static bool is_digit(struct slice text, size_t at)
{
    return at < text.size && text.data[at] >= '0' && text.data[at] <= '9';
}

static bool is_any(struct slice text, size_t at, const char *bytes)
{
    return at < text.size && text.data[at] != '\0' && strchr(bytes, text.data[at]) != NULL;
}

static bool begins_name(struct slice text, size_t at)
{
    uint8_t byte = at < text.size ? text.data[at] : 0;
    uint8_t lower = byte | 0x20;
    return (lower >= 'a' && lower <= 'z') || byte == '_' || byte == '$';
}

/* Size of the comment at the front; 0 if there is none. A line comment ends with its line: without
 * one it is none, but two minus signs. */
static size_t comment_size(struct slice text)
{
    if (slice_starts_with(text, "--")) {
        for (size_t at = 2; at < text.size; at++) {
            if (is_any(text, at, "\r\n")) {
                return at + 1;
            }
        }
    }
    if (slice_starts_with(text, "/*")) {
        for (size_t at = 2; at + 1 < text.size; at++) {
            if (text.data[at] == '*' && text.data[at + 1] == '/') {
                return at + 2;
            }
        }
    }
    return 0;
}

static void skip_space(struct slice *rest)
{
    for (size_t size = 1; size > 0;) {
        size = is_any(*rest, 0, " \t\n\r\f") ? 1 : comment_size(*rest);
        *rest = size > 0 ? slice_from(*rest, size) : *rest;
    }
}

/* Behind the exponent at `at`, or `at` if there is none. */
static size_t exponent_end(struct slice text, size_t at)
{
    size_t digits = at + 1 + (is_any(text, at + 1, "+-") ? 1 : 0);
    if (!is_any(text, at, "eE") || !is_digit(text, digits)) {
        return at;
    }
    while (is_digit(text, digits)) {
        digits++;
    }
    return digits;
}

/* 0 is a number by itself, so "007" is three of them, but "007.5" is one. */
static size_t number_size(struct slice text, enum sql_token_kind *kind)
{
    size_t digits = 0;
    while (is_digit(text, digits)) {
        digits++;
    }
    size_t end = digits;
    bool point = is_any(text, digits, ".") && (digits > 0 || is_digit(text, digits + 1));
    if (point) {
        end++;
        while (is_digit(text, end)) {
            end++;
        }
    }
    if (end > 0) {
        end = exponent_end(text, end);
    }
    if (end > digits) {
        *kind = SQL_FLOAT;
        return end;
    }
    *kind = SQL_INTEGER;
    if (text.data[0] == '0') {
        return 1;
    }
    return digits + (is_any(text, digits, "lL") ? 1 : 0);
}

/* Up to the last quote that may end it; 0 if there is none. */
static size_t quoted_size(struct slice text)
{
    size_t end = 0;
    for (size_t at = 1; at < text.size; at++) {
        if (text.data[at] == '\'') {
            end = at + 1;
            if (!is_any(text, at + 1, "'")) {
                break;
            }
            at++;
        }
    }
    return end;
}

static size_t name_size(struct slice text, enum sql_token_kind *kind)
{
    static const char *const keywords[] = {"NOT", "AND",      "OR",         "BETWEEN",
                                           "IN",  "TRUE",     "FALSE",      "NULL",
                                           "IS",  "CONTAINS", "STARTSWITH", "ENDSWITH"};
    size_t size = 1;
    while (begins_name(text, size) || is_digit(text, size)) {
        size++;
    }
    *kind = SQL_NAME;
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++) {
        if (strlen(keywords[i]) == size &&
            strncasecmp(keywords[i], (const char *)text.data, size) == 0) {
            *kind = (enum sql_token_kind)(SQL_NOT + i);
        }
    }
    return size;
}

static size_t sign_size(struct slice text, enum sql_token_kind *kind)
{
    static const struct {
        const char *text; /* The longer ones first. */
        enum sql_token_kind kind;
    } signs[] = {
        {"<>", SQL_NOT_EQUAL}, {">=", SQL_GREATER_EQUAL}, {"<=", SQL_LESS_EQUAL}, {"=", SQL_EQUAL},
        {">", SQL_GREATER},    {"<", SQL_LESS},           {"(", SQL_OPEN},        {")", SQL_CLOSE},
        {",", SQL_COMMA},      {"+", SQL_PLUS},           {"-", SQL_MINUS},
    };
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        if (slice_starts_with(text, signs[i].text)) {
            *kind = signs[i].kind;
            return strlen(signs[i].text);
        }
    }
    return 0;
}

struct sql_token sql_token_next(struct slice *rest)
{
    skip_space(rest);
    if (rest->size == 0) {
        return (struct sql_token){SQL_END, *rest};
    }
    enum sql_token_kind kind = SQL_TEXT;
    size_t size;
    if (begins_name(*rest, 0)) {
        size = name_size(*rest, &kind);
    } else if (is_digit(*rest, 0) || (is_any(*rest, 0, ".") && is_digit(*rest, 1))) {
        size = number_size(*rest, &kind);
    } else if (rest->data[0] == '\'') {
        size = quoted_size(*rest);
    } else {
        size = sign_size(*rest, &kind);
    }
    if (size == 0) {
        return (struct sql_token){SQL_NO_WORD, *rest};
    }
    struct sql_token token = {kind, slice_of(rest->data, size)};
    *rest = slice_from(*rest, size);
    return token;
}

size_t sql_text_decode(struct slice text, uint8_t *out)
{
    size_t size = 0;
    for (size_t at = 1; at + 1 < text.size; at++) {
        out[size++] = text.data[at];
        at += text.data[at] == '\'' ? 1 : 0;
    }
    return size;
}
