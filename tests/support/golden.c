#include "tests/support/golden.h"

#include "tests/support/test.h"

#include <ctype.h>
#include <stdio.h>

static FILE *open_golden(const char *path, const char *mode);
static void rewrite(const char *path, struct slice bytes);
static size_t parse_line(const char *line, struct buf *out);

struct buf golden_read(const char *path)
{
    struct buf bytes = {0};
    char line[1024];
    FILE *file = open_golden(path, "r");
    if (file == NULL) {
        fail_msg("no golden file %s", path);
    }
    while (fgets(line, sizeof line, file) != NULL) {
        parse_line(line, &bytes);
    }
    fclose(file);
    return bytes;
}

void golden_check(const char *path, struct slice bytes)
{
    const char *update = getenv("UPDATE_GOLDEN");
    if (update != NULL && strcmp(update, "1") == 0) {
        rewrite(path, bytes);
    }
    struct buf expected = golden_read(path);
    size_t same = 0;
    while (same < bytes.size && same < expected.size && bytes.data[same] == expected.data[same]) {
        same++;
    }
    if (same != bytes.size || same != expected.size) {
        fail_msg("%s: %zu bytes, expected %zu; they differ at byte %zu", path, bytes.size,
                 expected.size, same);
    }
    buf_close(&expected);
}

static FILE *open_golden(const char *path, const char *mode)
{
    char full[1024];
    snprintf(full, sizeof full, "%s/tests/golden/%s", RAFTMQ_SOURCE_DIR, path);
    return fopen(full, mode);
}

/* Append the bytes of a line, up to its comment; returns how many. */
static size_t parse_line(const char *line, struct buf *out)
{
    size_t before = out->size;
    unsigned value;
    int used;
    while (*line != '\0' && *line != '#') {
        if (isspace((unsigned char)*line)) {
            line++;
        } else if (sscanf(line, "%2x%n", &value, &used) == 1 && used == 2) {
            buf_put_u8(out, (uint8_t)value);
            line += 2;
        } else {
            fail_msg("not hex in a golden file: %s", line);
        }
    }
    return out->size - before;
}

/* Keep lines and comments if the size is the same; else begin afresh, 16 bytes a line. */
static void rewrite(const char *path, struct slice bytes)
{
    struct buf text = {0};
    struct buf old = {0};
    char line[1024];
    size_t at = 0;
    FILE *file = open_golden(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        size_t count = parse_line(line, &old);
        const char *comment = strchr(line, '#');
        for (size_t i = 0; i < count && at < bytes.size; i++, at++) {
            buf_printf(&text, i == 0 ? "%02X" : " %02X", bytes.data[at]);
        }
        buf_printf(&text, "%s%s", count > 0 && comment != NULL ? "  " : "",
                   comment == NULL ? "\n" : comment);
    }
    if (file != NULL) {
        fclose(file);
    }
    if (old.size != bytes.size) {
        buf_clear(&text);
        for (at = 0; at < bytes.size; at++) {
            buf_printf(&text, "%02X%s", bytes.data[at],
                       at % 16 == 15 || at + 1 == bytes.size ? "\n" : " ");
        }
    }
    file = open_golden(path, "w");
    if (file == NULL) {
        fail_msg("cannot write golden file %s", path);
    }
    fwrite(text.data, 1, text.size, file);
    fclose(file);
    buf_close(&text);
    buf_close(&old);
}
