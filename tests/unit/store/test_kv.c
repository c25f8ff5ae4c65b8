/* kv: both kinds keep the same contract; and what only one of them can do. */
#include "tests/support/test.h"

#include "common/base/random.h"
#include "common/store/kv.h"

#include <stdio.h>

static char directory[] = "/tmp/raftmq-test-kv-XXXXXX";

static struct kv *open_rocksdb(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    struct kv *kv = NULL;
    char *error = NULL;
    if (kv_open_rocksdb(path, 1 << 20, &kv, &error) != STATUS_OK) {
        fail_msg("%s", error);
    }
    return kv;
}

static void put(struct kv *kv, const char *key, const char *value)
{
    struct kv_batch *batch = kv_batch_new();
    kv_batch_put(batch, slice_text(key), slice_text(value));
    assert_int_equal(kv_write(kv, batch), STATUS_OK);
    kv_batch_free(batch);
}

static void assert_value(struct kv *kv, const char *key, const char *value)
{
    struct buf out = {0};
    enum status status = kv_get(kv, slice_text(key), &out);
    if (value == NULL) {
        assert_int_equal(status, STATUS_NOT_FOUND);
        assert_int_equal(out.size, 0);
    } else {
        assert_int_equal(status, STATUS_OK);
        assert_string_equal(buf_text(&out), value);
    }
    buf_close(&out);
}

/* All keys and values in [from, to), as "k=v k=v ". */
static void assert_walk(struct kv *kv, const char *from, const char *to, const char *expected)
{
    struct buf seen = {0};
    struct kv_iterator *iterator = kv_iterate(kv, slice_text(from), slice_text(to));
    struct slice key;
    struct slice value;
    while (kv_iterator_next(iterator, &key, &value)) {
        buf_printf(&seen, "%.*s=%.*s ", SLICE_ARGS(key), SLICE_ARGS(value));
    }
    assert_false(kv_iterator_next(iterator, &key, &value));
    assert_int_equal(kv_iterator_close(iterator), STATUS_OK);
    assert_string_equal(buf_text(&seen), expected);
    buf_close(&seen);
}

static void contract(struct kv *kv)
{
    assert_value(kv, "a", NULL);
    assert_walk(kv, "a", "z", "");
    put(kv, "b", "2");
    put(kv, "a", "1");
    put(kv, "c", "");
    put(kv, "b", "two");
    assert_value(kv, "b", "two");
    assert_value(kv, "c", "");
    assert_value(kv, "ab", NULL);
    assert_walk(kv, "a", "c", "a=1 b=two ");
    assert_walk(kv, "aa", "z", "b=two c= ");

    // In order within a batch: a put after the deletion of its range stays.
    struct kv_batch *batch = kv_batch_new();
    assert_int_equal(kv_batch_size(batch), 0);
    kv_batch_put(batch, slice_text("d"), slice_text("gone"));
    kv_batch_delete_range(batch, slice_text("b"), slice_text("e"));
    kv_batch_put(batch, slice_text("c"), slice_text("3"));
    kv_batch_delete(batch, slice_text("a"));
    kv_batch_delete(batch, slice_text("never there"));
    assert_true(kv_batch_size(batch) > 20);
    assert_walk(kv, "a", "z", "a=1 b=two c= ");
    assert_int_equal(kv_write(kv, batch), STATUS_OK);
    kv_batch_free(batch);
    assert_walk(kv, "a", "z", "c=3 ");
    assert_int_equal(kv_flush(kv), STATUS_OK);
    assert_walk(kv, "a", "z", "c=3 ");
}

static void memory_keeps_the_contract(void **state)
{
    (void)state;
    struct kv *kv = kv_open_memory();
    contract(kv);
    kv_close(kv);
}

static void rocksdb_keeps_the_contract(void **state)
{
    (void)state;
    struct kv *kv = open_rocksdb("contract");
    contract(kv);
    kv_close(kv);
}

static void a_crash_forgets_what_was_not_flushed_and_only_that(void **state)
{
    (void)state;
    struct kv *kv = kv_open_memory();
    put(kv, "kept", "1");
    put(kv, "changed", "before");
    put(kv, "deleted", "still here");
    assert_int_equal(kv_flush(kv), STATUS_OK);
    put(kv, "changed", "once");
    put(kv, "changed", "twice");
    put(kv, "new", "1");
    struct kv_batch *batch = kv_batch_new();
    kv_batch_delete_range(batch, slice_text("d"), slice_text("z"));
    assert_int_equal(kv_write(kv, batch), STATUS_OK);
    kv_batch_free(batch);
    assert_walk(kv, "a", "z", "changed=twice ");
    kv_memory_crash(kv);
    assert_walk(kv, "a", "z", "changed=before deleted=still here kept=1 ");
    kv_memory_crash(kv);
    assert_walk(kv, "a", "z", "changed=before deleted=still here kept=1 ");
    kv_close(kv);
}

