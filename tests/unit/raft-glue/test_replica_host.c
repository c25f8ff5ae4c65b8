/* replica_host: members that replicate, take over, and close. */
#include "tests/unit/raft-glue/hosts_fixture.h"

static void three_members_apply_the_same_entries_at_the_same_positions(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_with_leader(NODES);
    struct node *node = leader(cluster);
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(propose(node, i, 8 + (size_t)i * 37), STATUS_OK);
    }
    run_until_applied(cluster, 100);
    assert_equal_histories(cluster);
    assert_int_equal(node->own_applied, 100);
    assert_true(replica_host_quorum_fresh(node->host));
    cluster_close(cluster);
}

static void followers_refuse_proposals_and_keep_nothing(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_with_leader(NODES);
    for (size_t i = 0; i < NODES; i++) {
        if (&cluster->nodes[i] != leader(cluster)) {
            enum status status = propose(&cluster->nodes[i], 1, 8);
            assert_true(status == STATUS_NOT_LEADER || status == STATUS_NO_LEADER);
            assert_false(replica_host_quorum_fresh(cluster->nodes[i].host));
        }
    }
    cluster_close(cluster);
}

static void a_new_leader_continues_and_the_old_one_catches_up(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_with_leader(NODES);
    struct node *old = leader(cluster);
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(propose(old, i, 1000), STATUS_OK);
    }
    run_until_applied(cluster, 10);
    size_t old_place = (size_t)(old - cluster->nodes);
    stop_node(cluster, old_place);
    old->state.role = REPLICA_FOLLOWER;
    run_until(cluster, has_leader);
    struct node *new = leader(cluster);
    assert_ptr_not_equal(new, old);
    for (uint64_t i = 10; i < 30; i++) {
        assert_int_equal(propose(new, i, 1000), STATUS_OK);
    }
    run_until_applied(cluster, 30);
    start_node(cluster, old_place); // With applied_index: nothing is repeated.
    run_until_applied(cluster, 30);
    assert_equal_histories(cluster);
    cluster_close(cluster);
}

static void a_member_that_was_away_gets_from_disk_what_left_the_cache(void **state)
{
    (void)state;
    enum { COUNT = 36, SIZE = 1024 * 1024 };
    struct cluster *cluster = cluster_open(NODES);
    cluster->election_timeout_ms = 800; // So that a slow disk deposes nobody.
    start_node(cluster, 0);
    start_node(cluster, 1);
    run_until(cluster, has_leader);
    struct node *node = leader(cluster);
    for (uint64_t i = 0; i < COUNT; i++) {
        enum status status = propose(node, i, SIZE);
        if (status == STATUS_OVERLOADED) {
            run_until_applied(cluster, node->applied_count + 1);
            status = propose(node, i, SIZE);
        }
        assert_int_equal(status, STATUS_OK);
    }
    run_until_applied(cluster, COUNT);
    start_node(cluster, 2);
    run_until_applied(cluster, COUNT);
    assert_equal_histories(cluster);
    struct replica_view view;
    replica_host_view(cluster->nodes[2].host, &view);
    assert_true(view.applied_index >= node->applied_index); // Barriers count too.
    assert_true(view.log_end_position > (uint64_t)COUNT * SIZE);
    cluster_close(cluster);
}

static unsigned room_calls;

static void on_room(void *context)
{
    struct node *node = context;
    assert_true(replica_host_has_room(node->host));
    room_calls++;
}

static bool room_was_called(struct cluster *cluster)
{
    (void)cluster;
    return room_calls > 0;
}

static void room_is_announced_when_the_write_under_way_is_done(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_with_leader(1);
    struct node *node = &cluster->nodes[0];
    replica_host_on_room(node->host, on_room, node);
    room_calls = 0;
    uint64_t proposed = 0;
    while (replica_host_has_room(node->host)) {
        assert_int_equal(propose(node, proposed++, 100), STATUS_OK);
    }
    assert_in_range(proposed, 1, 2); // One being written, one behind it.
    assert_int_equal(room_calls, 0);
    run_until(cluster, room_was_called);
    run_until_applied(cluster, proposed);
    cluster_close(cluster);
}

static enum status transfer_status;

static void on_transferred(void *context, enum status status)
{
    (void)context;
    transfer_status = status;
}

static bool transfer_ended(struct cluster *cluster)
{
    return transfer_status != STATUS_PENDING && has_leader(cluster);
}

static void leadership_is_handed_to_the_member_that_was_asked_for(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_with_leader(NODES);
    struct node *old = leader(cluster);
    for (uint64_t i = 0; i < 50; i++) {
        assert_int_equal(propose(old, i, 5000), STATUS_OK);
    }
    size_t target = ((size_t)(old - cluster->nodes) + 1) % NODES;
    transfer_status = STATUS_PENDING;
    replica_host_transfer(old->host, target + 1, on_transferred, NULL);
    assert_int_equal(propose(old, 99, 8), STATUS_NO_LEADER);
    run_until(cluster, transfer_ended);
    assert_int_equal(transfer_status, STATUS_OK);
    assert_ptr_equal(leader(cluster), &cluster->nodes[target]);
    run_until_applied(cluster, 50);
    assert_equal_histories(cluster);
    assert_int_equal(old->own_applied, 50);
    cluster_close(cluster);
}

static void closing_ends_waiting_proposals_as_unknown(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_with_leader(NODES);
    struct node *node = leader(cluster);
    assert_int_equal(propose(node, 1, 8), STATUS_OK);
    stop_node(cluster, (size_t)(node - cluster->nodes));
    assert_int_equal(node->own_applied + node->dropped, 1);
    assert_int_equal(node->dropped_why, STATUS_UNKNOWN_OUTCOME);
    cluster_close(cluster);
}

static void a_replica_that_is_closing_can_still_be_viewed(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_with_leader(NODES);
    struct node *node = leader(cluster);
    assert_int_equal(propose(node, 1, 8), STATUS_OK); // The write outlasts the links.
    replica_host_close(node->host, on_node_closed, node);
    while (!node->closed) {
        struct replica_view view;
        replica_host_view(node->host, &view);
        assert_int_equal(view.member_count, NODES);
        replica_host_drain(node->host, true);
        uv_run(&cluster->loop, UV_RUN_ONCE);
    }
    cluster_close(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_members_apply_the_same_entries_at_the_same_positions),
        cmocka_unit_test(followers_refuse_proposals_and_keep_nothing),
        cmocka_unit_test(a_new_leader_continues_and_the_old_one_catches_up),
        cmocka_unit_test(a_member_that_was_away_gets_from_disk_what_left_the_cache),
        cmocka_unit_test(room_is_announced_when_the_write_under_way_is_done),
        cmocka_unit_test(leadership_is_handed_to_the_member_that_was_asked_for),
        cmocka_unit_test(closing_ends_waiting_proposals_as_unknown),
        cmocka_unit_test(a_replica_that_is_closing_can_still_be_viewed),
    };
    return cmocka_run_group_tests_name("replica_host", tests, NULL, NULL);
}
