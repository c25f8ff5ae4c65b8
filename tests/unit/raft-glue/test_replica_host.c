/* replica_host: three members on loopback in one process, on one loop. */
#include "tests/support/test.h"

#include "raft-glue/replica_hello.h"
#include "raft-glue/replica_host.h"
#include "tests/support/temp_directory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

enum { NODES = 3, PATIENCE_MS = 20000, ENTRIES_MAX = 4096 };

struct node {
    struct cluster *cluster;
    struct temp_directory directory;
    struct replica_host *host;
    struct replica_state state;
    uint64_t applied_index;
    uint64_t applied[ENTRIES_MAX]; /* The number in each applied entry. */
    size_t applied_count;
    uint64_t position_last;
    unsigned own_applied; /* Applied with a proposal of this node. */
    unsigned dropped;
    enum status dropped_why;
    bool closed;
};

struct cluster {
    uv_loop_t loop;
    struct log log;
    struct replica_member members[NODES];
    struct node nodes[NODES];
    size_t count;
    uint32_t election_timeout_ms;
    uv_timer_t patience;
    bool out_of_patience;
};

static void on_apply(void *context, const struct replica_entry *entry, void *proposal)
{
    struct node *node = context;
    assert_true(entry->index > node->applied_index);
    assert_true(entry->payload.size >= 8);
    assert_true(node->applied_count < ENTRIES_MAX);
    node->applied_index = entry->index;
    node->position_last = entry->position;
    memcpy(&node->applied[node->applied_count++], entry->payload.data, 8);
    node->own_applied += proposal != NULL;
}

static void on_drop(void *context, void *proposal, enum status why)
{
    struct node *node = context;
    assert_non_null(proposal);
    node->dropped++;
    node->dropped_why = why;
}

static void on_state(void *context, const struct replica_state *state)
{
    struct node *node = context;
    node->state = *state;
}

/* Ports that were free a moment ago. */
static void choose_ports(struct cluster *cluster)
{
    int sockets[NODES];
    for (size_t i = 0; i < cluster->count; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t size = sizeof address;
        sockets[i] = socket(AF_INET, SOCK_STREAM, 0);
        assert_int_equal(bind(sockets[i], (struct sockaddr *)&address, size), 0);
        assert_int_equal(getsockname(sockets[i], (struct sockaddr *)&address, &size), 0);
        cluster->members[i] = (struct replica_member){
            .id = i + 1, .raft_host = {INADDR_LOOPBACK, ntohs(address.sin_port)}};
    }
    for (size_t i = 0; i < cluster->count; i++) {
        close(sockets[i]);
    }
}

static enum status start_node_as(struct cluster *cluster, size_t i, const char *name, char **error)
{
    struct node *node = &cluster->nodes[i];
    struct replica_host_options options = {
        .loop = &cluster->loop,
        .log = &cluster->log,
        .clock = clock_system(),
        .directory = node->directory.path,
        .cluster = slice_text(name),
        .group = slice_text("broker-a"),
        .id = cluster->members[i].id,
        .members = cluster->members,
        .member_count = cluster->count,
        .election_timeout_ms = cluster->election_timeout_ms,
        .heartbeat_timeout_ms = cluster->election_timeout_ms / 6,
        .applied_index = node->applied_index,
        .machine = {.context = node, .apply = on_apply, .drop = on_drop, .on_state = on_state},
    };
    node->closed = false;
    node->state = (struct replica_state){0};
    return replica_host_start(&options, &node->host, error);
}

static void start_node(struct cluster *cluster, size_t i)
{
    char *error = NULL;
    enum status status = start_node_as(cluster, i, "test", &error);
    if (status != STATUS_OK) {
        fail_msg("start: %s", error);
    }
}

static void on_patience(uv_timer_t *timer)
{
    struct cluster *cluster = timer->data;
    cluster->out_of_patience = true;
}

