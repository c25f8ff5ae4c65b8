/* How a replica with a blank directory begins: every case, and what it waits for. */
#include "tests/support/test.h"

#include "raft-glue/replica_admission.h"
#include "raft-glue/replica_configuration.h"

enum { SELF = 1 };

struct fixture {
    struct admission admission;
    struct admission_decision decision;
};

static const struct replica_voter servers[] = {
    {1, "10.0.0.1:1"}, {2, "10.0.0.2:1"}, {3, "10.0.0.3:1"}, {4, "10.0.0.4:1"}, {5, "10.0.0.5:1"},
};

static void begin(struct fixture *f, size_t configured)
{
    admission_init(&f->admission, SELF, false, servers, configured);
    admission_decide(&f->admission, &f->decision);
}

static enum admission_verdict hear(struct fixture *f, uint64_t from, const struct probe *probe)
{
    admission_answer(&f->admission, from, probe);
    admission_decide(&f->admission, &f->decision);
    return f->decision.verdict;
}

static enum admission_verdict hear_blank(struct fixture *f, uint64_t from)
{
    return hear(f, from, &(struct probe){.blank = true, .identity = 100 + from});
}

/* A peer with data, in `term`; the membership has the servers whose ids are in `members`. */
static enum admission_verdict hear_data(struct fixture *f, uint64_t from, uint64_t term,
                                        const char *members, struct probe probe)
{
    struct raft_configuration configuration;
    raft_configuration_init(&configuration);
    for (const char *c = members; *c != '\0'; c++) {
        const struct replica_voter *server = &servers[*c - '1'];
        assert_int_equal(
            raft_configuration_add(&configuration, server->id, server->address, RAFT_VOTER), 0);
    }
    struct raft_buffer encoded = configuration_encode(&configuration);
    probe.identity = 100 + from;
    probe.term = term;
    probe.change_index = probe.change_index == 0 ? 1 : probe.change_index;
    probe.change = slice_of(encoded.base, encoded.len);
    enum admission_verdict verdict = hear(f, from, &probe);
    raft_free(encoded.base);
    raft_configuration_close(&configuration);
    return verdict;
}

static void a_single_member_begins_at_once(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 1);
    assert_int_equal(f.decision.verdict, ADMISSION_BOOTSTRAP);
}

static void a_group_begins_when_all_are_blank(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 3);
    assert_int_equal(f.decision.verdict, ADMISSION_WAIT);
    assert_int_equal(hear_blank(&f, 2), ADMISSION_WAIT);
    assert_int_equal(f.decision.missing, 3);
    assert_int_equal(hear_blank(&f, 3), ADMISSION_BOOTSTRAP);
    struct replica_identity identity = {.number = 101};
    admission_count(&f.admission, &identity);
    assert_true(replica_identity_counts(&identity, 2, 102));
    assert_true(replica_identity_counts(&identity, 3, 103));
}

static void who_was_counted_when_the_others_began_begins_like_them(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 3);
    assert_int_equal(hear_data(&f, 2, 4, "123", (struct probe){.counted = true}),
                     ADMISSION_BOOTSTRAP);
}

/* All members may have set their data aside, after a power cut that disks had lied about. */
static void whose_data_was_set_aside_begins_no_group_but_takes_part_in_one(void **state)
{
    (void)state;
    struct fixture f;
    admission_init(&f.admission, SELF, true, servers, 3);
    admission_decide(&f.admission, &f.decision);
    assert_int_equal(hear_blank(&f, 2), ADMISSION_WAIT);
    assert_int_equal(hear_blank(&f, 3), ADMISSION_WAIT);
    assert_int_equal(hear_data(&f, 2, 4, "123", (struct probe){.counted = true}), ADMISSION_WAIT);
    assert_int_equal(hear_data(&f, 3, 4, "123", (struct probe){0}), ADMISSION_REJOIN);
    admission_init(&f.admission, SELF, true, servers, 1);
    admission_decide(&f.admission, &f.decision);
    assert_int_equal(f.decision.verdict, ADMISSION_WAIT);
}

static void a_refusal_is_no_answer(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 2);
    assert_int_equal(hear(&f, 2, &(struct probe){.answer = HELLO_NOT_READY, .blank = true}),
                     ADMISSION_WAIT);
    assert_int_equal(hear(&f, 9, &(struct probe){.blank = true}), ADMISSION_WAIT);
}

