/* kv: both kinds keep the same contract; and what only one of them can do. */
#include "tests/support/test.h"

#include "common/base/random.h"
#include "common/store/kv.h"

#include <stdio.h>
#include <unistd.h>

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

static void append(struct kv *kv, const char *key, size_t at, const char *bytes)
{
    struct kv_batch *batch = kv_batch_new();
    kv_batch_append(batch, slice_text(key), at, slice_text(bytes));
    assert_int_equal(kv_write(kv, batch), STATUS_OK);
    kv_batch_free(batch);
}

/* A value may grow by what is new of it, in one file of the store or across several. */
static void appends_make_one_value(struct kv *kv)
{
    put(kv, "g", "one");
    append(kv, "g", 3, " two");
    assert_value(kv, "g", "one two");
    assert_int_equal(kv_flush(kv), STATUS_OK);
    append(kv, "g", 7, " three");
    append(kv, "g", 13, " four");
    assert_value(kv, "g", "one two three four");
    assert_walk(kv, "g", "h", "g=one two three four ");
    assert_int_equal(kv_flush(kv), STATUS_OK);
    append(kv, "g", 13, " four"); // Once more is once.
    assert_value(kv, "g", "one two three four");
    append(kv, "g", 4, "and out");
    assert_value(kv, "g", "one and out");
    append(kv, "gg", 0, "from nothing");
    assert_walk(kv, "g", "h", "g=one and out gg=from nothing ");

    struct kv_batch *batch = kv_batch_new();
    kv_batch_delete_range(batch, slice_text("a"), slice_text("z"));
    kv_batch_append(batch, slice_text("gg"), 0, slice_text("ab"));
    kv_batch_append(batch, slice_text("gg"), 2, slice_text("cd"));
    assert_int_equal(kv_write(kv, batch), STATUS_OK);
    assert_int_equal(kv_write(kv, batch), STATUS_OK);
    kv_batch_free(batch);
    assert_walk(kv, "a", "z", "gg=abcd ");
}

static void memory_keeps_the_contract(void **state)
{
    (void)state;
    struct kv *kv = kv_open_memory();
    contract(kv);
    appends_make_one_value(kv);
    kv_close(kv);
}

static void rocksdb_keeps_the_contract(void **state)
{
    (void)state;
    struct kv *kv = open_rocksdb("contract");
    contract(kv);
    appends_make_one_value(kv);
    kv_close(kv);
}

static void a_crash_forgets_what_was_not_flushed_and_only_that(void **state)
{
    (void)state;
    struct kv *kv = kv_open_memory();
    put(kv, "kept", "1");
    put(kv, "changed", "before");
    put(kv, "deleted", "still here");
    put(kv, "grown", "a");
    assert_int_equal(kv_flush(kv), STATUS_OK);
    put(kv, "changed", "once");
    put(kv, "changed", "twice");
    put(kv, "new", "1");
    append(kv, "grown", 1, "b");
    assert_value(kv, "grown", "ab");
    struct kv_batch *batch = kv_batch_new();
    kv_batch_delete_range(batch, slice_text("d"), slice_text("z"));
    assert_int_equal(kv_write(kv, batch), STATUS_OK);
    kv_batch_free(batch);
    assert_walk(kv, "a", "z", "changed=twice ");
    kv_memory_crash(kv);
    assert_walk(kv, "a", "z", "changed=before deleted=still here grown=a kept=1 ");
    kv_memory_crash(kv);
    assert_walk(kv, "a", "z", "changed=before deleted=still here grown=a kept=1 ");
    kv_close(kv);
}

enum { KEYS = 200, VALUE_MAX = 40 };

/* sizes: of the values of all keys, when this is done. */
static void random_change(struct random *random, struct kv_batch *batch, size_t *sizes)
{
    char key[16];
    char other[16];
    size_t at = random_below(random, KEYS);
    size_t to = random_below(random, KEYS);
    uint64_t what = random_below(random, 20);
    snprintf(key, sizeof key, "%03zu", at);
    snprintf(other, sizeof other, "%03zu", to);
    if (what == 0 && at < to) {
        kv_batch_delete_range(batch, slice_text(key), slice_text(other));
        memset(sizes + at, 0, (to - at) * sizeof *sizes);
    } else if (what < 4) {
        kv_batch_delete(batch, slice_text(key));
        sizes[at] = 0;
    } else if (what < 16) {
        bool on = sizes[at] < VALUE_MAX && random_below(random, 4) > 0;
        size_t keep = on ? sizes[at] : random_below(random, sizes[at] + 1);
        kv_batch_append(batch, slice_text(key), keep, slice_text(other));
        sizes[at] = keep + strlen(other);
    } else {
        kv_batch_put(batch, slice_text(key), slice_text(other));
        sizes[at] = strlen(other);
    }
}

