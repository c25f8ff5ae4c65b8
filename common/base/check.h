/* Checks that stay on in every build.
 *
 * Three kinds of trouble, three answers: a programmer's error is an ASSERT; a node that cannot go
 * on (failed fsync, log entry it cannot read) is FATAL, with the operator's next step in the text;
 * everything a peer or client can cause is an `enum status`, never one of these. */
#ifndef COMMON_BASE_CHECK_H
#define COMMON_BASE_CHECK_H

#include <stdnoreturn.h>

#define WARN_UNUSED __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_index, first_index)                                                     \
    __attribute__((format(printf, format_index, first_index)))

/* Abort with the expression and its place. Never compiled out: NDEBUG is not looked at. */
#define ASSERT(expression)                                                                         \
    ((expression) ? (void)0 : check_assert_failed(#expression, __FILE__, __LINE__, __func__))

#define UNREACHABLE() check_assert_failed("unreachable", __FILE__, __LINE__, __func__)

/* Print one line for the operator and end the process with status 70 (EX_SOFTWARE). */
#define FATAL(...) check_fatal(__FILE__, __LINE__, __VA_ARGS__)

noreturn void check_assert_failed(const char *expression, const char *file, int line,
                                  const char *function);
noreturn void check_fatal(const char *file, int line, const char *format, ...) PRINTF_LIKE(3, 4);

#endif
