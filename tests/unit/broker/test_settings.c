/* Settings: what is understood, and that every mistake is found at the start. */
#include "tests/support/test.h"

#include "broker/core/settings.h"

#include <stdio.h>
#include <string.h>

/* Load with overrides, the list ending with NULL. */
static enum status load(struct settings *settings, const char *const *overrides)
{
    struct log log;
    size_t count = 0;
    log_init(&log, stderr, LOG_SILENT, "test");
    while (overrides[count] != NULL) {
        count++;
    }
    return settings_load(settings, NULL, overrides, count, &log);
}

static const char three[] = "nodes=3@10.0.0.3:10911:20911;1@10.0.0.1:10911:20911;"
                            "2@10.0.0.2:10911:20911";

static void defaults_are_a_node_of_its_own(void **state)
{
    (void)state;
    struct settings settings;
    const char *const none[] = {NULL};
    assert_int_equal(load(&settings, none), STATUS_OK);
    assert_int_equal(settings.group_count, 1);
    assert_string_equal(settings.groups[0].name.text, "broker-a");
    assert_int_equal(settings.groups[0].member_count, 1);
    assert_int_equal(settings.groups[0].members[0].client_host.port, 10911);
    assert_int_equal(settings.groups[0].members[0].raft_host.port, 20911);
    assert_int_equal(settings.nameserver_count, 1);
    assert_true(settings.auto_create_topic);
    settings_close(&settings);
    settings_close(&settings); // Harmless.
}

static void messages_are_kept_three_days_unless_told_otherwise(void **state)
{
    (void)state;
    struct settings settings;
    const char *const none[] = {NULL};
    assert_int_equal(load(&settings, none), STATUS_OK);
    assert_int_equal(settings.retention_ms, 72 * 3600000);
    assert_int_equal(settings.log_size_max, 0);
    assert_int_equal(settings.disk_ratio_forced, 85);
    settings_close(&settings);
    const char *const hours[] = {"fileReservedTime=1", "cleanFileForciblyEnable=false",
                                 "logSizeMax=1000000000000", "deleteWhen=04;05", NULL};
    assert_int_equal(load(&settings, hours), STATUS_OK);
    assert_int_equal(settings.retention_ms, 3600000);
    assert_int_equal(settings.log_size_max, 1000000000000);
    assert_int_equal(settings.disk_ratio_forced, 0);
    settings_close(&settings);
    const char *const ms[] = {"fileReservedTime=1", "fileReservedTimeMs=1500", NULL};
    assert_int_equal(load(&settings, ms), STATUS_OK);
    assert_int_equal(settings.retention_ms, 1500);
    settings_close(&settings);
    const char *const never[] = {"fileReservedTime=0", NULL};
    assert_int_equal(load(&settings, never), STATUS_OK);
    assert_int_equal(settings.retention_ms, 0);
    settings_close(&settings);
}

static void readers_stay_at_the_leader_unless_told_otherwise(void **state)
{
    (void)state;
    struct settings settings;
    const char *const none[] = {NULL};
    assert_int_equal(load(&settings, none), STATUS_OK);
    assert_false(settings.slave_read);
    assert_int_equal(settings.lag_ratio, 40);
    assert_int_equal(settings.lag_size, 0);
    assert_int_equal(settings.memory_size, 0);
    settings_close(&settings);
    const char *const given[] = {"slaveReadEnable=true", "accessMessageInMemoryMaxRatio=75",
                                 "slaveReadLagSize=12345", NULL};
    assert_int_equal(load(&settings, given), STATUS_OK);
    assert_true(settings.slave_read);
    assert_int_equal(settings.lag_ratio, 75);
    assert_int_equal(settings.lag_size, 12345);
    settings_close(&settings);
    const char *const nothing[] = {"accessMessageInMemoryMaxRatio=0", NULL};
    assert_int_equal(load(&settings, nothing), STATUS_INVALID_ARGUMENT);
    const char *const more[] = {"accessMessageInMemoryMaxRatio=101", NULL};
    assert_int_equal(load(&settings, more), STATUS_INVALID_ARGUMENT);
}

