#include "broker/core/retry.h"

int32_t retry_times_max(const struct group_spec *group, int32_t client_version, int32_t asked)
{
    return client_version >= CLIENT_VERSION_3_4_9 && asked >= 0 ? asked : group->retry_max_times;
}

int64_t retry_level(int32_t asked, int32_t times)
{
    // What clients call reconsumeTimes is theirs to say: it may be anything.
    return asked > 0 ? asked : RETRY_LEVEL_FIRST + (int64_t)(times > 0 ? times : 0);
}
