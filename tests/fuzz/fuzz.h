/* What the fuzz targets share: the entry point that libFuzzer and replay.c call, and an input that
 * is taken apart from its front.
 *
 * A target ends the process (ASSERT, or a sanitizer) when a promise is broken; what it is given is
 * arbitrary. Reading beyond the end of the input gives zeros, so every input means something. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "common/base/bytes.h"
#include "common/base/check.h"
#include "common/base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_input {
    struct slice rest;
};

/* The next `size` bytes, or what is left of them. Borrows. */
static inline struct slice fuzz_take(struct fuzz_input *input, size_t size)
{
    size = size < input->rest.size ? size : input->rest.size;
    struct slice taken = slice_of(input->rest.data, size);
    if (size > 0) {
        input->rest = slice_from(input->rest, size);
    }
    return taken;
}

static inline bool fuzz_left(const struct fuzz_input *input)
{
    return input->rest.size > 0;
}

static inline uint8_t fuzz_u8(struct fuzz_input *input)
{
    struct slice taken = fuzz_take(input, 1);
    return taken.size == 0 ? 0 : taken.data[0];
}

static inline uint32_t fuzz_u16(struct fuzz_input *input)
{
    uint32_t high = fuzz_u8(input);
    return high << 8 | fuzz_u8(input);
}

static inline uint64_t fuzz_u64(struct fuzz_input *input)
{
    uint8_t bytes[8] = {0};
    struct slice taken = fuzz_take(input, sizeof bytes);
    if (taken.size > 0) {
        memcpy(bytes, taken.data, taken.size);
    }
    return le64_get(bytes);
}

/* Up to the byte `end`, which is dropped, or all that is left. Borrows. */
static inline struct slice fuzz_until(struct fuzz_input *input, uint8_t end)
{
    const uint8_t *at =
        input->rest.size == 0 ? NULL : memchr(input->rest.data, end, input->rest.size);
    if (at == NULL) {
        return fuzz_take(input, input->rest.size);
    }
    struct slice taken = fuzz_take(input, (size_t)(at - input->rest.data));
    fuzz_take(input, 1);
    return taken;
}

#endif