static void delay_levels_are_rocketmqs_unless_told_otherwise(void **state)
{
    (void)state;
    struct settings settings;
    const char *const none[] = {NULL};
    assert_int_equal(load(&settings, none), STATUS_OK);
    const struct delay_levels *levels = &settings.delay_levels;
    assert_int_equal(levels->count, 18);
    assert_int_equal(delay_level_ms(levels, 1), 1000);
    assert_int_equal(delay_level_ms(levels, 4), 30000);
    assert_int_equal(delay_level_ms(levels, 18), 7200000);
    assert_int_equal(delay_level_ms(levels, INT64_MAX), 7200000);
    assert_true(settings.timers_enabled);
    assert_int_equal(settings.timer_delay_max_ms, 259200000);
    settings_close(&settings);
    const char *const own[] = {"messageDelayLevel= 2d  90s 366d", "timerWheelEnable=false",
                               "timerMaxDelaySec=60", NULL};
    assert_int_equal(load(&settings, own), STATUS_OK);
    assert_int_equal(levels->count, 3);
    assert_int_equal(delay_level_ms(levels, 1), 172800000);
    assert_int_equal(delay_level_ms(levels, 2), 90000);
    assert_false(settings.timers_enabled);
    assert_int_equal(settings.timer_delay_max_ms, 60000);
    settings_close(&settings);
    static const char *const bad[] = {
        "", " ", "1", "s", "1x", "0s", "-1s", "1s,2s", "1.5s", "367d", "9223372036854775807d"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "messageDelayLevel=%s", bad[i]);
        const char *const overrides[] = {text, NULL};
        assert_int_equal(load(&settings, overrides), STATUS_INVALID_ARGUMENT);
    }
    char many[32 + 3 * (DELAY_LEVELS_MAX + 1)] = "messageDelayLevel=";
    size_t size = strlen(many);
    for (int i = 0; i < DELAY_LEVELS_MAX; i++, size += 3) {
        memcpy(many + size, "1s ", 4);
    }
    const char *const full[] = {many, NULL};
    assert_int_equal(load(&settings, full), STATUS_OK);
    assert_int_equal(levels->count, DELAY_LEVELS_MAX);
    settings_close(&settings);
    memcpy(many + size, "1s", 3);
    assert_int_equal(load(&settings, full), STATUS_INVALID_ARGUMENT);
}

static void groups_step_through_ports_and_preferred_nodes(void **state)
{
    (void)state;
    struct settings settings;
    const char *const overrides[] = {three, "nodeId=2", "groups=a;b@1,3;c;d@3,2", "portStep=7",
                                     NULL};
    assert_int_equal(load(&settings, overrides), STATUS_OK);
    // b has no replica here, but its number is used up: ports agree on all nodes.
    assert_int_equal(settings.group_count, 3);
    const struct group_settings *a = &settings.groups[0];
    const struct group_settings *c = &settings.groups[1];
    const struct group_settings *d = &settings.groups[2];
    assert_string_equal(c->name.text, "c");
    assert_int_equal(a->members[1].client_host.port, 10911);
    assert_int_equal(c->members[1].client_host.port, 10911 + 14);
    assert_int_equal(c->members[1].raft_host.port, 20911 + 14);
    assert_int_equal(d->members[0].client_host.port, 10911 + 21);
    // Members ascend by id, whatever the order of `nodes`.
    for (uint64_t id = 1; id <= 3; id++) {
        assert_int_equal(a->members[id - 1].id, id);
    }
    assert_int_equal(a->preferred_id, 1);
    assert_int_equal(c->preferred_id, 3);
    assert_int_equal(d->preferred_id, 3); // The fourth group, of nodes 2 and 3.
    assert_int_equal(d->member_count, 2);
    assert_non_null(group_settings_member(d, 3));
    assert_null(group_settings_member(d, 1));
    settings_close(&settings);
}

/* "room@name": clients that share out queues by machine room read it from the broker's name. */
static void a_group_may_begin_with_its_machine_room(void **state)
{
    (void)state;
    struct settings settings;
    const char *const overrides[] = {three, "nodeId=3", "groups=east@a;west@b@2,3;east@c1@3;a",
                                     NULL};
    assert_int_equal(load(&settings, overrides), STATUS_OK);
    static const char *const names[] = {"east@a", "west@b", "east@c1", "a"};
    static const size_t members[] = {3, 2, 1, 3};
    assert_int_equal(settings.group_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(settings.groups[i].name.text, names[i]);
        assert_int_equal(settings.groups[i].member_count, members[i]);
    }
    settings_close(&settings);
}

