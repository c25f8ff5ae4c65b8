#include "client/unique_key.h"

#include "common/base/bytes.h"

#include <time.h>

static void set_month(struct unique_keys *keys, uint64_t now_ms);

void unique_keys_next(struct unique_keys *keys, uint64_t now_ms, char id[UNIQUE_KEY_SIZE])
{
    static const char hex[] = "0123456789ABCDEF";
    uint8_t bytes[UNIQUE_KEY_SIZE / 2];
    if (now_ms < keys->month_start_ms || now_ms >= keys->month_end_ms) {
        set_month(keys, now_ms);
    }
    be32_put(bytes, keys->address);
    be16_put(bytes + 4, keys->pid);
    be32_put(bytes + 6, keys->process);
    be32_put(bytes + 10, (uint32_t)(now_ms - keys->month_start_ms));
    be16_put(bytes + 14, keys->counter++);
    for (size_t i = 0; i < sizeof bytes; i++) {
        id[2 * i] = hex[bytes[i] >> 4];
        id[2 * i + 1] = hex[bytes[i] & 15];
    }
}

/* Months of local time, as the tools that read ids back count them. */
static void set_month(struct unique_keys *keys, uint64_t now_ms)
{
    time_t now = (time_t)(now_ms / 1000);
    struct tm parts;
    localtime_r(&now, &parts);
    parts.tm_mday = 1;
    parts.tm_hour = 0;
    parts.tm_min = 0;
    parts.tm_sec = 0;
    parts.tm_isdst = -1;
    keys->month_start_ms = (uint64_t)mktime(&parts) * 1000;
    parts.tm_mon++;
    parts.tm_isdst = -1;
    keys->month_end_ms = (uint64_t)mktime(&parts) * 1000;
}
