/* Fixed-width integers in byte order of choice, at any alignment.
 *
 * The RocketMQ wire and stored messages are big-endian; our own log and Raft wire little-endian. */
#ifndef COMMON_BASE_BYTES_H
#define COMMON_BASE_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define BYTES_DEFINE(bits)                                                                         \
    static inline uint##bits##_t be##bits##_get(const void *from)                                  \
    {                                                                                              \
        uint##bits##_t value;                                                                      \
        memcpy(&value, from, sizeof value);                                                        \
        return be##bits##toh(value);                                                               \
    }                                                                                              \
    static inline void be##bits##_put(void *to, uint##bits##_t value)                              \
    {                                                                                              \
        value = htobe##bits(value);                                                                \
        memcpy(to, &value, sizeof value);                                                          \
    }                                                                                              \
    static inline uint##bits##_t le##bits##_get(const void *from)                                  \
    {                                                                                              \
        uint##bits##_t value;                                                                      \
        memcpy(&value, from, sizeof value);                                                        \
        return le##bits##toh(value);                                                               \
    }                                                                                              \
    static inline void le##bits##_put(void *to, uint##bits##_t value)                              \
    {                                                                                              \
        value = htole##bits(value);                                                                \
        memcpy(to, &value, sizeof value);                                                          \
    }

BYTES_DEFINE(16)
BYTES_DEFINE(32)
BYTES_DEFINE(64)
#undef BYTES_DEFINE

#endif