/* The two kinds agree on a long random history. */
static void both_kinds_agree(void **state)
{
    (void)state;
    struct random random = {7};
    struct kv *a = kv_open_memory();
    struct kv *b = open_rocksdb("agree");
    for (int i = 0; i < 300; i++) {
        struct kv_batch *batch = kv_batch_new();
        for (uint64_t n = random_below(&random, 20); n > 0; n--) {
            char key[16];
            char other[16];
            snprintf(key, sizeof key, "%03d", (int)random_below(&random, 200));
            snprintf(other, sizeof other, "%03d", (int)random_below(&random, 200));
            uint64_t what = random_below(&random, 20);
            if (what == 0 && strcmp(key, other) < 0) {
                kv_batch_delete_range(batch, slice_text(key), slice_text(other));
            } else if (what < 5) {
                kv_batch_delete(batch, slice_text(key));
            } else {
                kv_batch_put(batch, slice_text(key), slice_text(other));
            }
        }
        assert_int_equal(kv_write(a, batch), STATUS_OK);
        assert_int_equal(kv_write(b, batch), STATUS_OK);
        kv_batch_free(batch);
        if (i % 50 == 0) {
            assert_int_equal(kv_flush(b), STATUS_OK);
        }
    }
    struct kv_iterator *left = kv_iterate(a, slice_text("0"), slice_text("9"));
    struct kv_iterator *right = kv_iterate(b, slice_text("0"), slice_text("9"));
    struct slice keys[2];
    struct slice values[2];
    size_t count = 0;
    while (kv_iterator_next(left, &keys[0], &values[0])) {
        assert_true(kv_iterator_next(right, &keys[1], &values[1]));
        assert_true(slice_equals(keys[0], keys[1]) && slice_equals(values[0], values[1]));
        count++;
    }
    assert_false(kv_iterator_next(right, &keys[1], &values[1]));
    assert_true(count > 20);
    assert_int_equal(kv_iterator_close(left), STATUS_OK);
    assert_int_equal(kv_iterator_close(right), STATUS_OK);
    kv_close(a);
    kv_close(b);
}

static void rocksdb_keeps_what_was_flushed(void **state)
{
    (void)state;
    struct kv *kv = open_rocksdb("reopen");
    put(kv, "a", "1");
    assert_int_equal(kv_flush(kv), STATUS_OK);
    kv_close(kv);
    kv = open_rocksdb("reopen");
    assert_value(kv, "a", "1");
    kv_close(kv);
}

static void a_directory_in_use_is_told_apart(void **state)
{
    (void)state;
    struct kv *kv = open_rocksdb("locked");
    struct kv *second = NULL;
    char *error = NULL;
    char path[128];
    snprintf(path, sizeof path, "%s/locked", directory);
    assert_int_equal(kv_open_rocksdb(path, 1 << 20, &second, &error), STATUS_LOCKED);
    assert_non_null(error);
    free(error);
    kv_close(kv);
}

static void damage_is_told_apart(void **state)
{
    (void)state;
    kv_close(open_rocksdb("damaged"));
    char path[160];
    snprintf(path, sizeof path, "%s/damaged/CURRENT", directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("no manifest\n", file);
    fclose(file);
    struct kv *kv = NULL;
    char *error = NULL;
    snprintf(path, sizeof path, "%s/damaged", directory);
    assert_int_equal(kv_open_rocksdb(path, 1 << 20, &kv, &error), STATUS_CORRUPT);
    free(error);
}

static void a_path_that_cannot_be_is_an_io_error(void **state)
{
    (void)state;
    struct kv *kv = NULL;
    char *error = NULL;
    assert_int_equal(kv_open_rocksdb("/dev/null/store", 1 << 20, &kv, &error), STATUS_IO);
    assert_non_null(error);
    free(error);
}

static int directory_make(void **state)
{
    (void)state;
    return mkdtemp(directory) == NULL ? -1 : 0;
}

static int directory_remove(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_keeps_the_contract),
        cmocka_unit_test(rocksdb_keeps_the_contract),
        cmocka_unit_test(a_crash_forgets_what_was_not_flushed_and_only_that),
        cmocka_unit_test(both_kinds_agree),
        cmocka_unit_test(rocksdb_keeps_what_was_flushed),
        cmocka_unit_test(a_directory_in_use_is_told_apart),
        cmocka_unit_test(damage_is_told_apart),
        cmocka_unit_test(a_path_that_cannot_be_is_an_io_error),
    };
    return cmocka_run_group_tests_name("kv", tests, directory_make, directory_remove);
}
