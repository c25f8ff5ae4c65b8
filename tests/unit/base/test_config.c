/* config: declared keys, files, overrides and what is said about mistakes. */
#include "tests/support/test.h"

#include "common/base/config.h"

#include <stdio.h>
#include <unistd.h>

static const struct config_key keys[] = {
    {"brokerName", CONFIG_TEXT, "broker-a", 0, 0, "Name of the broker group."},
    {"maxMessageSize", CONFIG_INTEGER, "4194304", 1, 4194304, "Largest body, bytes."},
    {"autoCreateTopicEnable", CONFIG_BOOLEAN, "true", 0, 0, "Create topics on first use."},
};

/* A config that logs into a file of its own. */
struct fixture {
    struct log log;
    FILE *out;
    struct config *config;
};

static void fixture_open(struct fixture *fixture)
{
    fixture->out = tmpfile();
    assert_non_null(fixture->out);
    log_init(&fixture->log, fixture->out, LOG_DEBUG, "test");
    fixture->config = config_new(keys, 3, &fixture->log);
}

static void fixture_close(struct fixture *fixture)
{
    config_free(fixture->config);
    fclose(fixture->out);
}

static void assert_logged(struct fixture *fixture, const char *text)
{
    char line[4096] = "";
    ssize_t size = pread(fileno(fixture->out), line, sizeof line - 1, 0);
    assert_true(size >= 0);
    if (strstr(line, text) == NULL) {
        fail_msg("\"%s\" is not in what was logged: %s", text, line);
    }
}

static void assert_nothing_logged(struct fixture *fixture)
{
    char byte;
    assert_int_equal(pread(fileno(fixture->out), &byte, 1, 0), 0);
}

static enum status load(struct fixture *fixture, const char *text)
{
    return config_load_text(fixture->config, "broker.conf", slice_text(text));
}

static void values_begin_at_their_fallbacks(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    assert_string_equal(config_text(fixture.config, "brokerName"), "broker-a");
    assert_int_equal(config_integer(fixture.config, "maxMessageSize"), 4194304);
    assert_true(config_boolean(fixture.config, "autoCreateTopicEnable"));
    fixture_close(&fixture);
}

static void a_file_sets_values_among_comments_and_space(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    assert_int_equal(load(&fixture, "# comment\n! another\r\n\n  brokerName =  b 1 \r\n"
                                    "maxMessageSize=1\nautoCreateTopicEnable=false"),
                     STATUS_OK);
    assert_string_equal(config_text(fixture.config, "brokerName"), "b 1");
    assert_int_equal(config_integer(fixture.config, "maxMessageSize"), 1);
    assert_false(config_boolean(fixture.config, "autoCreateTopicEnable"));
    assert_nothing_logged(&fixture);
    fixture_close(&fixture);
}

static void an_unknown_key_is_a_warning_that_names_the_nearest(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    assert_int_equal(load(&fixture, "\nautoCreateTopicEnabled=false\nflushDiskType=SYNC_FLUSH\n"),
                     STATUS_OK);
    assert_logged(&fixture, "WARN");
    assert_logged(&fixture, "at=broker.conf:2 key=autoCreateTopicEnabled "
                            "did_you_mean=autoCreateTopicEnable");
    assert_logged(&fixture, "at=broker.conf:3 key=flushDiskType\n");
    assert_true(config_boolean(fixture.config, "autoCreateTopicEnable"));
    fixture_close(&fixture);
}

static void a_bad_value_names_place_key_and_what_is_allowed(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *logged;
    } cases[] = {
        {"maxMessageSize=4194305", "at=\"broker.conf:1\" key=maxMessageSize value=\"4194305\" "
                                   "allowed=\"a whole number from 1 to 4194304\""},
        {"maxMessageSize=4M", "value=\"4M\""},
        {"maxMessageSize=", "value=\"\""},
        {"autoCreateTopicEnable=yes", "allowed=\"true or false\""},
        {"brokerName=a\\", "allowed=\"text"},
        {"just a word", "not a key=value line"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture fixture;
        fixture_open(&fixture);
        assert_int_equal(load(&fixture, cases[i].line), STATUS_INVALID_ARGUMENT);
        assert_logged(&fixture, cases[i].logged);
        assert_int_equal(config_integer(fixture.config, "maxMessageSize"), 4194304);
        fixture_close(&fixture);
    }
}