static void every_mistake_is_refused(void **state)
{
    (void)state;
    static const char *const mistakes[] = {
        "nodes=1",
        "nodes=@10.0.0.1:1:2",
        "nodes=x@10.0.0.1:1:2",
        "nodes=0@10.0.0.1:1:2",
        "nodes=256@10.0.0.1:1:2",
        "nodes=1@10.0.0.1",
        "nodes=1@10.0.0.1:10911",
        "nodes=1@10.0.0.1:10911:0",
        "nodes=1@10.0.0.1:0:20911",
        "nodes=1@10.0.0.1:10911:65536",
        "nodes=1@10.0.0.1:10911:x",
        "nodes=1@10.0.0:10911:20911",
        "nodes=1@host:10911:20911",
        "nodes=1@10.0.0.1:10911:20911;1@10.0.0.2:10911:20911", // An id twice.
        "nodes=1@10.0.0.1:10911:20911;2@10.0.0.1:10911:20912", // A port twice.
        "nodes=1@10.0.0.1:10911:10911",
        "nodes=1@10.0.0.1:65535:20911;2@10.0.0.2:10911:20911", // No port is left for a second
                                                               // group.
        "nodes=2@10.0.0.2:10911:20911",                        // This node is not among them.
        "nodes=",
        "nodes=1@1.1.1.1:1:2;2@1.1.1.2:1:2;3@1.1.1.3:1:2;4@1.1.1.4:1:2;5@1.1.1.5:1:2;"
        "6@1.1.1.6:1:2;7@1.1.1.7:1:2;8@1.1.1.8:1:2;9@1.1.1.9:1:2;10@1.1.1.10:1:2",
        "groups=",
        "groups=a b",
        "groups=../etc",
        "groups=a@7",
        "groups=a@1,7", // Unknown nodes beside known ones.
        "groups=a@1,x",
        "groups=a@",
        "groups=@a",
        "groups=@1",
        "groups=x@y@a",
        "groups=x@a@7", // No such node.
        "groups=x@a b",
        "groups=x@..",
        "groups=a;a", // Two replicas of one name would share a directory.
        "namesrvAddr=10.0.0.1",
        "namesrvAddr=name:9876",
        "brokerClusterName=",
        "brokerClusterName=a b",
        "storePathRootDir=",
        "logLevel=loud",
        "raftHeartbeatMs=100",
        "electionTimeoutMs=50",
        "copyBytesPerSecond=100000",
        "maxMessageSize=4194305",
        "maxMessageSize=x",
        "nodeId=0",
        "autoCreateTopicEnable=maybe",
        "noSuchKey=1",
        "nodeId",
        "listenAddress=localhost",
    };
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        struct settings settings;
        const char *const overrides[] = {"groups=a;b", mistakes[i], NULL};
        enum status status = load(&settings, overrides);
        if (status != STATUS_INVALID_ARGUMENT) {
            fail_msg("%s: %s", mistakes[i], status_name(status));
        }
        settings_close(&settings);
    }
}

static void values_too_long_for_their_place_are_refused(void **state)
{
    (void)state;
    const char *const keys[] = {"storePathRootDir", "regionId", "listenAddress",
                                "brokerClusterName", "groups"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct settings settings;
        char text[400];
        snprintf(text, sizeof text, "%s=%0300d", keys[i], 1);
        const char *const overrides[] = {text, NULL};
        assert_int_equal(load(&settings, overrides), STATUS_INVALID_ARGUMENT);
    }
}

static void too_many_nameservers_or_groups_are_refused(void **state)
{
    (void)state;
    struct settings settings;
    struct buf servers = {0};
    struct buf groups = {0};
    buf_put_text(&servers, "namesrvAddr=");
    for (int i = 0; i <= NAMESERVERS_MAX; i++) {
        buf_printf(&servers, "10.0.0.%d:9876;", i + 1);
    }
    buf_put_text(&groups, "groups=");
    for (int i = 0; i <= GROUPS_PER_NODE_MAX; i++) {
        buf_printf(&groups, "g%d;", i);
    }
    const char *const many_servers[] = {buf_text(&servers), NULL};
    const char *const many_groups[] = {buf_text(&groups), NULL};
    assert_int_equal(load(&settings, many_servers), STATUS_INVALID_ARGUMENT);
    assert_int_equal(load(&settings, many_groups), STATUS_INVALID_ARGUMENT);
    buf_close(&servers);
    buf_close(&groups);
}

static void the_file_is_read_first_and_overridden(void **state)
{
    (void)state;
    struct settings settings;
    struct log log;
    log_init(&log, stderr, LOG_SILENT, "test");
    const char path[] = "test_settings.conf";
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("# a comment\nnodeId = 1\nmaxMessageSize=2048\ntraceOn=false\n", file);
    fclose(file);
    const char *const overrides[] = {"maxMessageSize=4096"};
    assert_int_equal(settings_load(&settings, path, overrides, 1, &log), STATUS_OK);
    assert_int_equal(settings.message_body_max, 4096);
    assert_false(settings.trace_on);
    struct buf text = {0};
    settings_print(&settings, &text);
    assert_non_null(strstr(buf_text(&text), "maxMessageSize=4096\n"));
    buf_clear(&text);
    settings_help(&text);
    assert_non_null(strstr(buf_text(&text), "transactionCheckMax"));
    buf_close(&text);
    settings_close(&settings);
    remove(path);
    assert_int_equal(settings_load(&settings, path, NULL, 0, &log), STATUS_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_a_node_of_its_own),
        cmocka_unit_test(messages_are_kept_three_days_unless_told_otherwise),
        cmocka_unit_test(readers_stay_at_the_leader_unless_told_otherwise),
        cmocka_unit_test(delay_levels_are_rocketmqs_unless_told_otherwise),
        cmocka_unit_test(groups_step_through_ports_and_preferred_nodes),
        cmocka_unit_test(a_group_may_begin_with_its_machine_room),
        cmocka_unit_test(every_mistake_is_refused),
        cmocka_unit_test(values_too_long_for_their_place_are_refused),
        cmocka_unit_test(too_many_nameservers_or_groups_are_refused),
        cmocka_unit_test(the_file_is_read_first_and_overridden),
    };
    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
