/* Handing leadership over, on one real replica. */
#include "tests/support/test.h"

#include "tests/unit/raft-glue/replica_fixture.h"

static void on_end(void *context, enum status status)
{
    *(enum status *)context = status;
}

static void a_transfer_waits_until_the_target_has_everything(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    fixture_elect(&f);
    assert_int_equal(fixture_propose(&f, 8), STATUS_OK);
    fixture_write(&f);
    f.sent_count = 0;
    enum status end = STATUS_PENDING;
    replica_transfer(f.replica, 2, on_end, &end);
    assert_null(fixture_sent(&f, RAFT_TIMEOUT_NOW));
    assert_int_equal(fixture_propose(&f, 8), STATUS_NO_LEADER);
    fixture_append_result(&f, 2, 2); // The barrier alone.
    assert_null(fixture_sent(&f, RAFT_TIMEOUT_NOW));
    fixture_append_result(&f, 2, 3);
    assert_non_null(fixture_sent(&f, RAFT_TIMEOUT_NOW));
    uint64_t term = raft_current_term(&f.replica->raft);
    fixture_append(&f, 2, term + 1, 3, term, 3, NULL, 0);
    assert_int_equal(end, STATUS_OK);
    fixture_write(&f);
    fixture_close(&f);
}

static void a_transfer_to_a_silent_target_is_given_up(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    fixture_elect(&f);
    assert_int_equal(fixture_propose(&f, 8), STATUS_OK);
    fixture_write(&f);
    enum status end = STATUS_PENDING;
    replica_transfer(f.replica, 2, on_end, &end);
    enum status second = STATUS_PENDING;
    replica_transfer(f.replica, 3, on_end, &second);
    assert_int_equal(second, STATUS_BUSY);
    for (unsigned i = 0; i < 3 * FIXTURE_E && end == STATUS_PENDING; i++) {
        fixture_pass(&f, 1, true);
        fixture_append_result(&f, 3, 2);
        f.sent_count = 0;
    }
    assert_int_equal(end, STATUS_TIMED_OUT);
    assert_int_equal(replica_raft_state(f.replica), RAFT_LEADER);
    assert_int_equal(fixture_propose(&f, 8), STATUS_OK); // It goes on.
    replica_transfer(f.replica, 77, on_end, &second);
    assert_int_equal(second, STATUS_INVALID_ARGUMENT);
    fixture_write(&f);
    fixture_close(&f);
}

/* C-Raft ends a transfer with a tick. If the loop was away for long, a message may come before
 * that: proposals would be refused that were taken. */
static void a_transfer_ends_when_the_library_has_ended_it(void **state)
{
    (void)state;
    struct fixture f;
    fixture_open(&f, 3, 3);
    fixture_elect(&f);
    assert_int_equal(fixture_propose(&f, 8), STATUS_OK);
    fixture_write(&f);
    fixture_append_result(&f, 2, 3);
    enum status end = STATUS_PENDING;
    replica_transfer(f.replica, 2, on_end, &end);
    assert_non_null(fixture_sent(&f, RAFT_TIMEOUT_NOW));
    f.now += 3 * FIXTURE_E;
    fixture_append_result(&f, 3, 3);
    assert_int_equal(end, STATUS_PENDING);
    assert_int_equal(fixture_propose(&f, 8), STATUS_NO_LEADER);
    fixture_pass(&f, 1, true);
    assert_int_equal(end, STATUS_TIMED_OUT);
    fixture_close(&f);
}

/* A leader of three with one proposal written, which member 2 has up to `second` and member 3 up to
 * `third`, told in this order with a few milliseconds between. */
static void open_led(struct fixture *f, uint64_t second, uint64_t third)
{
    fixture_open(f, 3, 3);
    fixture_elect(f);
    assert_int_equal(fixture_propose(f, 8), STATUS_OK);
    fixture_write(f);
    fixture_append_result(f, 2, second);
    fixture_pass(f, FIXTURE_H / 4, true);
    fixture_append_result(f, 3, third);
    f->sent_count = 0;
}

/* Whom the leader hands over to if nobody is named; 0: to nobody yet. */
static uint64_t chosen(struct fixture *f, enum status *end)
{
    replica_transfer(f->replica, 0, on_end, end);
    const struct replica_outbound *sent = fixture_sent(f, RAFT_TIMEOUT_NOW);
    return sent == NULL ? 0 : sent->to;
}

static void who_has_most_of_the_log_is_chosen(void **state)
{
    (void)state;
    struct fixture f;
    enum status end = STATUS_PENDING;
    open_led(&f, 3, 2);
    assert_int_equal(chosen(&f, &end), 2);
    fixture_close(&f);
}

/* The other one may be gone since: when nodes stop one after the other, say. */
static void of_two_who_have_all_of_it_the_one_heard_last_is_chosen(void **state)
{
    (void)state;
    struct fixture f;
    enum status end = STATUS_PENDING;
    open_led(&f, 3, 3);
    assert_int_equal(chosen(&f, &end), 3);
    fixture_close(&f);
    open_led(&f, 3, 3);
    fixture_pass(&f, FIXTURE_H / 4, true);
    fixture_append_result(&f, 2, 3);
    assert_int_equal(chosen(&f, &end), 2);
    fixture_close(&f);
}

static void who_is_silent_is_not_chosen(void **state)
{
    (void)state;
    struct fixture f;
    enum status end = STATUS_PENDING;
    open_led(&f, 3, 2);
    for (unsigned i = 0; i < FIXTURE_E; i++) {
        fixture_pass(&f, 1, true);
        fixture_append_result(&f, 3, 2);
        f.sent_count = 0;
    }
    assert_int_equal(chosen(&f, &end), 0);
    fixture_append_result(&f, 3, 3);
    assert_int_equal(fixture_sent(&f, RAFT_TIMEOUT_NOW)->to, 3);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transfer_waits_until_the_target_has_everything),
        cmocka_unit_test(a_transfer_to_a_silent_target_is_given_up),
        cmocka_unit_test(a_transfer_ends_when_the_library_has_ended_it),
        cmocka_unit_test(who_has_most_of_the_log_is_chosen),
        cmocka_unit_test(of_two_who_have_all_of_it_the_one_heard_last_is_chosen),
        cmocka_unit_test(who_is_silent_is_not_chosen),
    };
    return cmocka_run_group_tests_name("replica_transfer", tests, NULL, NULL);
}
