/* route_table: registrations, leases, terms and what is answered. Time is a number here. */
#include "tests/support/test.h"

#include "nameserver/route_table.h"

#include <stdio.h>

#define S(text) slice_text(text)

static const struct topic_config two_topics[] = {
    {.name = {(const uint8_t *)"T", 1}, .read_queues = 8, .write_queues = 8, .perm = 6},
    {.name = {(const uint8_t *)"TBW102", 6}, .read_queues = 4, .write_queues = 4, .perm = 7},
};

static struct registration of(const char *broker, const char *address, int64_t id, int64_t term)
{
    return (struct registration){
        .cluster = S("C1"),
        .broker = S(broker),
        .address = S(address),
        .id = id,
        .owner = 1,
        .topics = {{term, 1700000000000, 1}, 2, two_topics},
    };
}

static enum status register_as(struct route_table *table, const char *broker, const char *address,
                               int64_t id, int64_t term, uint64_t now_ms)
{
    struct registration registration = of(broker, address, id, term);
    return route_table_register(table, &registration, now_ms);
}

static void assert_master(struct route_table *table, const char *broker, const char *address)
{
    struct slice found = {0};
    struct slice ha;
    bool has = route_table_master(table, S(broker), &found, &ha);
    if (has != (address != NULL) || (has && !slice_equals(found, S(address)))) {
        fail_msg("%s is at \"%.*s\", not %s", broker, SLICE_ARGS(found),
                 address == NULL ? "nowhere" : address);
    }
}

static void assert_route(struct route_table *table, const char *topic, const char *expected)
{
    struct slice encoded;
    bool found = route_table_route(table, S(topic), (struct slice){0}, &encoded);
    if (expected == NULL) {
        assert_false(found);
        return;
    }
    assert_true(found);
    if (!slice_equals_text(encoded, expected)) {
        fail_msg("%.*s", SLICE_ARGS(encoded));
    }
}

static bool contains(struct slice text, const char *part)
{
    return memmem(text.data, text.size, part, strlen(part)) != NULL;
}

static void a_route_lists_brokers_by_name_and_addresses_by_id(void **state)
{
    (void)state;
    struct route_table *table = route_table_new();
    assert_route(table, "T", NULL);
    assert_int_equal(register_as(table, "b", "10.0.0.2:1", 0, 1, 0), STATUS_OK);
    assert_int_equal(register_as(table, "a", "10.0.0.9:1", 2, 1, 0), STATUS_OK);
    assert_int_equal(register_as(table, "a", "10.0.0.1:1", 0, 1, 0), STATUS_OK);
    assert_int_equal(register_as(table, "a", "10.0.0.8:1", 1, 1, 0), STATUS_OK);
    assert_route(table, "T",
                 "{\"brokerDatas\":[{\"brokerAddrs\":{\"0\":\"10.0.0.1:1\",\"1\":\"10.0.0.8:1\","
                 "\"2\":\"10.0.0.9:1\"},\"brokerName\":\"a\",\"cluster\":\"C1\","
                 "\"enableActingMaster\":false},{\"brokerAddrs\":{\"0\":\"10.0.0.2:1\"},"
                 "\"brokerName\":\"b\",\"cluster\":\"C1\",\"enableActingMaster\":false}],"
                 "\"filterServerTable\":{},\"queueDatas\":[{\"brokerName\":\"a\",\"perm\":6,"
                 "\"readQueueNums\":8,\"topicSynFlag\":0,\"topicSysFlag\":0,"
                 "\"writeQueueNums\":8},{\"brokerName\":\"b\",\"perm\":6,\"readQueueNums\":8,"
                 "\"topicSynFlag\":0,\"topicSysFlag\":0,\"writeQueueNums\":8}]}");
    assert_int_equal(route_table_broker_count(table), 2);
    assert_int_equal(route_table_topic_count(table), 2);
    route_table_free(table);
}

static void followers_bring_no_topics(void **state)
{
    (void)state;
    struct route_table *table = route_table_new();
    assert_int_equal(register_as(table, "a", "10.0.0.1:1", 1, 1, 0), STATUS_OK);
    assert_route(table, "T", NULL);
    assert_int_equal(route_table_topic_count(table), 0);
    assert_master(table, "a", NULL);
    route_table_free(table);
}