static void every_bad_line_is_told_and_good_ones_hold(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    assert_int_equal(load(&fixture, "maxMessageSize=0\nbrokerName=b\nautoCreateTopicEnable=1\n"),
                     STATUS_INVALID_ARGUMENT);
    assert_logged(&fixture, "broker.conf:1");
    assert_logged(&fixture, "broker.conf:3");
    assert_string_equal(config_text(fixture.config, "brokerName"), "b");
    fixture_close(&fixture);
}

static void the_command_line_overrides_and_knows_no_unknown_keys(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    assert_int_equal(load(&fixture, "brokerName=file\n"), STATUS_OK);
    assert_int_equal(config_set(fixture.config, "brokerName=option"), STATUS_OK);
    assert_string_equal(config_text(fixture.config, "brokerName"), "option");
    assert_int_equal(config_set(fixture.config, "brokername=x"), STATUS_INVALID_ARGUMENT);
    assert_logged(&fixture, "did_you_mean=brokerName");
    assert_int_equal(config_set(fixture.config, "brokerName"), STATUS_INVALID_ARGUMENT);
    assert_string_equal(config_text(fixture.config, "brokerName"), "option");
    fixture_close(&fixture);
}

static void what_is_printed_reads_back_the_same(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    struct buf printed = {0};
    struct buf again = {0};
    assert_int_equal(load(&fixture, "brokerName=a\\\\b\\tc\\nd=e:f\n"), STATUS_OK);
    assert_string_equal(config_text(fixture.config, "brokerName"), "a\\b\tc\nd=e:f");
    config_print(fixture.config, &printed);
    assert_int_equal(config_set(fixture.config, "brokerName=other"), STATUS_OK);
    assert_int_equal(load(&fixture, buf_text(&printed)), STATUS_OK);
    config_print(fixture.config, &again);
    assert_string_equal(buf_text(&printed), buf_text(&again));
    assert_non_null(strstr(buf_text(&again), "maxMessageSize=4194304\n"));
    buf_close(&printed);
    buf_close(&again);
    fixture_close(&fixture);
}

static void a_missing_file_is_told(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture);
    assert_int_equal(config_load(fixture.config, "/nonexistent/broker.conf"), STATUS_IO);
    assert_logged(&fixture, "file=/nonexistent/broker.conf");
    fixture_close(&fixture);
}

static void the_help_page_tells_bounds_and_fallbacks(void **state)
{
    (void)state;
    struct fixture fixture;
    struct buf out = {0};
    fixture_open(&fixture);
    config_help(fixture.config, &out);
    assert_non_null(strstr(buf_text(&out), "maxMessageSize=4194304\n"));
    assert_non_null(strstr(buf_text(&out), "Largest body, bytes. (1 to 4194304)\n"));
    buf_close(&out);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_begin_at_their_fallbacks),
        cmocka_unit_test(a_file_sets_values_among_comments_and_space),
        cmocka_unit_test(an_unknown_key_is_a_warning_that_names_the_nearest),
        cmocka_unit_test(a_bad_value_names_place_key_and_what_is_allowed),
        cmocka_unit_test(every_bad_line_is_told_and_good_ones_hold),
        cmocka_unit_test(the_command_line_overrides_and_knows_no_unknown_keys),
        cmocka_unit_test(what_is_printed_reads_back_the_same),
        cmocka_unit_test(a_missing_file_is_told),
        cmocka_unit_test(the_help_page_tells_bounds_and_fallbacks),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
