/* Message ids in RocketMQ's layout: 32 upper-case hex digits of the client's address (4 bytes), pid
 * (2), a number of the process (4), milliseconds since the start of the month (4), a counter (2).
 * Tools read the time out of it. Pure; any thread. Source: MessageClientIDSetter. */
#ifndef CLIENT_UNIQUE_KEY_H
#define CLIENT_UNIQUE_KEY_H

#include <stdint.h>

enum { UNIQUE_KEY_SIZE = 32 };

struct unique_keys {
    uint32_t address;
    uint16_t pid;
    uint32_t process; /* Chance: tells apart what address and pid do not. */
    uint64_t month_start_ms;
    uint64_t month_end_ms;
    uint16_t counter;
};

/* Write the next id, not NUL-terminated. now_ms is wall time. */
void unique_keys_next(struct unique_keys *keys, uint64_t now_ms, char id[UNIQUE_KEY_SIZE]);

#endif
