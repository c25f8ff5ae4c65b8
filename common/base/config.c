#include "common/base/config.h"

#include "common/base/decimal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>

enum { NAME_SIZE_MAX = 64 }; /* Of names that a typing error is compared with. */

struct config {
    const struct config_key *keys;
    size_t count;
    const struct log *log;
    struct buf *values; /* One for each key. */
};

/* Where an assignment stands, for complaints. */
struct place {
    const char *origin;
    unsigned line; /* 0: not in a file. */
};

static enum status load_line(struct config *config, struct place place, struct slice line);
static enum status assign(struct config *config, struct place place, struct slice name,
                          struct slice value, bool unknown_is_error);
static enum status unknown_key(const struct config *config, struct place place, struct slice name,
                               bool is_error);
static bool value_valid(const struct config_key *key, struct slice value);
static void complain(const struct config *config, struct place place, const struct config_key *key,
                     struct slice value);
static bool unescape(struct slice value, struct buf *out);
static size_t distance(struct slice a, struct slice b);
static const struct config_key *find(const struct config *config, struct slice name);

struct config *config_new(const struct config_key *keys, size_t count, const struct log *log)
{
    struct config *config = mem_zalloc(sizeof *config);
    *config = (struct config){keys, count, log, mem_zalloc(count * sizeof *config->values)};
    for (size_t i = 0; i < count; i++) {
        ASSERT(value_valid(&keys[i], slice_text(keys[i].fallback)));
        buf_put_text(&config->values[i], keys[i].fallback);
        buf_text(&config->values[i]);
    }
    return config;
}

void config_free(struct config *config)
{
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < config->count; i++) {
        buf_close(&config->values[i]);
    }
    free(config->values);
    free(config);
}

enum status config_load(struct config *config, const char *path)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        log_error(config->log, "cannot read the configuration", "file=%s", path);
        return STATUS_IO;
    }
    struct buf text = {0};
    uint8_t *at = buf_extend(&text, CONFIG_FILE_MAX + 1);
    text.size = fread(at, 1, CONFIG_FILE_MAX + 1, file);
    bool failed = ferror(file) != 0 || text.size > CONFIG_FILE_MAX;
    fclose(file);
    enum status status = STATUS_IO;
    if (failed) {
        log_error(config->log, "cannot read the configuration", "file=%s at_most_bytes=%d", path,
                  CONFIG_FILE_MAX);
    } else {
        status = config_load_text(config, path, buf_slice(&text));
    }
    buf_close(&text);
    return status;
}

enum status config_load_text(struct config *config, const char *origin, struct slice text)
{
    struct place place = {origin, 0};
    enum status status = STATUS_OK;
    while (text.size > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        size_t size = end == NULL ? text.size : (size_t)(end - text.data);
        place.line++;
        enum status line_status = load_line(config, place, slice_of(text.data, size));
        status = line_status == STATUS_OK ? status : line_status;
        text = slice_from(text, end == NULL ? size : size + 1);
    }
    return status;
}

static struct slice trim(struct slice text)
{
    while (text.size > 0 && text.data[0] <= ' ') {
        text = slice_from(text, 1);
    }
    while (text.size > 0 && text.data[text.size - 1] <= ' ') {
        text.size--;
    }
    return text;
}

static enum status load_line(struct config *config, struct place place, struct slice line)
{
    line = trim(line);
    if (line.size == 0 || line.data[0] == '#' || line.data[0] == '!') {
        return STATUS_OK;
    }
    const uint8_t *split = memchr(line.data, '=', line.size);
    if (split == NULL) {
        log_error(config->log, "not a key=value line", "at=%s:%u", place.origin, place.line);
        return STATUS_INVALID_ARGUMENT;
    }
    size_t name_size = (size_t)(split - line.data);
    return assign(config, place, trim(slice_of(line.data, name_size)),
                  trim(slice_from(line, name_size + 1)), false);
}

enum status config_set(struct config *config, const char *assignment)
{
    struct slice text = slice_text(assignment);
    struct place place = {"command line", 0};
    const uint8_t *split = text.size == 0 ? NULL : memchr(text.data, '=', text.size);
    if (split == NULL) {
        log_error(config->log, "not key=value", "at=\"%s\" given=\"%s\"", place.origin, assignment);
        return STATUS_INVALID_ARGUMENT;
    }
    size_t name_size = (size_t)(split - text.data);
    return assign(config, place, trim(slice_of(text.data, name_size)),
                  trim(slice_from(text, name_size + 1)), true);
}

static enum status assign(struct config *config, struct place place, struct slice name,
                          struct slice value, bool unknown_is_error)
{
    const struct config_key *key = find(config, name);
    if (key == NULL) {
        return unknown_key(config, place, name, unknown_is_error);
    }
    struct buf plain = {0};
    if (!unescape(value, &plain) || !value_valid(key, buf_slice(&plain))) {
        complain(config, place, key, value);
        buf_close(&plain);
        return STATUS_INVALID_ARGUMENT;
    }
    struct buf *slot = &config->values[key - config->keys];
    buf_text(&plain); // Ends it with a NUL, which is not counted.
    buf_close(slot);
    *slot = plain;
    return STATUS_OK;
}

static const struct config_key *find(const struct config *config, struct slice name)
{
    for (size_t i = 0; i < config->count; i++) {
        if (slice_equals_text(name, config->keys[i].name)) {
            return &config->keys[i];
        }
    }
    return NULL;
}

bool config_knows(const struct config *config, struct slice name)
{
    return find(config, name) != NULL;
}

