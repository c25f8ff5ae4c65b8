/* Golden files: hex with a comment per field, the format of a wire or disk structure for ever.
 *
 * With UPDATE_GOLDEN=1 in the environment golden_check() rewrites the file instead (comments stay
 * where the size is unchanged); the diff is then reviewed. */
#ifndef TESTS_SUPPORT_GOLDEN_H
#define TESTS_SUPPORT_GOLDEN_H

#include "common/base/buf.h"

/* Read tests/golden/<path>; fails the test if there is none or it is not hex. Caller closes. */
struct buf golden_read(const char *path);

/* Fail the test unless bytes are exactly what tests/golden/<path> holds. */
void golden_check(const char *path, struct slice bytes);

#endif
