/* Lines for the operator: a constant phrase to grep for, then key=value.
 *
 * ERROR: someone must act. WARN: degraded, recovers by itself. INFO: changes of state, never per
 * request. Message payloads never. The logger is an argument and bears the node and group; it is
 * safe to use from any thread (one write() per line). */
#ifndef COMMON_BASE_LOG_H
#define COMMON_BASE_LOG_H

#include "common/base/check.h"

#include <stdbool.h>
#include <stdio.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_SILENT };

struct log {
    FILE *out;            /* Borrowed. */
    enum log_level level; /* Less than this is not written. */
    char name[64];        /* "node-1/broker-a" */
};

/* A logger that says who speaks. Copies name. */
void log_init(struct log *log, FILE *out, enum log_level level, const char *name);

/* "debug", "info", "warn", "error"; false if it is none of them. */
bool log_level_parse(const char *text, enum log_level *level);

void log_write(const struct log *log, enum log_level level, const char *phrase, const char *format,
               ...) PRINTF_LIKE(4, 5);

/* phrase is constant text; the rest is key=value pairs ("" for none). */
#define log_debug(log, phrase, ...) log_at(log, LOG_DEBUG, phrase, __VA_ARGS__)
#define log_info(log, phrase, ...) log_at(log, LOG_INFO, phrase, __VA_ARGS__)
#define log_warn(log, phrase, ...) log_at(log, LOG_WARN, phrase, __VA_ARGS__)
#define log_error(log, phrase, ...) log_at(log, LOG_ERROR, phrase, __VA_ARGS__)
#define log_at(log, at_level, phrase, ...)                                                         \
    do {                                                                                           \
        if ((log) != NULL && (log)->level <= (at_level)) {                                         \
            log_write(log, at_level, phrase, __VA_ARGS__);                                         \
        }                                                                                          \
    } while (0)

#endif
