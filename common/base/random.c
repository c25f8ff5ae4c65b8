#include "common/base/random.h"

#include "common/base/clock.h"

#include <sys/random.h>
#include <unistd.h>

struct random random_system(void)
{
    struct random random = {0};
    if (getrandom(&random.state, sizeof random.state, 0) != (ssize_t)sizeof random.state) {
        random.state = clock_measure_ns() ^ ((uint64_t)getpid() << 32);
    }
    return random;
}
