#include "common/base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EXIT_FATAL = 70 }; // EX_SOFTWARE of sysexits.h

noreturn void check_assert_failed(const char *expression, const char *file, int line,
                                  const char *function)
{
    fprintf(stderr, "raftmq: assertion failed: %s (%s:%d in %s)\n", expression, file, line,
            function);
    fflush(stderr);
    abort();
}

noreturn void check_fatal(const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "raftmq: FATAL: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, " (%s:%d)\n", file, line);
    va_end(args);
    fflush(stderr);
    // Not exit(): other threads may hold anything, and what is not synced must not be "tidied up".
    _exit(EXIT_FATAL);
}
