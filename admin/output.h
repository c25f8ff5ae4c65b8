/* Results for people (tables) and for programs (-o json), from one and the same data. */
#ifndef ADMIN_OUTPUT_H
#define ADMIN_OUTPUT_H

#include "admin/cli.h"
#include "common/base/slice.h"

#include <jansson.h>

/* A column shows the member `key` of each row; absent ones as "-". Numbers stand to the
 * right; members named …Time are milliseconds since the epoch and shown as dates. */
struct column {
    const char *title;
    const char *key;
};

/* Order an array of objects by their members of the first `count` columns, texts by bytes. Brokers
 * answer in orders of their own. Borrows rows. */
void output_sort(json_t *rows, const struct column *columns, size_t count);

/* Print an array of objects. Takes rows. */
void output_rows(struct cli *cli, json_t *rows, const struct column *columns, size_t count);

/* Print one object, a line per member. Takes object. */
void output_object(struct cli *cli, json_t *object, const struct column *members, size_t count);

/* The table of rows that are part of something larger; not for JSON output. Borrows rows. */
void output_table(FILE *out, const json_t *rows, const struct column *columns, size_t count);

/* Print any JSON. Takes json. */
void output_json(struct cli *cli, json_t *json);

/* A JSON string; bytes that are no UTF-8 become U+FFFD. */
json_t *json_slice(struct slice text);

/* Parse JSON as brokers send it, strict or not; NULL if it is none. */
json_t *json_parse(struct slice text);

/* "3d 4h", "12m 5s", "250ms": two units are enough to act on. */
json_t *json_duration(json_int_t ms);

#define OUTPUT_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