static struct cluster *cluster_open(size_t count)
{
    struct cluster *cluster = calloc(1, sizeof *cluster);
    cluster->count = count;
    cluster->election_timeout_ms = count == 1 ? 50 : 200;
    log_init(&cluster->log, stderr, getenv("VERBOSE") ? LOG_DEBUG : LOG_SILENT, "test");
    uv_loop_init(&cluster->loop);
    uv_timer_init(&cluster->loop, &cluster->patience);
    cluster->patience.data = cluster;
    choose_ports(cluster);
    for (size_t i = 0; i < count; i++) {
        cluster->nodes[i].cluster = cluster;
        temp_directory_make(&cluster->nodes[i].directory);
    }
    return cluster;
}

static void on_closed(void *context)
{
    struct node *node = context;
    node->closed = true;
    node->host = NULL;
}

static void run_until(struct cluster *cluster, bool (*condition)(struct cluster *cluster))
{
    cluster->out_of_patience = false;
    uv_timer_start(&cluster->patience, on_patience, PATIENCE_MS, 0);
    while (!condition(cluster)) {
        uv_run(&cluster->loop, UV_RUN_ONCE);
        if (cluster->out_of_patience) {
            fail_msg("waited too long");
        }
    }
    uv_timer_stop(&cluster->patience);
}

static void stop_node(struct cluster *cluster, size_t i)
{
    struct node *node = &cluster->nodes[i];
    if (node->host == NULL) {
        return;
    }
    replica_host_close(node->host, on_closed, node);
    while (!node->closed) {
        uv_run(&cluster->loop, UV_RUN_ONCE);
    }
}

static void cluster_close(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->count; i++) {
        stop_node(cluster, i);
        temp_directory_remove(&cluster->nodes[i].directory);
    }
    uv_close((uv_handle_t *)&cluster->patience, NULL);
    uv_run(&cluster->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&cluster->loop), 0);
    free(cluster);
}

static struct node *leader(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->count; i++) {
        struct node *node = &cluster->nodes[i];
        if (node->host != NULL && node->state.role == REPLICA_LEADER) {
            return node;
        }
    }
    return NULL;
}

static bool has_leader(struct cluster *cluster)
{
    return leader(cluster) != NULL;
}

/* Propose a number as an entry of `size` bytes. */
static enum status propose(struct node *node, uint64_t number, size_t size)
{
    uint8_t *payload = calloc(1, size);
    memcpy(payload, &number, 8);
    enum status status = replica_host_propose(node->host, payload, size, node);
    if (status != STATUS_OK) {
        free(payload);
    }
    return status;
}

static size_t wanted_count;

static bool all_running_have_wanted(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->count; i++) {
        if (cluster->nodes[i].host != NULL && cluster->nodes[i].applied_count < wanted_count) {
            return false;
        }
    }
    return true;
}

static void assert_equal_histories(struct cluster *cluster)
{
    struct node *first = NULL;
    for (size_t i = 0; i < cluster->count; i++) {
        struct node *node = &cluster->nodes[i];
        if (node->host == NULL) {
            continue;
        }
        first = first == NULL ? node : first;
        assert_int_equal(node->applied_count, first->applied_count);
        assert_int_equal(node->applied_index, first->applied_index);
        assert_int_equal(node->position_last, first->position_last);
        assert_memory_equal(node->applied, first->applied, node->applied_count * 8);
    }
}

static void three_members_apply_the_same_entries_at_the_same_positions(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(NODES);
    for (size_t i = 0; i < NODES; i++) {
        start_node(cluster, i);
    }
    run_until(cluster, has_leader);
    struct node *node = leader(cluster);
    for (uint64_t i = 0; i < 100; i++) {
        assert_int_equal(propose(node, i, 8 + (size_t)i * 37), STATUS_OK);
    }
    wanted_count = 100;
    run_until(cluster, all_running_have_wanted);
    assert_equal_histories(cluster);
    assert_int_equal(node->own_applied, 100);
    assert_true(replica_host_quorum_fresh(node->host));
    cluster_close(cluster);
}