static void a_newer_term_takes_over_at_once_and_the_deposed_is_refused(void **state)
{
    (void)state;
    struct route_table *table = route_table_new();
    assert_int_equal(register_as(table, "a", "10.0.0.1:1", 0, 5, 0), STATUS_OK);
    assert_int_equal(register_as(table, "a", "10.0.0.2:1", 1, 5, 0), STATUS_OK);
    assert_int_equal(register_as(table, "a", "10.0.0.2:1", 0, 6, 10), STATUS_OK);
    assert_master(table, "a", "10.0.0.2:1");
    struct slice route;
    assert_true(route_table_route(table, S("T"), (struct slice){0}, &route));
    assert_true(contains(route, "{\"0\":\"10.0.0.2:1\"}")); // And nobody else.
    assert_int_equal(register_as(table, "a", "10.0.0.1:1", 0, 5, 20), STATUS_STALE);
    assert_master(table, "a", "10.0.0.2:1");
    // It may come back as a follower.
    assert_int_equal(register_as(table, "a", "10.0.0.1:1", 1, 6, 30), STATUS_OK);
    assert_master(table, "a", "10.0.0.2:1");
    route_table_free(table);
}

/* Where RocketMQ gives the route to anybody: the holder is gone, yet its term is remembered. */
static void a_deposed_leader_cannot_win_a_lapsed_route_back(void **state)
{
    (void)state;
    struct route_table *table = route_table_new();
    assert_int_equal(register_as(table, "a", "10.0.0.1:1", 0, 5, 0), STATUS_OK);
    assert_int_equal(register_as(table, "a", "10.0.0.2:1", 0, 6, 10), STATUS_OK);
    route_table_disconnect(table, 1);
    assert_route(table, "T", NULL);
    assert_int_equal(route_table_topic_count(table), 0);
    assert_int_equal(register_as(table, "a", "10.0.0.1:1", 0, 5, 20), STATUS_STALE);
    assert_route(table, "T", NULL);
    assert_int_equal(register_as(table, "a", "10.0.0.1:1", 0, 6, 30), STATUS_OK);
    assert_master(table, "a", "10.0.0.1:1");
    route_table_free(table);
}

static void a_broker_name_is_forgotten_at_last(void **state)
{
    (void)state;
    struct route_table *table = route_table_new();
    assert_int_equal(register_as(table, "a", "10.0.0.1:1", 0, 9, 0), STATUS_OK);
    route_table_unregister(table, S("a"), S("10.0.0.1:1"), 0);
    route_table_expire(table, BROKER_MEMORY_MS - 1);
    assert_int_equal(register_as(table, "a", "10.0.0.1:1", 0, 1, BROKER_MEMORY_MS - 1),
                     STATUS_STALE);
    route_table_expire(table, BROKER_MEMORY_MS);
    assert_int_equal(register_as(table, "a", "10.0.0.1:1", 0, 1, BROKER_MEMORY_MS), STATUS_OK);
    route_table_free(table);
}

static void a_lease_lapses_unless_renewed(void **state)
{
    (void)state;
    struct route_table *table = route_table_new();
    struct registration registration = of("a", "10.0.0.1:1", 0, 1);
    registration.lease_ms = 1000;
    assert_int_equal(route_table_register(table, &registration, 0), STATUS_OK);
    route_table_expire(table, 999);
    assert_master(table, "a", "10.0.0.1:1");
    assert_true(route_table_renew(table, S("10.0.0.1:1"), 0, 999));
    route_table_expire(table, 1998);
    assert_master(table, "a", "10.0.0.1:1");
    route_table_expire(table, 1999);
    assert_master(table, "a", NULL);
    assert_false(route_table_renew(table, S("10.0.0.1:1"), 0, 2000));
    // The default is RocketMQ's two minutes.
    assert_int_equal(register_as(table, "a", "10.0.0.1:1", 0, 1, 5000), STATUS_OK);
    route_table_expire(table, 5000 + LEASE_DEFAULT_MS - 1);
    assert_master(table, "a", "10.0.0.1:1");
    route_table_expire(table, 5000 + LEASE_DEFAULT_MS);
    assert_master(table, "a", NULL);
    route_table_free(table);
}

static void only_the_last_connection_of_an_address_takes_it_away(void **state)
{
    (void)state;
    struct route_table *table = route_table_new();
    struct registration registration = of("a", "10.0.0.1:1", 0, 1);
    assert_int_equal(route_table_register(table, &registration, 0), STATUS_OK);
    registration.owner = 2; // The broker has reconnected; the old close comes late.
    assert_int_equal(route_table_register(table, &registration, 0), STATUS_OK);
    route_table_disconnect(table, 1);
    assert_master(table, "a", "10.0.0.1:1");
    route_table_disconnect(table, 2);
    assert_master(table, "a", NULL);
    route_table_free(table);
}

