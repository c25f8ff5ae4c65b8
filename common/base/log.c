#include "common/base/log.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_SIZE = 1024 };

static const char *const level_names[] = {"DEBUG", "INFO", "WARN", "ERROR", "SILENT"};

void log_init(struct log *log, FILE *out, enum log_level level, const char *name)
{
    *log = (struct log){.out = out, .level = level};
    snprintf(log->name, sizeof log->name, "%s", name);
}

bool log_level_parse(const char *text, enum log_level *level)
{
    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
        if (strcasecmp(text, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

void log_write(const struct log *log, enum log_level level, const char *phrase, const char *format,
               ...)
{
    char line[LINE_MAX_SIZE];
    struct timespec now;
    struct tm parts;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    size_t size = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &parts);
    int more = snprintf(line + size, sizeof line - size, ".%03ldZ %-5s %s: %s ",
                        now.tv_nsec / 1000000, level_names[level], log->name, phrase);
    size += more < 0 ? 0 : (size_t)more;
    if (size < sizeof line) {
        va_list args;
        va_start(args, format);
        more = vsnprintf(line + size, sizeof line - size, format, args);
        va_end(args);
        size += more < 0 ? 0 : (size_t)more;
    }
    if (size > sizeof line - 2) {
        size = sizeof line - 2;
    }
    while (size > 0 && line[size - 1] == ' ') {
        size--;
    }
    line[size++] = '\n';
    // One write per line keeps lines of different threads apart without a lock.
    ssize_t written = write(fileno(log->out), line, size);
    (void)written; // Nowhere left to complain to.
}