static void followers_refuse_proposals_and_keep_nothing(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(NODES);
    for (size_t i = 0; i < NODES; i++) {
        start_node(cluster, i);
    }
    run_until(cluster, has_leader);
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
    struct cluster *cluster = cluster_open(NODES);
    for (size_t i = 0; i < NODES; i++) {
        start_node(cluster, i);
    }
    run_until(cluster, has_leader);
    struct node *old = leader(cluster);
    for (uint64_t i = 0; i < 10; i++) {
        assert_int_equal(propose(old, i, 1000), STATUS_OK);
    }
    wanted_count = 10;
    run_until(cluster, all_running_have_wanted);
    size_t old_place = (size_t)(old - cluster->nodes);
    stop_node(cluster, old_place);
    old->state.role = REPLICA_FOLLOWER;
    run_until(cluster, has_leader);
    struct node *new = leader(cluster);
    assert_ptr_not_equal(new, old);
    for (uint64_t i = 10; i < 30; i++) {
        assert_int_equal(propose(new, i, 1000), STATUS_OK);
    }
    wanted_count = 30;
    run_until(cluster, all_running_have_wanted);
    start_node(cluster, old_place); // With applied_index: nothing is repeated.
    run_until(cluster, all_running_have_wanted);
    assert_equal_histories(cluster);
    cluster_close(cluster);
}

static void a_restarted_member_without_a_store_replays_the_log_from_disk(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(1);
    start_node(cluster, 0);
    run_until(cluster, has_leader);
    for (uint64_t i = 0; i < 500; i++) {
        assert_int_equal(propose(&cluster->nodes[0], i, 10000), STATUS_OK);
    }
    wanted_count = 500;
    run_until(cluster, all_running_have_wanted);
    uint64_t position = cluster->nodes[0].position_last;
    stop_node(cluster, 0);
    struct node *node = &cluster->nodes[0];
    node->applied_index = 0;
    node->applied_count = 0;
    start_node(cluster, 0);
    run_until(cluster, all_running_have_wanted);
    assert_int_equal(node->position_last, position);
    assert_int_equal(node->own_applied, 500);
    uint64_t number = 0;
    assert_int_equal(replica_host_read_now(node->host, position, 8, (uint8_t *)&number), STATUS_OK);
    assert_int_equal(number, 499);
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
            wanted_count = node->applied_count + 1;
            run_until(cluster, all_running_have_wanted);
            status = propose(node, i, SIZE);
        }
        assert_int_equal(status, STATUS_OK);
    }
    wanted_count = COUNT;
    run_until(cluster, all_running_have_wanted);
    start_node(cluster, 2);
    run_until(cluster, all_running_have_wanted);
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
    struct cluster *cluster = cluster_open(1);
    start_node(cluster, 0);
    run_until(cluster, has_leader);
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
    wanted_count = proposed;
    run_until(cluster, all_running_have_wanted);
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
    struct cluster *cluster = cluster_open(1);
    start_node(cluster, 0);
    run_until(cluster, has_leader);
    assert_int_equal(propose(&cluster->nodes[0], 4711, 64), STATUS_OK);
    wanted_count = 1;
    run_until(cluster, all_running_have_wanted);
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
    struct cluster *cluster = cluster_open(NODES);
    for (size_t i = 0; i < NODES; i++) {
        start_node(cluster, i);
    }
    run_until(cluster, has_leader);
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
    wanted_count = 50;
    run_until(cluster, all_running_have_wanted);
    assert_equal_histories(cluster);
    assert_int_equal(old->own_applied, 50);
    cluster_close(cluster);
}

static bool two_of_three_have_a_leader_without_the_stranger(struct cluster *cluster)
{
    return has_leader(cluster);
}