static void an_address_has_one_role(void **state)
{
    (void)state;
    struct route_table *table = route_table_new();
    struct buf out = {0};
    assert_int_equal(register_as(table, "a", "10.0.0.1:1", 0, 1, 0), STATUS_OK);
    assert_int_equal(register_as(table, "a", "10.0.0.1:1", 2, 1, 0), STATUS_OK);
    route_table_members(table, S("C1"), S("a"), &out);
    assert_string_equal(buf_text(&out),
                        "{\"brokerMemberGroup\":{\"brokerAddrs\":{\"2\":\"10.0.0.1:1\"},"
                        "\"brokerName\":\"a\",\"cluster\":\"C1\"}}");
    assert_int_equal(register_as(table, "b", "10.0.0.1:1", 0, 1, 0), STATUS_OK);
    assert_int_equal(route_table_broker_count(table), 1);
    assert_master(table, "b", "10.0.0.1:1");
    buf_clear(&out);
    route_table_members(table, S("C1"), S("a"), &out);
    assert_string_equal(buf_text(&out), "{}");
    buf_close(&out);
    route_table_free(table);
}

/* Its topics would point at a broker that is forgotten later. */
static void an_address_that_moves_away_takes_its_last_topics_along(void **state)
{
    (void)state;
    struct route_table *table = route_table_new();
    struct registration moved = of("b", "10.0.0.1:1", 0, 1);
    assert_int_equal(register_as(table, "a", "10.0.0.1:1", 0, 1, 0), STATUS_OK);
    assert_int_equal(register_as(table, "a", "10.0.0.2:1", 1, 1, 0), STATUS_OK);
    moved.lease_ms = LEASE_MAX_MS;
    moved.topics.count = 0;
    assert_int_equal(route_table_register(table, &moved, 0), STATUS_OK);
    assert_int_equal(route_table_topic_count(table), 2); // Another replica serves them still.
    moved.address = S("10.0.0.2:1");
    assert_int_equal(route_table_register(table, &moved, 0), STATUS_OK);
    assert_int_equal(route_table_topic_count(table), 0);
    route_table_expire(table, BROKER_MEMORY_MS);
    assert_int_equal(route_table_broker_count(table), 1);
    assert_route(table, "T", NULL);
    route_table_free(table);
}

static void one_topic_alone_is_no_first_registration(void **state)
{
    (void)state;
    struct route_table *table = route_table_new();
    struct registration registration = of("a", "10.0.0.1:1", 0, 1);
    registration.topics.count = 1;
    assert_int_equal(route_table_register(table, &registration, 0), STATUS_REFUSED);
    assert_int_equal(route_table_broker_count(table), 0);
    assert_int_equal(register_as(table, "a", "10.0.0.1:1", 0, 1, 0), STATUS_OK);
    assert_int_equal(route_table_register(table, &registration, 0), STATUS_OK);
    route_table_free(table);
}

static void topics_change_with_the_version_and_are_merged(void **state)
{
    (void)state;
    struct route_table *table = route_table_new();
    struct topic_config topic = {.name = S("U"), .read_queues = 1, .write_queues = 1, .perm = 6};
    struct registration registration = of("a", "10.0.0.1:1", 0, 1);
    assert_int_equal(route_table_register(table, &registration, 0), STATUS_OK);
    registration.topics.topics = &topic;
    registration.topics.count = 1;
    assert_int_equal(route_table_register(table, &registration, 0), STATUS_OK);
    assert_int_equal(route_table_topic_count(table), 3); // New ones come, absent ones stay.
    topic.perm = 4;
    assert_int_equal(route_table_register(table, &registration, 0), STATUS_OK);
    struct slice encoded;
    assert_true(route_table_route(table, S("U"), (struct slice){0}, &encoded));
    assert_true(contains(encoded, "\"perm\":6")); // Same version: not read.
    registration.topics.version.counter++;
    assert_int_equal(route_table_register(table, &registration, 0), STATUS_OK);
    assert_true(route_table_route(table, S("U"), (struct slice){0}, &encoded));
    assert_true(contains(encoded, "\"perm\":4"));
    registration.drop_absent = true;
    registration.topics.version.counter++;
    assert_int_equal(route_table_register(table, &registration, 0), STATUS_OK);
    assert_int_equal(route_table_topic_count(table), 1);
    route_table_free(table);
}

