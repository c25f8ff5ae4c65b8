/* Reads the flat msgpack maps that operations are made of, in place.
 *
 * The library's unpacker builds a tree on the heap and accepts any nesting; an operation is read
 * for every transaction on every replica, so this reads it where it lies and takes nothing that we
 * do not write: a map of small integer keys to integers, booleans, strings and arrays. The first
 * error sticks: read everything, then ask map_reader_end(). Pure. */
#ifndef BROKER_MACHINE_MAP_READER_H
#define BROKER_MACHINE_MAP_READER_H

#include "common/base/slice.h"
#include "common/base/status.h"

struct map_reader {
    struct slice bytes;
    size_t at;
    uint32_t left; /* Pairs not yet read. */
    uint32_t seen; /* Bit per key. */
    bool failed;
};

/* Begin at the start of bytes, which hold exactly one map. */
void map_reader_init(struct map_reader *reader, struct slice bytes);

/* The next key, below 32 and not seen before; false after the last one or on error. */
bool map_reader_key(struct map_reader *reader, uint32_t *key);

/* The value of the key just read. After an error they are zero. */
uint64_t map_reader_u64(struct map_reader *reader);
int64_t map_reader_i64(struct map_reader *reader);
int32_t map_reader_i32(struct map_reader *reader);
bool map_reader_bool(struct map_reader *reader);
/* Borrows from the bytes. */
struct slice map_reader_text(struct map_reader *reader, size_t size_max);
/* The array's elements follow, to be read one by one. */
uint32_t map_reader_array(struct map_reader *reader, uint32_t count_max);

/* A value or key that has no meaning here. */
void map_reader_fail(struct map_reader *reader);

/* Did the map have exactly the keys 1 … key_count, and nothing behind it?
 * Errors: STATUS_MALFORMED. */
enum status map_reader_end(const struct map_reader *reader, uint32_t key_count);

#endif
