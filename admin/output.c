#include "admin/output.h"

#include "common/base/buf.h"
#include "common/base/utf8.h"
#include "common/remoting/dialect.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { COLUMNS_MAX = 20, REAL_DIGITS = 6 };

/* Members named …Time are milliseconds since the epoch. */
static bool is_time(const char *key)
{
    size_t size = strlen(key);
    return size > 4 && strcmp(key + size - 4, "Time") == 0;
}

static void put_time(struct buf *text, json_int_t ms)
{
    struct tm parts;
    time_t seconds = (time_t)(ms / 1000);
    if (ms <= 0 || gmtime_r(&seconds, &parts) == NULL) {
        buf_put_text(text, "-");
        return;
    }
    buf_printf(text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900, parts.tm_mon + 1,
               parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, (int)(ms % 1000));
}

/* The text of a cell, in *text. */
static void cell(const json_t *row, const char *key, struct buf *text)
{
    buf_clear(text);
    const json_t *value = json_object_get(row, key);
    switch (value == NULL ? JSON_NULL : json_typeof(value)) {
    case JSON_STRING:
        buf_put(text, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        if (is_time(key)) {
            put_time(text, json_integer_value(value));
        } else {
            buf_printf(text, "%lld", (long long)json_integer_value(value));
        }
        break;
    case JSON_REAL:
        buf_printf(text, "%.1f", json_real_value(value));
        break;
    case JSON_TRUE:
        buf_put_text(text, "yes");
        break;
    case JSON_FALSE:
        buf_put_text(text, "no");
        break;
    default:
        buf_put_text(text, "-");
    }
}

static bool is_number(const json_t *row, const char *key)
{
    return json_is_number(json_object_get(row, key)) && !is_time(key);
}

/* Characters, not bytes. */
static size_t width_of(struct slice text)
{
    size_t width = 0;
    for (; text.size > 0; width++) {
        utf8_next(&text);
    }
    return width;
}

static void pad(FILE *out, size_t count)
{
    fprintf(out, "%*s", (int)count, "");
}

void output_table(FILE *out, const json_t *rows, const struct column *columns, size_t count)
{
    ASSERT(count <= COLUMNS_MAX);
    size_t widths[COLUMNS_MAX];
    struct buf text = {0};
    for (size_t c = 0; c < count; c++) {
        widths[c] = strlen(columns[c].title);
        for (size_t r = 0; r < json_array_size(rows); r++) {
            cell(json_array_get(rows, r), columns[c].key, &text);
            size_t width = width_of(buf_slice(&text));
            widths[c] = width > widths[c] ? width : widths[c];
        }
    }
    for (size_t c = 0; c < count; c++) {
        fprintf(out, "%s", columns[c].title);
        pad(out, c + 1 < count ? widths[c] - strlen(columns[c].title) + 2 : 0);
    }
    fprintf(out, "\n");
    for (size_t r = 0; r < json_array_size(rows); r++) {
        const json_t *row = json_array_get(rows, r);
        for (size_t c = 0; c < count; c++) {
            cell(row, columns[c].key, &text);
            size_t space = widths[c] - width_of(buf_slice(&text));
            bool right = is_number(row, columns[c].key);
            pad(out, right ? space : 0);
            fwrite(text.data, 1, text.size, out);
            pad(out, c + 1 < count ? (right ? 0 : space) + 2 : 0);
        }
        fprintf(out, "\n");
    }
    buf_close(&text);
}

/* What qsort() hands to the comparison of two rows. */
struct sorted_row {
    json_t *row;
    const struct column *columns;
    size_t count;
};

static int compare_members(const json_t *left, const json_t *right)
{
    if (json_is_string(left) && json_is_string(right)) {
        return strcmp(json_string_value(left), json_string_value(right));
    }
    json_int_t a = json_integer_value(left);
    json_int_t b = json_integer_value(right);
    return (a > b) - (a < b);
}

static int compare_rows(const void *left, const void *right)
{
    const struct sorted_row *a = left;
    const struct sorted_row *b = right;
    int order = 0;
    for (size_t i = 0; order == 0 && i < a->count; i++) {
        const char *key = a->columns[i].key;
        order = compare_members(json_object_get(a->row, key), json_object_get(b->row, key));
    }
    return order;
}

void output_sort(json_t *rows, const struct column *columns, size_t count)
{
    size_t size = json_array_size(rows);
    if (size < 2) {
        return;
    }
    struct sorted_row *sorted = mem_alloc(size * sizeof *sorted);
    for (size_t i = 0; i < size; i++) {
        sorted[i] = (struct sorted_row){json_incref(json_array_get(rows, i)), columns, count};
    }
    qsort(sorted, size, sizeof *sorted, compare_rows);
    json_array_clear(rows);
    for (size_t i = 0; i < size; i++) {
        json_array_append_new(rows, sorted[i].row);
    }
    free(sorted);
}

void output_rows(struct cli *cli, json_t *rows, const struct column *columns, size_t count)
{
    if (cli->json) {
        output_json(cli, rows);
        return;
    }
    output_table(cli->out, rows, columns, count);
    json_decref(rows);
}

void output_object(struct cli *cli, json_t *object, const struct column *members, size_t count)
{
    if (cli->json) {
        output_json(cli, object);
        return;
    }
    size_t width = 0;
    struct buf text = {0};
    for (size_t i = 0; i < count; i++) {
        width = strlen(members[i].title) > width ? strlen(members[i].title) : width;
    }
    for (size_t i = 0; i < count; i++) {
        cell(object, members[i].key, &text);
        fprintf(cli->out, "%-*s  %.*s\n", (int)width, members[i].title, SLICE_ARGS(text));
    }
    buf_close(&text);
    json_decref(object);
}

void output_json(struct cli *cli, json_t *json)
{
    json_dumpf(json, cli->out,
               JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(REAL_DIGITS));
    fprintf(cli->out, "\n");
    json_decref(json);
}

json_t *json_slice(struct slice text)
{
    if (utf8_valid(text)) {
        return json_stringn(text.size == 0 ? "" : (const char *)text.data, text.size);
    }
    struct buf valid = {0};
    while (text.size > 0) {
        uint8_t bytes[UTF8_SIZE_MAX];
        buf_put(&valid, bytes, utf8_put(utf8_next(&text), bytes));
    }
    json_t *json = json_stringn((const char *)valid.data, valid.size);
    buf_close(&valid);
    return json;
}

json_t *json_parse(struct slice text)
{
    json_t *json = json_loadb((const char *)text.data, text.size, 0, NULL);
    if (json == NULL) {
        struct buf strict = {0};
        if (dialect_to_json(text, &strict) == STATUS_OK) {
            json = json_loadb((const char *)strict.data, strict.size, 0, NULL);
        }
        buf_close(&strict);
    }
    return json;
}

json_t *json_duration(json_int_t ms)
{
    static const struct {
        json_int_t ms;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    const char *sign = ms < 0 ? "-" : "";
    ms = ms < 0 ? -ms : ms;
    for (size_t i = 0; i + 1 < OUTPUT_COUNT(units); i++) {
        if (ms < units[i].ms) {
            continue;
        }
        json_int_t rest = ms % units[i].ms / units[i + 1].ms;
        bool two = rest > 0 && i + 2 < OUTPUT_COUNT(units);
        char second[32] = "";
        if (two) {
            snprintf(second, sizeof second, " %lld%s", (long long)rest, units[i + 1].unit);
        }
        return json_sprintf("%s%lld%s%s", sign, (long long)(ms / units[i].ms), units[i].unit,
                            second);
    }
    return json_sprintf("%s%lldms", sign, (long long)ms);
}
