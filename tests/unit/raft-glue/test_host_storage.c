/* replica_host and its disk: reads, the stored mark, and what it does not start on. */
#include "tests/unit/raft-glue/hosts_fixture.h"

#include "common/base/bytes.h"
#include "raft-glue/log_mark.h"

static void a_restarted_member_without_a_store_replays_the_log_from_disk(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_with_leader(1);
    for (uint64_t i = 0; i < 500; i++) {
        assert_int_equal(propose(&cluster->nodes[0], i, 10000), STATUS_OK);
    }
    run_until_applied(cluster, 500);
    uint64_t position = cluster->nodes[0].position_last;
    stop_node(cluster, 0);
    struct node *node = &cluster->nodes[0];
    node->applied_index = 0;
    node->applied_count = 0;
    start_node(cluster, 0);
    run_until_applied(cluster, 500);
    assert_int_equal(node->position_last, position);
    assert_int_equal(node->own_applied, 500);
    uint64_t number = 0;
    assert_int_equal(replica_host_read_now(node->host, position, 8, (uint8_t *)&number), STATUS_OK);
    assert_int_equal(number, 499);
    cluster_close(cluster);
}

static enum status read_status;
static bool read_is_done;

static void on_read(struct replica_read *read, enum status status)
{
    (void)read;
    read_status = status;
    read_is_done = true;
}

static bool read_done(struct cluster *cluster)
{
    (void)cluster;
    return read_is_done;
}

static void reads_by_position_through_the_pool(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_with_leader(1);
    assert_int_equal(propose(&cluster->nodes[0], 4711, 64), STATUS_OK);
    run_until_applied(cluster, 1);
    uint64_t number = 0;
    struct replica_read read = {.position = cluster->nodes[0].position_last,
                                .size = 8,
                                .to = (uint8_t *)&number,
                                .done = on_read};
    read_is_done = false;
    replica_host_read(cluster->nodes[0].host, &read);
    run_until(cluster, read_done);
    assert_int_equal(read_status, STATUS_OK);
    assert_int_equal(number, 4711);
    read_is_done = false;
    read.position = UINT64_C(1) << 40;
    replica_host_read(cluster->nodes[0].host, &read);
    run_until(cluster, read_done);
    assert_int_equal(read_status, STATUS_NOT_FOUND);
    cluster_close(cluster);
}

/* A read that goes on with the next one when it ends, as a reader of several messages does. */
static void on_first_read(struct replica_read *read, enum status status)
{
    struct replica_read *next = read->context;
    assert_int_equal(status, STATUS_OK);
    replica_host_read(next->context, next);
}

static void a_read_that_is_asked_for_while_closing_ends_as_canceled(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_with_leader(1);
    assert_int_equal(propose(&cluster->nodes[0], 1, 8), STATUS_OK);
    run_until_applied(cluster, 1);
    struct replica_host *host = cluster->nodes[0].host;
    uint64_t to = 0;
    struct replica_read second = {.position = cluster->nodes[0].position_last,
                                  .size = 8,
                                  .to = (uint8_t *)&to,
                                  .done = on_read,
                                  .context = host};
    struct replica_read first = second;
    first.done = on_first_read;
    first.context = &second;
    read_is_done = false;
    replica_host_read(host, &first); // It is in the pool when the replica begins to close.
    stop_node(cluster, 0);
    assert_true(read_is_done);
    assert_int_equal(read_status, STATUS_CANCELED);
    cluster_close(cluster);
}

static void the_data_of_another_group_is_not_started_on(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_with_leader(1);
    stop_node(cluster, 0);
    char *error = NULL;
    assert_int_equal(start_node_as(cluster, 0, "another", &error), STATUS_REFUSED);
    assert_non_null(strstr(error, "another"));
    free(error);
    cluster_close(cluster);
}

static void a_store_that_is_ahead_of_the_log_is_refused(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(1);
    cluster->nodes[0].applied_index = 5;
    char *error = NULL;
    assert_int_equal(start_node_as(cluster, 0, "test", &error), STATUS_CORRUPT);
    assert_non_null(strstr(error, "the store contains entry 5"));
    free(error);
    cluster_close(cluster);
}

/* Index and position of the mark, as a look at its file shows them while the member runs. */
static struct log_mark stored_mark(const struct node *node)
{
    struct directory directory;
    struct file *file = NULL;
    struct log_mark mark = {0};
    uint8_t bytes[48] = {0};
    assert_int_equal(directory_posix_open(node->directory.path, &directory), STATUS_OK);
    if (directory_open(&directory, "durable.1", &file) == STATUS_OK &&
        directory_read(&directory, file, 0, bytes, sizeof bytes) == STATUS_OK) {
        mark.index = le64_get(bytes + 24);
        mark.position = le64_get(bytes + 40);
    }
    directory_close_file(&directory, file);
    directory_posix_close(&directory);
    return mark;
}