/* The two kinds agree on a long random history. */
static void both_kinds_agree(void **state)
{
    (void)state;
    struct random random = {7};
    struct kv *a = kv_open_memory();
    struct kv *b = open_rocksdb("agree");
    size_t sizes[KEYS] = {0};
    for (int i = 0; i < 300; i++) {
        struct kv_batch *batch = kv_batch_new();
        for (uint64_t n = random_below(&random, 20); n > 0; n--) {
            random_change(&random, batch, sizes);
        }
        assert_int_equal(kv_write(a, batch), STATUS_OK);
        assert_int_equal(kv_write(b, batch), STATUS_OK);
        kv_batch_free(batch);
        if (i % 10 == 0) {
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

/* Read or replace a small file. */
static size_t file_bytes(const char *path, const char *mode, char *bytes, size_t size)
{
    FILE *file = fopen(path, mode);
    assert_non_null(file);
    size = mode[0] == 'r' ? fread(bytes, 1, size, file) : fwrite(bytes, 1, size, file);
    fclose(file);
    return size;
}

/* Whichever bit of them flips: RocksDB may not care, but else it is damage, and not an error of the
 * disk that a person has to look at. */
static void damage_of_the_files_that_it_begins_with_is_told_apart(void **state)
{
    (void)state;
    char store[64];
    char path[320];
    char bytes[4096];
    char name[64];
    snprintf(store, sizeof store, "%s/flipped", directory);
    struct kv *kv = open_rocksdb("flipped");
    put(kv, "a", "1");
    assert_int_equal(kv_flush(kv), STATUS_OK);
    kv_close(kv);
    snprintf(path, sizeof path, "%s/CURRENT", store);
    size_t size = file_bytes(path, "r", name, sizeof name);
    unsigned damaged = 0;
    for (size_t at = 0; at < size; at++) {
        name[at] ^= 4;
        file_bytes(path, "w", name, size);
        name[at] ^= 4;
        char *error = NULL;
        enum status status = kv_open_rocksdb(store, 1 << 20, &kv, &error);
        assert_int_equal(status, STATUS_CORRUPT);
        free(error);
    }
    file_bytes(path, "w", name, size);
    snprintf(path, sizeof path, "%s/%.*s", store, (int)size - 1, name);
    size = file_bytes(path, "r", bytes, sizeof bytes);
    for (size_t at = 0; at < size; at += 7) {
        bytes[at] ^= 4;
        file_bytes(path, "w", bytes, size);
        bytes[at] ^= 4;
        char *error = NULL;
        enum status status = kv_open_rocksdb(store, 1 << 20, &kv, &error);
        assert_true(status == STATUS_OK || status == STATUS_CORRUPT);
        damaged += status == STATUS_CORRUPT;
        free(error);
        if (status == STATUS_OK) {
            kv_close(kv); // It has replaced the file.
            break;
        }
    }
    assert_true(damaged > 0);
}

static void an_append_behind_the_end_is_damage(void **state)
{
    (void)state;
    struct kv *kv = open_rocksdb("behind");
    struct buf out = {0};
    put(kv, "a", "1");
    append(kv, "a", 2, "3");
    append(kv, "a", 3, "4");
    assert_int_equal(kv_get(kv, slice_text("a"), &out), STATUS_CORRUPT);
    struct kv_iterator *iterator = kv_iterate(kv, slice_text("a"), slice_text("b"));
    struct slice key;
    struct slice value;
    assert_false(kv_iterator_next(iterator, &key, &value));
    assert_int_equal(kv_iterator_close(iterator), STATUS_CORRUPT);
    buf_close(&out);
    kv_close(kv);
}

static void damage_once_found_stays_known(void **state)
{
    (void)state;
    struct kv *kv = kv_open_memory();
    struct buf out = {0};
    put(kv, "a", "1");
    assert_int_equal(kv_get(kv, slice_text("b"), &out), STATUS_NOT_FOUND);
    assert_false(kv_damaged(kv));
    struct kv_iterator *frozen = kv_iterate_frozen(kv, slice_text("a"), slice_text("b"));
    kv_memory_rot(kv);
    assert_false(kv_damaged(kv)); // Nobody has looked.
    assert_int_equal(kv_iterator_close(frozen), STATUS_CORRUPT);
    assert_true(kv_damaged(kv));
    struct kv_batch *batch = kv_batch_new();
    assert_int_equal(kv_get(kv, slice_text("a"), &out), STATUS_CORRUPT);
    assert_int_equal(kv_write(kv, batch), STATUS_CORRUPT);
    assert_int_equal(kv_flush(kv), STATUS_CORRUPT);
    kv_batch_free(batch);
    assert_int_equal(out.size, 0);
    kv_close(kv);
}

/* An owner who can build it again never wants to see it again; any other makes do with it. */
static void a_condemned_store_does_not_open_again(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/condemned", directory);
    enum { NEVER, BEFORE, AFTER };
    for (int condemns = NEVER; condemns <= AFTER; condemns++) {
        struct kv *kv = open_rocksdb("condemned");
        if (condemns == BEFORE) {
            kv_condemn_on_damage(kv);
        }
        kv_note_damage(kv);
        assert_true(kv_damaged(kv));
        if (condemns == AFTER) {
            kv_condemn_on_damage(kv);
        }
        kv_close(kv);
        char *error = NULL;
        enum status status = kv_open_rocksdb(path, 1 << 20, &kv, &error);
        assert_int_equal(status, condemns == NEVER ? STATUS_OK : STATUS_CORRUPT);
        if (status == STATUS_OK) {
            assert_false(kv_damaged(kv));
            kv_close(kv);
        } else {
            assert_string_equal(error, "damage was found in it");
            free(error);
            snprintf(path, sizeof path, "%s/condemned/CONDEMNED", directory);
            assert_int_equal(unlink(path), 0);
            snprintf(path, sizeof path, "%s/condemned", directory);
        }
    }
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
        cmocka_unit_test(damage_of_the_files_that_it_begins_with_is_told_apart),
        cmocka_unit_test(an_append_behind_the_end_is_damage),
        cmocka_unit_test(damage_once_found_stays_known),
        cmocka_unit_test(a_condemned_store_does_not_open_again),
        cmocka_unit_test(a_path_that_cannot_be_is_an_io_error),
    };
    return cmocka_run_group_tests_name("kv", tests, directory_make, directory_remove);
}