static void a_member_of_another_cluster_is_refused(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(NODES);
    char *error = NULL;
    start_node(cluster, 0);
    start_node(cluster, 1);
    assert_int_equal(start_node_as(cluster, 2, "another", &error), STATUS_OK);
    run_until(cluster, two_of_three_have_a_leader_without_the_stranger);
    struct node *node = leader(cluster);
    assert_ptr_not_equal(node, &cluster->nodes[2]);
    struct replica_view view;
    replica_host_view(node->host, &view);
    assert_false(view.members[2].connected);
    assert_int_equal(view.members[2].match_index, 0);
    cluster_close(cluster);
}

static void the_data_of_another_group_is_not_started_on(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(1);
    start_node(cluster, 0);
    run_until(cluster, has_leader);
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

static void a_port_that_is_taken_is_an_error_with_a_sentence(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    start_node(cluster, 0);
    cluster->members[1].raft_host = cluster->members[0].raft_host;
    cluster->members[0].raft_host.port++;
    char *error = NULL;
    assert_int_equal(start_node_as(cluster, 1, "test", &error), STATUS_IO);
    assert_non_null(strstr(error, "cannot listen"));
    free(error);
    cluster_close(cluster);
}

static void closing_ends_waiting_proposals_as_unknown(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(NODES);
    for (size_t i = 0; i < NODES; i++) {
        start_node(cluster, i);
    }
    run_until(cluster, has_leader);
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
    struct cluster *cluster = cluster_open(NODES);
    for (size_t i = 0; i < NODES; i++) {
        start_node(cluster, i);
    }
    run_until(cluster, has_leader);
    struct node *node = leader(cluster);
    assert_int_equal(propose(node, 1, 8), STATUS_OK); // The write outlasts the links.
    replica_host_close(node->host, on_closed, node);
    while (!node->closed) {
        struct replica_view view;
        replica_host_view(node->host, &view);
        assert_int_equal(view.member_count, NODES);
        replica_host_drain(node->host, true);
        uv_run(&cluster->loop, UV_RUN_ONCE);
    }
    cluster_close(cluster);
}

/* A socket to a member's port, on which nothing is said yet. */
static int connect_to(const struct cluster *cluster, size_t i)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)cluster->members[i].raft_host.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Turn the loop until the other side has answered or closed; what recv() says. */
static ssize_t receive(struct cluster *cluster, int fd, void *to, size_t size)
{
    ssize_t got = -1;
    for (unsigned i = 0; i < 5000 && got < 0; i++) {
        uv_run(&cluster->loop, UV_RUN_NOWAIT);
        got = recv(fd, to, size, MSG_DONTWAIT);
        if (got < 0 && errno != EAGAIN) {
            break;
        }
        if (got < 0) {
            usleep(1000);
        }
    }
    return got;
}

static void say_hello(const struct cluster *cluster, int fd, uint64_t sender, uint64_t receiver)
{
    uint64_t ids[NODES];
    for (size_t i = 0; i < cluster->count; i++) {
        ids[i] = cluster->members[i].id;
    }
    struct hello hello = {.version = HELLO_VERSION,
                          .sender = sender,
                          .receiver = receiver,
                          .members = hello_members_hash(ids, cluster->count),
                          .cluster = slice_text("test"),
                          .group = slice_text("broker-a")};
    struct buf bytes = {0};
    hello_encode(&hello, &bytes);
    assert_int_equal(send(fd, bytes.data, bytes.size, 0), (ssize_t)bytes.size);
    buf_close(&bytes);
}

static enum hello_answer answer_to(struct cluster *cluster, int fd)
{
    uint8_t bytes[HELLO_ANSWER_SIZE];
    enum hello_answer answer = HELLO_WELCOME;
    assert_int_equal(receive(cluster, fd, bytes, sizeof bytes), sizeof bytes);
    assert_int_equal(hello_answer_decode(slice_of(bytes, sizeof bytes), &answer), STATUS_OK);
    return answer;
}