static void a_lost_disk_waits_for_all_other_voters(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 3);
    assert_int_equal(hear_data(&f, 2, 4, "123", (struct probe){0}), ADMISSION_WAIT);
    assert_int_equal(f.decision.missing, 3);
    assert_int_equal(hear_data(&f, 3, 9, "123", (struct probe){0}), ADMISSION_REJOIN);
    // No leader of term 9 has answered: the next term, and no part in elections until then.
    assert_int_equal(f.decision.state.term, 10);
    assert_int_equal(f.decision.state.voted_for, 0);
    assert_int_equal(f.decision.state.rejoin_term, 9);
    assert_int_equal(f.decision.state.rejoin_index, 0);
}

static void a_leader_of_the_highest_term_says_what_the_lost_disk_may_have_had(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 3);
    hear_data(&f, 2, 9, "123", (struct probe){.leader = true, .last_index = 700});
    assert_int_equal(hear_data(&f, 3, 9, "123", (struct probe){.last_index = 650}),
                     ADMISSION_REJOIN);
    assert_int_equal(f.decision.state.term, 9);
    assert_int_equal(f.decision.state.voted_for, SELF); // Its vote of term 9 is spent.
    assert_int_equal(f.decision.state.rejoin_term, 9);
    assert_int_equal(f.decision.state.rejoin_index, 700);
}

static void a_leader_of_an_older_term_says_nothing(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 3);
    hear_data(&f, 2, 8, "123", (struct probe){.leader = true, .last_index = 700});
    assert_int_equal(hear_data(&f, 3, 9, "123", (struct probe){0}), ADMISSION_REJOIN);
    assert_int_equal(f.decision.state.term, 10);
    assert_int_equal(f.decision.state.rejoin_index, 0);
}

static void two_lost_disks_of_three_wait_for_a_person(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 3);
    hear_data(&f, 2, 4, "123", (struct probe){0});
    assert_int_equal(hear_blank(&f, 3), ADMISSION_WAIT);
    assert_int_equal(f.decision.missing, 3);
}

static void a_newcomer_joins_when_a_majority_knows_that_it_is_none_of_them(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 4);
    assert_int_equal(hear_data(&f, 2, 4, "234", (struct probe){0}), ADMISSION_WAIT);
    assert_int_equal(hear_data(&f, 3, 4, "234", (struct probe){0}), ADMISSION_JOIN);
    assert_int_equal(f.decision.state.term, 1);
    assert_int_equal(f.decision.state.rejoin_term, 0);
}

static void the_newest_membership_counts_and_names_whom_to_ask(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 3);
    // Server 2 is behind: it knows neither of 4 and 5 nor that we are a member.
    hear_data(&f, 2, 4, "23", (struct probe){.change_index = 10});
    assert_int_equal(hear_data(&f, 3, 6, "12345", (struct probe){.change_index = 90}),
                     ADMISSION_WAIT);
    assert_int_equal(f.admission.peer_count, 4);
    hear_data(&f, 4, 6, "12345", (struct probe){.change_index = 90});
    assert_int_equal(f.decision.verdict, ADMISSION_WAIT);
    assert_int_equal(hear_data(&f, 5, 5, "12345", (struct probe){.change_index = 90}),
                     ADMISSION_REJOIN);
    assert_int_equal(f.decision.state.term, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_single_member_begins_at_once),
        cmocka_unit_test(a_group_begins_when_all_are_blank),
        cmocka_unit_test(who_was_counted_when_the_others_began_begins_like_them),
        cmocka_unit_test(whose_data_was_set_aside_begins_no_group_but_takes_part_in_one),
        cmocka_unit_test(a_refusal_is_no_answer),
        cmocka_unit_test(a_lost_disk_waits_for_all_other_voters),
        cmocka_unit_test(a_leader_of_the_highest_term_says_what_the_lost_disk_may_have_had),
        cmocka_unit_test(a_leader_of_an_older_term_says_nothing),
        cmocka_unit_test(two_lost_disks_of_three_wait_for_a_person),
        cmocka_unit_test(a_newcomer_joins_when_a_majority_knows_that_it_is_none_of_them),
        cmocka_unit_test(the_newest_membership_counts_and_names_whom_to_ask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
