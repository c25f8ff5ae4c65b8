/* The directory of the file system: direct writes and reads, and what happens where they are not
 * possible. */
#include "tests/support/test.h"

#include "raft-glue/directory.h"
#include "tests/support/temp_directory.h"

enum { FILE_BYTES = 4 * DIRECTORY_BLOCK_SIZE };

struct fixture {
    struct temp_directory temp;
    struct directory directory;
    struct file *direct;
    struct file *reader;
};

static void set_up(struct fixture *fixture)
{
    temp_directory_make(&fixture->temp);
    assert_int_equal(directory_posix_open(fixture->temp.path, &fixture->directory), STATUS_OK);
    struct file *made = NULL;
    assert_int_equal(directory_create(&fixture->directory, "a", FILE_BYTES, &made), STATUS_OK);
    directory_close_file(&fixture->directory, made);
    assert_int_equal(directory_open_direct(&fixture->directory, "a", &fixture->direct), STATUS_OK);
    assert_int_equal(directory_open(&fixture->directory, "a", &fixture->reader), STATUS_OK);
}

static void tear_down(struct fixture *fixture)
{
    directory_close_file(&fixture->directory, fixture->direct);
    directory_close_file(&fixture->directory, fixture->reader);
    directory_posix_close(&fixture->directory);
    temp_directory_remove(&fixture->temp);
}

static void write_at(struct fixture *fixture, uint64_t offset, void *bytes, size_t size)
{
    struct iovec part = {.iov_base = bytes, .iov_len = size};
    assert_int_equal(directory_write(&fixture->directory, fixture->direct, offset, &part, 1),
                     STATUS_OK);
    assert_int_equal(directory_sync(&fixture->directory, fixture->direct), STATUS_OK);
}

static void assert_reads(struct fixture *fixture, uint64_t offset, const void *bytes, size_t size)
{
    uint8_t *back = malloc(size);
    assert_int_equal(directory_read(&fixture->directory, fixture->reader, offset, back, size),
                     STATUS_OK);
    assert_memory_equal(back, bytes, size);
    free(back);
}

static void what_is_written_directly_is_read_by_others_though_they_had_it_cached(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    static _Alignas(DIRECTORY_BLOCK_SIZE) uint8_t bytes[2 * DIRECTORY_BLOCK_SIZE];
    static const uint8_t zeros[FILE_BYTES];
    assert_reads(&fixture, 0, zeros, FILE_BYTES);
    for (int round = 1; round <= 50; round++) {
        memset(bytes, round, sizeof bytes);
        write_at(&fixture, DIRECTORY_BLOCK_SIZE, bytes, sizeof bytes);
        assert_reads(&fixture, DIRECTORY_BLOCK_SIZE, bytes, sizeof bytes);
    }
    assert_reads(&fixture, 0, zeros, DIRECTORY_BLOCK_SIZE);
    tear_down(&fixture);
}

static void a_write_that_cannot_be_direct_is_made_like_any_other(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    char text[] = "neither offset, nor memory, nor size is a multiple of anything";
    write_at(&fixture, 4001, text, sizeof text);
    assert_reads(&fixture, 4001, text, sizeof text);
    static _Alignas(DIRECTORY_BLOCK_SIZE) uint8_t block[DIRECTORY_BLOCK_SIZE] = "later ones too";
    write_at(&fixture, 0, block, sizeof block);
    assert_reads(&fixture, 0, block, sizeof block);
    tear_down(&fixture);
}

/* The end of a file that a crash left short is one. */
static void a_read_that_cannot_be_direct_is_made_like_any_other(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    static _Alignas(DIRECTORY_BLOCK_SIZE) uint8_t bytes[FILE_BYTES];
    static _Alignas(DIRECTORY_BLOCK_SIZE) uint8_t back[FILE_BYTES];
    memset(bytes, 0x5a, sizeof bytes);
    write_at(&fixture, 0, bytes, sizeof bytes);
    const struct directory *directory = &fixture.directory;
    assert_int_equal(directory_read(directory, fixture.direct, 0, back, sizeof back), STATUS_OK);
    assert_memory_equal(back, bytes, sizeof back);
    assert_int_equal(directory_read(directory, fixture.direct, 4001, back + 1, 77), STATUS_OK);
    assert_int_equal(directory_read(directory, fixture.direct, DIRECTORY_BLOCK_SIZE, back,
                                    FILE_BYTES - DIRECTORY_BLOCK_SIZE - 5),
                     STATUS_OK);
    assert_memory_equal(back, bytes, sizeof back);
    assert_int_equal(directory_read(directory, fixture.direct, 4001, back, sizeof back),
                     STATUS_NOT_FOUND);
    tear_down(&fixture);
}

static void a_file_that_is_not_there_is_not_found(void **state)
{
    (void)state;
    struct fixture fixture;
    set_up(&fixture);
    struct file *file = NULL;
    assert_int_equal(directory_open_direct(&fixture.directory, "b", &file), STATUS_NOT_FOUND);
    assert_null(file);
    tear_down(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_directly_is_read_by_others_though_they_had_it_cached),
        cmocka_unit_test(a_write_that_cannot_be_direct_is_made_like_any_other),
        cmocka_unit_test(a_read_that_cannot_be_direct_is_made_like_any_other),
        cmocka_unit_test(a_file_that_is_not_there_is_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
