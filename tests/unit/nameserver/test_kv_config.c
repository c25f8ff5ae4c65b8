/* kv_config: values survive in their file, and a file that cannot be written changes nothing. */
#include "tests/support/test.h"

#include "nameserver/kv_config.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define S(text) slice_text(text)

struct fixture {
    char directory[64];
    char path[128];
    struct kv_config *config;
};

static int setup(void **state)
{
    struct fixture *fixture = mem_zalloc(sizeof *fixture);
    snprintf(fixture->directory, sizeof fixture->directory, "/tmp/raftmq-kv-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    snprintf(fixture->path, sizeof fixture->path, "%s/kv.json", fixture->directory);
    assert_int_equal(kv_config_open(fixture->path, &fixture->config), STATUS_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    kv_config_free(fixture->config);
    unlink(fixture->path);
    rmdir(fixture->directory);
    free(fixture);
    return 0;
}

static void reopen(struct fixture *fixture)
{
    kv_config_free(fixture->config);
    assert_int_equal(kv_config_open(fixture->path, &fixture->config), STATUS_OK);
}

static void assert_value(struct fixture *fixture, const char *space, const char *key,
                         const char *expected)
{
    struct slice value;
    bool found = kv_config_get(fixture->config, S(space), S(key), &value);
    assert_int_equal(found, expected != NULL);
    if (found && !slice_equals_text(value, expected)) {
        fail_msg("\"%.*s\" is not \"%s\"", SLICE_ARGS(value), expected);
    }
}

static void values_survive_a_restart(void **state)
{
    struct fixture *fixture = *state;
    assert_value(fixture, "n", "k", NULL);
    assert_int_equal(kv_config_put(fixture->config, S("n"), S("k"), S("v")), STATUS_OK);
    assert_int_equal(kv_config_put(fixture->config, S("n"), S("k"), S("\"w\"\n")), STATUS_OK);
    assert_int_equal(kv_config_put(fixture->config, S("n"), S("empty"), S("")), STATUS_OK);
    assert_int_equal(kv_config_put(fixture->config, S("m"), S("k"), S("x")), STATUS_OK);
    reopen(fixture);
    assert_value(fixture, "n", "k", "\"w\"\n");
    assert_value(fixture, "n", "empty", "");
    assert_value(fixture, "m", "k", "x");
    struct buf out = {0};
    assert_true(kv_config_list(fixture->config, S("n"), &out));
    assert_string_equal(buf_text(&out), "{\"table\":{\"k\":\"\\\"w\\\"\\u000a\",\"empty\":\"\"}}");
    assert_false(kv_config_list(fixture->config, S("none"), &out));
    buf_close(&out);
}

static void deleted_values_stay_deleted(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(kv_config_put(fixture->config, S("n"), S("k"), S("v")), STATUS_OK);
    assert_int_equal(kv_config_delete(fixture->config, S("n"), S("k")), STATUS_OK);
    assert_int_equal(kv_config_delete(fixture->config, S("n"), S("k")), STATUS_OK);
    reopen(fixture);
    assert_value(fixture, "n", "k", NULL);
}

static void what_cannot_be_stored_is_not_kept(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(kv_config_put(fixture->config, S("n"), S("k"), S("old")), STATUS_OK);
    // A directory in the place of the file written aside: it cannot be made.
    char aside[160];
    snprintf(aside, sizeof aside, "%s.tmp", fixture->path);
    assert_int_equal(mkdir(aside, 0700), 0);
    assert_int_equal(kv_config_put(fixture->config, S("n"), S("k"), S("new")), STATUS_IO);
    assert_int_equal(kv_config_put(fixture->config, S("n"), S("other"), S("v")), STATUS_IO);
    assert_int_equal(kv_config_delete(fixture->config, S("n"), S("k")), STATUS_IO);
    assert_value(fixture, "n", "k", "old");
    assert_value(fixture, "n", "other", NULL);
    rmdir(aside);
    reopen(fixture);
    assert_value(fixture, "n", "k", "old");
}

static void sizes_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    char *large = mem_zalloc(KV_VALUE_SIZE_MAX + 1);
    memset(large, 'x', KV_VALUE_SIZE_MAX + 1);
    assert_int_equal(kv_config_put(fixture->config, S(""), S("k"), S("v")),
                     STATUS_INVALID_ARGUMENT);
    assert_int_equal(kv_config_put(fixture->config, S("n"), slice_of(large, 256), S("v")),
                     STATUS_INVALID_ARGUMENT);
    assert_int_equal(
        kv_config_put(fixture->config, S("n"), S("k"), slice_of(large, KV_VALUE_SIZE_MAX + 1)),
        STATUS_LIMIT);
    free(large);
}

/* JSON writes a control character as six: what is counted is what the file and an answer hold. */
static void sizes_are_counted_as_they_are_written(void **state)
{
    struct fixture *fixture = *state;
    char control[KV_VALUE_SIZE_MAX / 6 + 1];
    memset(control, 1, sizeof control);
    assert_int_equal(
        kv_config_put(fixture->config, S("n"), S("k"), slice_of(control, sizeof control)),
        STATUS_LIMIT);
    assert_int_equal(
        kv_config_put(fixture->config, S("n"), S("k"), slice_of(control, sizeof control - 1)),
        STATUS_OK);
    FILE *file = fopen(fixture->path, "w"); // All but full.
    assert_non_null(file);
    fputs("{\"configTable\":{\"n\":{\"k\":\"", file);
    for (size_t i = 0; i < (KV_TOTAL_SIZE_MAX - 1000) / 6; i++) {
        fputs("\\u0001", file);
    }
    fputs("\"}}}", file);
    fclose(file);
    reopen(fixture);
    struct slice large = slice_of(control, 200);
    assert_int_equal(kv_config_put(fixture->config, S("n"), S("l"), large), STATUS_LIMIT);
    assert_int_equal(kv_config_put(fixture->config, S("n"), large, S("v")), STATUS_LIMIT);
    assert_int_equal(kv_config_put(fixture->config, large, S("k"), S("v")), STATUS_LIMIT);
    assert_int_equal(kv_config_put(fixture->config, S("n"), S("l"), S("v")), STATUS_OK);
    struct buf out = {0};
    assert_true(kv_config_list(fixture->config, S("n"), &out));
    assert_true(out.size <= KV_TOTAL_SIZE_MAX);
    buf_close(&out);
    // What takes the place of another one needs no more room than it has itself.
    assert_int_equal(kv_config_put(fixture->config, S("n"), S("k"), large), STATUS_OK);
    assert_int_equal(kv_config_put(fixture->config, large, S("l"), large), STATUS_OK);
    assert_int_equal(kv_config_delete(fixture->config, large, S("l")), STATUS_OK);
}

/* It would be written as \u0000, which the reader of JSON refuses: no nameserver would start again.
 */
static void what_could_not_be_read_again_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct slice bad = slice_of("a\0b", 3);
    assert_int_equal(kv_config_put(fixture->config, S("n"), S("k"), S("v")), STATUS_OK);
    assert_int_equal(kv_config_put(fixture->config, S("n"), S("k"), bad), STATUS_INVALID_ARGUMENT);
    assert_int_equal(kv_config_put(fixture->config, S("n"), bad, S("v")), STATUS_INVALID_ARGUMENT);
    assert_int_equal(kv_config_put(fixture->config, bad, S("k"), S("v")), STATUS_INVALID_ARGUMENT);
    assert_value(fixture, "n", "k", "v");
    reopen(fixture);
    assert_value(fixture, "n", "k", "v");
}

static void a_damaged_file_is_not_overwritten(void **state)
{
    struct fixture *fixture = *state;
    struct kv_config *config = NULL;
    FILE *file = fopen(fixture->path, "w");
    assert_non_null(file);
    fputs("{\"configTable\":{", file);
    fclose(file);
    assert_int_equal(kv_config_open(fixture->path, &config), STATUS_CORRUPT);
    assert_null(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(values_survive_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(deleted_values_stay_deleted, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_stored_is_not_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes_are_bounded, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes_are_counted_as_they_are_written, setup, teardown),
        cmocka_unit_test_setup_teardown(what_could_not_be_read_again_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_file_is_not_overwritten, setup, teardown),
    };
    return cmocka_run_group_tests_name("kv_config", tests, NULL, NULL);
}