static void r2_a_new_connection_of_a_member_replaces_its_old_one(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    start_node(cluster, 0);
    int first = connect_to(cluster, 0);
    say_hello(cluster, first, 2, 1);
    assert_int_equal(answer_to(cluster, first), HELLO_WELCOME);
    int second = connect_to(cluster, 0);
    say_hello(cluster, second, 2, 1);
    assert_int_equal(answer_to(cluster, second), HELLO_WELCOME);
    uint8_t byte = 0;
    assert_int_equal(receive(cluster, first, &byte, 1), 0); // Closed.
    close(first);
    close(second);
    cluster_close(cluster);
}

static void a_hello_for_somebody_else_is_refused_with_the_reason(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    start_node(cluster, 0);
    int fd = connect_to(cluster, 0);
    say_hello(cluster, fd, 2, 2);
    assert_int_equal(answer_to(cluster, fd), HELLO_OTHER_RECEIVER);
    close(fd);
    fd = connect_to(cluster, 0);
    say_hello(cluster, fd, 9, 1);
    assert_int_equal(answer_to(cluster, fd), HELLO_UNKNOWN_SENDER);
    uint8_t byte = 0;
    assert_int_equal(receive(cluster, fd, &byte, 1), 0);
    close(fd);
    cluster_close(cluster);
}

static void strangers_and_damaged_messages_are_closed(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(2);
    start_node(cluster, 0);
    uint8_t noise[4096];
    memset(noise, 'G', sizeof noise);
    int fd = connect_to(cluster, 0);
    assert_true(send(fd, noise, sizeof noise, MSG_NOSIGNAL) > 0);
    uint8_t byte = 0;
    ssize_t got = receive(cluster, fd, &byte, 1);
    assert_true(got == 0 || errno == ECONNRESET);
    close(fd);
    fd = connect_to(cluster, 0);
    say_hello(cluster, fd, 2, 1);
    assert_int_equal(answer_to(cluster, fd), HELLO_WELCOME);
    assert_true(send(fd, noise, sizeof noise, MSG_NOSIGNAL) > 0);
    got = receive(cluster, fd, &byte, 1);
    assert_true(got == 0 || errno == ECONNRESET);
    close(fd);
    cluster_close(cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_members_apply_the_same_entries_at_the_same_positions),
        cmocka_unit_test(followers_refuse_proposals_and_keep_nothing),
        cmocka_unit_test(a_new_leader_continues_and_the_old_one_catches_up),
        cmocka_unit_test(a_restarted_member_without_a_store_replays_the_log_from_disk),
        cmocka_unit_test(a_member_that_was_away_gets_from_disk_what_left_the_cache),
        cmocka_unit_test(room_is_announced_when_the_write_under_way_is_done),
        cmocka_unit_test(reads_by_position_through_the_pool),
        cmocka_unit_test(leadership_is_handed_to_the_member_that_was_asked_for),
        cmocka_unit_test(a_member_of_another_cluster_is_refused),
        cmocka_unit_test(the_data_of_another_group_is_not_started_on),
        cmocka_unit_test(a_store_that_is_ahead_of_the_log_is_refused),
        cmocka_unit_test(the_logs_membership_counts_not_the_configured_one),
        cmocka_unit_test(a_port_that_is_taken_is_an_error_with_a_sentence),
        cmocka_unit_test(closing_ends_waiting_proposals_as_unknown),
        cmocka_unit_test(a_replica_that_is_closing_can_still_be_viewed),
        cmocka_unit_test(r2_a_new_connection_of_a_member_replaces_its_old_one),
        cmocka_unit_test(a_hello_for_somebody_else_is_refused_with_the_reason),
        cmocka_unit_test(strangers_and_damaged_messages_are_closed),
    };
    signal(SIGPIPE, SIG_IGN);
    if (getenv("TEST") != NULL) {
        cmocka_set_test_filter(getenv("TEST"));
    }
    return cmocka_run_group_tests_name("replica_host", tests, NULL, NULL);
}