static void a_wiped_permission_holds_until_a_changed_registration(void **state)
{
    (void)state;
    struct route_table *table = route_table_new();
    struct slice encoded;
    struct registration registration = of("a", "10.0.0.1:1", 0, 1);
    assert_int_equal(route_table_register(table, &registration, 0), STATUS_OK);
    assert_int_equal(route_table_wipe_write(table, S("nobody")), 0);
    assert_int_equal(route_table_wipe_write(table, S("a")), 2);
    assert_int_equal(route_table_register(table, &registration, 0), STATUS_OK);
    assert_true(route_table_route(table, S("T"), (struct slice){0}, &encoded));
    assert_true(contains(encoded, "\"perm\":4"));
    registration.topics.version.counter++;
    assert_int_equal(route_table_register(table, &registration, 0), STATUS_OK);
    assert_true(route_table_route(table, S("TBW102"), (struct slice){0}, &encoded));
    assert_true(contains(encoded, "\"perm\":7"));
    assert_int_equal(route_table_wipe_write(table, S("a")), 2);
    assert_int_equal(route_table_add_write(table, S("a")), 2);
    assert_true(route_table_route(table, S("T"), (struct slice){0}, &encoded));
    assert_true(contains(encoded, "\"perm\":6"));
    route_table_free(table);
}

static void topics_are_deleted_by_cluster_or_everywhere(void **state)
{
    (void)state;
    struct route_table *table = route_table_new();
    struct registration other = of("b", "10.0.0.2:1", 0, 1);
    other.cluster = S("C2");
    assert_int_equal(register_as(table, "a", "10.0.0.1:1", 0, 1, 0), STATUS_OK);
    assert_int_equal(route_table_register(table, &other, 0), STATUS_OK);
    route_table_delete_topic(table, S("T"), S("C1"));
    struct buf out = {0};
    route_table_topics(table, TOPICS_ALL, S("C1"), &out);
    assert_string_equal(buf_text(&out), "{\"topicList\":[\"TBW102\"]}");
    buf_clear(&out);
    route_table_topics(table, TOPICS_ALL, (struct slice){0}, &out);
    assert_string_equal(buf_text(&out), "{\"topicList\":[\"T\",\"TBW102\"]}");
    route_table_delete_topic(table, S("T"), (struct slice){0});
    route_table_delete_topic(table, S("T"), (struct slice){0});
    assert_route(table, "T", NULL);
    buf_close(&out);
    route_table_free(table);
}

static void lists_tell_units_and_system_names(void **state)
{
    (void)state;
    static const struct topic_config topics[] = {
        {.name = {(const uint8_t *)"plain", 5}, .perm = 6},
        {.name = {(const uint8_t *)"unit", 4}, .perm = 6, .sys_flag = 1},
        {.name = {(const uint8_t *)"sub", 3}, .perm = 6, .sys_flag = 2},
        {.name = {(const uint8_t *)"both", 4}, .perm = 6, .sys_flag = 3},
    };
    struct route_table *table = route_table_new();
    struct registration registration = of("a", "10.0.0.1:1", 0, 1);
    registration.topics.topics = topics;
    registration.topics.count = 4;
    assert_int_equal(route_table_register(table, &registration, 0), STATUS_OK);
    static const char *const expected[] = {
        "{\"topicList\":[\"plain\",\"unit\",\"sub\",\"both\"]}",
        "{\"topicList\":[\"unit\",\"both\"]}",
        "{\"topicList\":[\"sub\",\"both\"]}",
        "{\"topicList\":[\"sub\"]}",
    };
    struct buf out = {0};
    for (int filter = TOPICS_ALL; filter <= TOPICS_UNIT_SUB_ALONE; filter++) {
        buf_clear(&out);
        route_table_topics(table, (enum topic_filter)filter, (struct slice){0}, &out);
        assert_string_equal(buf_text(&out), expected[filter]);
    }
    buf_clear(&out);
    route_table_system_topics(table, &out);
    assert_string_equal(buf_text(&out),
                        "{\"brokerAddr\":\"10.0.0.1:1\",\"topicList\":[\"C1\",\"a\"]}");
    buf_clear(&out);
    route_table_clusters(table, &out);
    assert_string_equal(buf_text(&out),
                        "{\"brokerAddrTable\":{\"a\":{\"brokerAddrs\":{\"0\":\"10.0.0.1:1\"},"
                        "\"brokerName\":\"a\",\"cluster\":\"C1\",\"enableActingMaster\":false}},"
                        "\"clusterAddrTable\":{\"C1\":[\"a\"]}}");
    buf_close(&out);
    route_table_free(table);
}

