#include "common/base/status.h"

#include <stddef.h>

struct status_row {
    const char *name;
    const char *text;
    int32_t response_code;
    enum retry retry;
};

static const struct status_row rows[] = {
#define STATUS_ROW(name, number, response, retry, text) [number] = {#name, text, response, retry},
    STATUS_TABLE(STATUS_ROW)
#undef STATUS_ROW
};

static const struct status_row unknown = {"UNKNOWN", "unknown status", 1, RETRY_NEVER};

static const struct status_row *row_of(enum status status)
{
    size_t index = (size_t)status;
    if (index >= sizeof rows / sizeof rows[0] || rows[index].name == NULL) {
        return &unknown;
    }
    return &rows[index];
}

const char *status_name(enum status status)
{
    return row_of(status)->name;
}

const char *status_text(enum status status)
{
    return row_of(status)->text;
}

int32_t status_response_code(enum status status)
{
    return row_of(status)->response_code;
}

enum retry status_retry(enum status status)
{
    return row_of(status)->retry;
}
