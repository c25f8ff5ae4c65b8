/* replica_host and who connects to it: members, strangers, noise. */
#include "tests/unit/raft-glue/hosts_fixture.h"

#include "raft-glue/replica_hello.h"

#include <errno.h>

static void a_member_of_another_cluster_is_refused(void **state)
{
    (void)state;
    struct cluster *cluster = cluster_open(NODES);
    char *error = NULL;
    start_node(cluster, 0);
    start_node(cluster, 1);
    assert_int_equal(start_node_as(cluster, 2, "another", &error), STATUS_OK);
    run_until(cluster, has_leader); // Two of three suffice.
    struct node *node = leader(cluster);
    assert_ptr_not_equal(node, &cluster->nodes[2]);
    struct replica_view view;
    replica_host_view(node->host, &view);
    assert_false(view.members[2].connected);
    assert_int_equal(view.members[2].match_index, 0);
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
        cmocka_unit_test(a_member_of_another_cluster_is_refused),
        cmocka_unit_test(a_port_that_is_taken_is_an_error_with_a_sentence),
        cmocka_unit_test(r2_a_new_connection_of_a_member_replaces_its_old_one),
        cmocka_unit_test(a_hello_for_somebody_else_is_refused_with_the_reason),
        cmocka_unit_test(strangers_and_damaged_messages_are_closed),
    };
    return cmocka_run_group_tests_name("host_links", tests, NULL, NULL);
}