static void what_is_too_much_or_malformed_is_refused_whole(void **state)
{
    (void)state;
    struct route_table *table = route_table_new();
    char text[300];
    memset(text, 'x', sizeof text);
    struct registration bad[6];
    for (size_t i = 0; i < 6; i++) {
        bad[i] = of("a", "10.0.0.1:1", 0, 1);
    }
    bad[0].broker = (struct slice){0};
    bad[1].address = slice_of(text, sizeof text);
    bad[2].cluster = S("a b");
    bad[3].address = S("10.0.0.1:1,\"1\":\"evil:1");
    bad[4].id = -1;
    static const struct topic_config bad_topics[] = {
        {.name = {(const uint8_t *)"ok", 2}},
        {.name = {(const uint8_t *)"n\nl", 3}},
    };
    bad[5].topics.topics = bad_topics;
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(route_table_register(table, &bad[i], 0), STATUS_INVALID_ARGUMENT);
    }
    assert_int_equal(route_table_topic_count(table), 0);
    for (int i = 0; i <= ADDRESSES_PER_BROKER_MAX; i++) {
        char address[32];
        snprintf(address, sizeof address, "10.0.0.%d:1", i);
        assert_int_equal(register_as(table, "a", address, i, 1, 0),
                         i < ADDRESSES_PER_BROKER_MAX ? STATUS_OK : STATUS_LIMIT);
    }
    for (int i = 0; i < BROKERS_MAX; i++) {
        char name[32];
        char address[32];
        snprintf(name, sizeof name, "b%d", i);
        snprintf(address, sizeof address, "h%d:1", i);
        assert_int_equal(register_as(table, name, address, 1, 1, 0),
                         i < BROKERS_MAX - 1 ? STATUS_OK : STATUS_LIMIT);
    }
    route_table_free(table);
}

static void queues_entered_by_hand_need_a_known_broker(void **state)
{
    (void)state;
    struct route_table *table = route_table_new();
    const struct queue_data queues[] = {{S("a"), 2, 2, 6, 0}, {S("nobody"), 2, 2, 6, 0}};
    assert_int_equal(register_as(table, "a", "10.0.0.1:1", 0, 1, 0), STATUS_OK);
    assert_int_equal(route_table_put_topic(table, S("new"), queues, 2), STATUS_OK);
    struct slice encoded;
    assert_true(route_table_route(table, S("new"), S("a:2"), &encoded));
    assert_true(contains(encoded, "\"orderTopicConf\":\"a:2\""));
    assert_false(contains(encoded, "nobody"));
    assert_int_equal(route_table_put_topic(table, S(""), queues, 1), STATUS_INVALID_ARGUMENT);
    route_table_free(table);
}

/* As RocketMQ, which forgets a broker with its last address. */
static void queues_entered_by_hand_need_a_broker_with_an_address(void **state)
{
    (void)state;
    struct route_table *table = route_table_new();
    const struct queue_data queues[] = {{S("a"), 2, 2, 6, 0}};
    assert_int_equal(register_as(table, "a", "10.0.0.1:1", 0, 1, 0), STATUS_OK);
    route_table_unregister(table, S("a"), S("10.0.0.1:1"), 0);
    assert_int_equal(route_table_put_topic(table, S("new"), queues, 1), STATUS_OK);
    assert_int_equal(route_table_topic_count(table), 0);
    route_table_expire(table, BROKER_MEMORY_MS);
    assert_route(table, "new", NULL);
    route_table_free(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_route_lists_brokers_by_name_and_addresses_by_id),
        cmocka_unit_test(followers_bring_no_topics),
        cmocka_unit_test(a_newer_term_takes_over_at_once_and_the_deposed_is_refused),
        cmocka_unit_test(a_deposed_leader_cannot_win_a_lapsed_route_back),
        cmocka_unit_test(a_broker_name_is_forgotten_at_last),
        cmocka_unit_test(a_lease_lapses_unless_renewed),
        cmocka_unit_test(only_the_last_connection_of_an_address_takes_it_away),
        cmocka_unit_test(an_address_has_one_role),
        cmocka_unit_test(an_address_that_moves_away_takes_its_last_topics_along),
        cmocka_unit_test(one_topic_alone_is_no_first_registration),
        cmocka_unit_test(topics_change_with_the_version_and_are_merged),
        cmocka_unit_test(a_wiped_permission_holds_until_a_changed_registration),
        cmocka_unit_test(topics_are_deleted_by_cluster_or_everywhere),
        cmocka_unit_test(lists_tell_units_and_system_names),
        cmocka_unit_test(what_is_too_much_or_malformed_is_refused_whole),
        cmocka_unit_test(queues_entered_by_hand_need_a_known_broker),
        cmocka_unit_test(queues_entered_by_hand_need_a_broker_with_an_address),
    };
    return cmocka_run_group_tests_name("route_table", tests, NULL, NULL);
}