static enum status unknown_key(const struct config *config, struct place place, struct slice name,
                               bool is_error)
{
    const char *nearest = "";
    size_t best = 4; // More slips of the finger than three are another word.
    for (size_t i = 0; i < config->count; i++) {
        size_t slips = distance(name, slice_text(config->keys[i].name));
        if (slips < best) {
            best = slips;
            nearest = config->keys[i].name;
        }
    }
    const char *hint = nearest[0] == '\0' ? "" : " did_you_mean=";
    if (is_error) {
        log_error(config->log, "unknown configuration key", "at=\"%s\" key=%.*s%s%s", place.origin,
                  SLICE_ARGS(name), hint, nearest);
        return STATUS_INVALID_ARGUMENT;
    }
    log_warn(config->log, "unknown configuration key ignored", "at=%s:%u key=%.*s%s%s",
             place.origin, place.line, SLICE_ARGS(name), hint, nearest);
    return STATUS_OK;
}

static bool value_valid(const struct config_key *key, struct slice value)
{
    int64_t number;
    if (value.size > CONFIG_VALUE_MAX ||
        (value.size > 0 && memchr(value.data, '\0', value.size) != NULL)) {
        return false;
    }
    switch (key->type) {
    case CONFIG_INTEGER:
        return decimal_parse(value, &number) && number >= key->min && number <= key->max;
    case CONFIG_BOOLEAN:
        return slice_equals_text(value, "true") || slice_equals_text(value, "false");
    case CONFIG_TEXT:
        return true;
    }
    UNREACHABLE();
}

static void complain(const struct config *config, struct place place, const struct config_key *key,
                     struct slice value)
{
    char allowed[80] = "text without NUL, at most 4096 bytes";
    char where[16] = "";
    if (key->type == CONFIG_INTEGER) {
        snprintf(allowed, sizeof allowed, "a whole number from %" PRId64 " to %" PRId64, key->min,
                 key->max);
    } else if (key->type == CONFIG_BOOLEAN) {
        snprintf(allowed, sizeof allowed, "true or false");
    }
    if (place.line > 0) {
        snprintf(where, sizeof where, ":%u", place.line);
    }
    int shown = value.size > 200 ? 200 : (int)value.size;
    log_error(config->log, "bad configuration value",
              "at=\"%s%s\" key=%s value=\"%.*s\" allowed=\"%s\"", place.origin, where, key->name,
              shown, (const char *)value.data, allowed);
}

static bool unescape(struct slice value, struct buf *out)
{
    static const char letters[] = "\\nt=:#!";
    static const char meanings[] = "\\\n\t=:#!";
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] != '\\') {
            buf_put_u8(out, value.data[i]);
            continue;
        }
        const char *found =
            i + 1 < value.size ? memchr(letters, value.data[i + 1], sizeof letters - 1) : NULL;
        if (found == NULL) {
            return false;
        }
        buf_put_u8(out, (uint8_t)meanings[found - letters]);
        i++;
    }
    return true;
}

/* Letters to insert, delete or replace (ignoring case) to make one of the other. */
static size_t distance(struct slice a, struct slice b)
{
    size_t row[NAME_SIZE_MAX + 1];
    if (a.size > NAME_SIZE_MAX || b.size > NAME_SIZE_MAX) {
        return SIZE_MAX;
    }
    for (size_t j = 0; j <= b.size; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a.size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++) {
            size_t above = row[j];
            size_t replaced = diagonal + ((a.data[i - 1] | 0x20) == (b.data[j - 1] | 0x20) ? 0 : 1);
            size_t least = above < row[j - 1] ? above + 1 : row[j - 1] + 1;
            row[j] = least < replaced ? least : replaced;
            diagonal = above;
        }
    }
    return row[b.size];
}

static const struct buf *value_of(const struct config *config, const char *name,
                                  enum config_type type)
{
    const struct config_key *key = find(config, slice_text(name));
    ASSERT(key != NULL && key->type == type);
    return &config->values[key - config->keys];
}

const char *config_text(const struct config *config, const char *name)
{
    return (const char *)value_of(config, name, CONFIG_TEXT)->data;
}

int64_t config_integer(const struct config *config, const char *name)
{
    int64_t number = 0;
    ASSERT(decimal_parse(buf_slice(value_of(config, name, CONFIG_INTEGER)), &number));
    return number;
}

bool config_boolean(const struct config *config, const char *name)
{
    return slice_equals_text(buf_slice(value_of(config, name, CONFIG_BOOLEAN)), "true");
}

void config_print(const struct config *config, struct buf *out)
{
    for (size_t i = 0; i < config->count; i++) {
        const struct buf *value = &config->values[i];
        buf_printf(out, "%s=", config->keys[i].name);
        for (size_t j = 0; j < value->size; j++) {
            switch (value->data[j]) {
            case '\\':
                buf_put_text(out, "\\\\");
                break;
            case '\n':
                buf_put_text(out, "\\n");
                break;
            case '\t':
                buf_put_text(out, "\\t");
                break;
            default:
                buf_put_u8(out, value->data[j]);
            }
        }
        buf_put_u8(out, '\n');
    }
}

void config_help(const struct config *config, struct buf *out)
{
    for (size_t i = 0; i < config->count; i++) {
        const struct config_key *key = &config->keys[i];
        buf_printf(out, "  %s=%s\n      %s", key->name, key->fallback, key->help);
        if (key->type == CONFIG_INTEGER) {
            buf_printf(out, " (%" PRId64 " to %" PRId64 ")", key->min, key->max);
        } else if (key->type == CONFIG_BOOLEAN) {
            buf_put_text(out, " (true or false)");
        }
        buf_put_u8(out, '\n');
    }
}