/* Flip a bit in the last of the bytes below a position of the log's first segment. */
static void flip_below(const struct node *node, uint64_t position)
{
    struct directory directory;
    struct file *file = NULL;
    uint8_t byte = 0;
    struct iovec part = {.iov_base = &byte, .iov_len = 1};
    assert_int_equal(directory_posix_open(node->directory.path, &directory), STATUS_OK);
    assert_int_equal(directory_open(&directory, "segment-0000000000000000", &file), STATUS_OK);
    assert_int_equal(directory_read(&directory, file, position - 1, &byte, 1), STATUS_OK);
    byte ^= 4;
    assert_int_equal(directory_write(&directory, file, position - 1, &part, 1), STATUS_OK);
    directory_close_file(&directory, file);
    directory_posix_close(&directory);
}

static bool mark_is_level(struct cluster *cluster)
{
    struct replica_view view;
    replica_host_view(cluster->nodes[0].host, &view);
    return stored_mark(&cluster->nodes[0]).position == view.log_end_position;
}

static bool leader_tells_of_damage(struct cluster *cluster)
{
    const struct node *node = leader(cluster);
    return node != NULL && node->damaged;
}

/* What it needs is read for it in several pieces, of which one alone is damaged. */
static void damage_is_told_that_a_member_meets_between_what_is_sound(void **state)
{
    (void)state;
    enum { COUNT = 40, SIZE = 300 * 1024 };
    struct cluster *cluster = cluster_open(NODES);
    cluster->election_timeout_ms = 800; // So that a slow disk deposes nobody.
    start_node(cluster, 0);
    start_node(cluster, 1);
    run_until(cluster, has_leader);
    for (uint64_t i = 0; i < COUNT; i++) {
        assert_int_equal(propose(leader(cluster), i, SIZE), STATUS_OK);
        run_until_applied(cluster, i + 1);
    }
    stop_node(cluster, 0);
    stop_node(cluster, 1); // Started again they have none of it in memory.
    start_node(cluster, 0);
    start_node(cluster, 1);
    run_until(cluster, has_leader);
    flip_below(leader(cluster), 3 * 1024 * 1024);
    start_node(cluster, 2);
    run_until(cluster, leader_tells_of_damage);
    cluster_close(cluster);
}

/* A member that is alone, has applied `count` entries, and rests. */
static struct cluster *cluster_at_rest(size_t count)
{
    struct cluster *cluster = cluster_with_leader(1);
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(propose(&cluster->nodes[0], i, 64), STATUS_OK);
    }
    run_until_applied(cluster, count);
    return cluster;
}

/* The clock is put ahead instead of waiting. */
static void a_log_at_rest_is_marked(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_at_rest(3);
    cluster->ahead_ms += 1000;
    run_until(cluster, mark_is_level);
    assert_int_equal(propose(&cluster->nodes[0], 3, 64), STATUS_OK); // And again when it moves.
    run_until_applied(cluster, 4);
    cluster->ahead_ms += 1000;
    run_until(cluster, mark_is_level);
    cluster_close(cluster);
}

static void
a_stopped_replica_whose_last_frame_is_damaged_says_corrupt_instead_of_cutting_it(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_at_rest(3);
    struct replica_view view;
    replica_host_view(cluster->nodes[0].host, &view);
    stop_node(cluster, 0);
    assert_int_equal(stored_mark(&cluster->nodes[0]).index, view.last_index);
    assert_int_equal(stored_mark(&cluster->nodes[0]).position, view.log_end_position);
    flip_below(&cluster->nodes[0], view.log_end_position);
    char *error = NULL;
    assert_int_equal(start_node_as(cluster, 0, "test", &error), STATUS_CORRUPT);
    assert_non_null(strstr(error, "damaged where it was already synced"));
    free(error);
    flip_below(&cluster->nodes[0], view.log_end_position);
    start_node(cluster, 0); // Nothing was cut.
    run_until(cluster, has_leader);
    cluster_close(cluster);
}

static void the_logs_membership_counts_not_the_configured_one(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    start_node(cluster, 0);
    stop_node(cluster, 0);
    cluster->count = 1;
    start_node(cluster, 0);
    struct replica_view view;
    replica_host_view(cluster->nodes[0].host, &view);
    assert_int_equal(view.member_count, 2);
    assert_int_equal(view.members[1].id, 2);
    assert_int_equal(view.members[1].role, REPLICA_MEMBER_VOTER);
    assert_int_equal(view.members[1].raft_host.port, cluster->members[1].raft_host.port);
    assert_int_not_equal(view.state.role, REPLICA_LEADER); // Two voters: it cannot lead alone.
    stop_node(cluster, 0);
    cluster->count = 2;
    cluster_close(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restarted_member_without_a_store_replays_the_log_from_disk),
        cmocka_unit_test(reads_by_position_through_the_pool),
        cmocka_unit_test(a_read_that_is_asked_for_while_closing_ends_as_canceled),
        cmocka_unit_test(the_data_of_another_group_is_not_started_on),
        cmocka_unit_test(a_store_that_is_ahead_of_the_log_is_refused),
        cmocka_unit_test(damage_is_told_that_a_member_meets_between_what_is_sound),
        cmocka_unit_test(a_log_at_rest_is_marked),
        cmocka_unit_test(
            a_stopped_replica_whose_last_frame_is_damaged_says_corrupt_instead_of_cutting_it),
        cmocka_unit_test(the_logs_membership_counts_not_the_configured_one),
    };
    return cmocka_run_group_tests_name("host_storage", tests, NULL, NULL);
}
