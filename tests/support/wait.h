/* Waiting for what other threads do, with a deadline. */
#ifndef TESTS_SUPPORT_WAIT_H
#define TESTS_SUPPORT_WAIT_H

#include "tests/support/test.h"

#include <unistd.h>

enum { WAIT_MAX_MS = 20000 };

/* Look each millisecond; fail the test if it never holds. What held once may be over by now. */
#define WAIT_FOR(condition)                                                                        \
    do {                                                                                           \
        bool met = false;                                                                          \
        for (int waited = 0; waited < WAIT_MAX_MS && !(met = (condition)); waited++) {             \
            usleep(1000);                                                                          \
        }                                                                                          \
        if (!met) {                                                                                \
            fail_msg("never came true: %s", #condition);                                           \
        }                                                                                          \
    } while (false)

#endif
