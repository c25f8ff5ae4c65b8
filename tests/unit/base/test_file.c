/* file and arena: small whole files, and memory that goes at once. */
#include "tests/support/test.h"

#include "common/base/arena.h"
#include "common/base/file.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void a_replaced_file_reads_back_and_leaves_nothing_aside(void **state)
{
    (void)state;
    char directory[] = "/tmp/raftmq-file-XXXXXX";
    char path[64];
    char aside[80];
    struct buf out = {0};
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/f", directory);
    snprintf(aside, sizeof aside, "%s.tmp", path);
    assert_int_equal(file_read(path, 10, &out), STATUS_NOT_FOUND);
    assert_int_equal(file_replace(path, slice_text("first")), STATUS_OK);
    assert_int_equal(file_replace(path, slice_text("second")), STATUS_OK);
    buf_put_text(&out, "+");
    assert_int_equal(file_read(path, 6, &out), STATUS_OK);
    assert_string_equal(buf_text(&out), "+second");
    assert_int_equal(file_read(path, 5, &out), STATUS_IO); // Larger than may be.
    assert_string_equal(buf_text(&out), "+second");
    assert_int_equal(access(aside, F_OK), -1);
    assert_int_equal(file_read(directory, 100, &out), STATUS_IO);
    // What cannot be written leaves the old content.
    assert_int_equal(mkdir(aside, 0700), 0);
    assert_int_equal(file_replace(path, slice_text("third")), STATUS_IO);
    buf_clear(&out);
    assert_int_equal(file_read(path, 100, &out), STATUS_OK);
    assert_string_equal(buf_text(&out), "second");
    buf_close(&out);
    rmdir(aside);
    unlink(path);
    rmdir(directory);
}

static void arena_memory_is_zeroed_aligned_and_stays_put(void **state)
{
    (void)state;
    struct arena arena = {0};
    uint64_t *numbers[1000];
    for (size_t i = 0; i < 1000; i++) {
        numbers[i] = arena_array(&arena, 1 + i % 7, sizeof *numbers[i]);
        assert_int_equal((uintptr_t)numbers[i] % 16, 0);
        for (size_t j = 0; j < 1 + i % 7; j++) {
            assert_true(numbers[i][j] == 0);
            numbers[i][j] = i;
        }
    }
    uint8_t *large = arena_alloc(&arena, 100000);
    large[99999] = 1;
    struct slice copy = arena_copy(&arena, slice_text("text"));
    assert_string_equal((const char *)copy.data, "text");
    assert_int_equal(arena_copy(&arena, (struct slice){0}).size, 0);
    for (size_t i = 0; i < 1000; i++) {
        assert_true(numbers[i][i % 7] == i);
    }
    arena_close(&arena);
    arena_close(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replaced_file_reads_back_and_leaves_nothing_aside),
        cmocka_unit_test(arena_memory_is_zeroed_aligned_and_stays_put),
    };
    return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
