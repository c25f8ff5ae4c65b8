/* Times on the command line. */
#ifndef ADMIN_TIME_TEXT_H
#define ADMIN_TIME_TEXT_H

#include <stdbool.h>
#include <stdint.h>

/* "2026-11-22T20:57:26Z" with or without ".123", as the tables have it, or milliseconds since the
 * epoch. False if it is neither. */
bool time_parse(const char *text, int64_t *ms);

#endif
