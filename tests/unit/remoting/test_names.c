/* names and subscription: what is valid, what is the system's, which tags pass. */
#include "tests/support/test.h"

#include "common/base/limits.h"
#include "common/remoting/names.h"
#include "common/remoting/subscription.h"

static void names_have_characters_and_lengths(void **state)
{
    (void)state;
    char text[300];
    memset(text, 'a', sizeof text);
    memcpy(text, RETRY_PREFIX, sizeof RETRY_PREFIX - 1);
    assert_true(topic_name_valid(slice_text("Orders_1-x%y|z")));
    assert_false(topic_name_valid(slice_text("")));
    assert_false(topic_name_valid(slice_text("a b")));
    assert_false(topic_name_valid(slice_text("a.b")));
    assert_false(topic_name_valid(slice_text("caf\xC3\xA9")));
    assert_true(topic_name_valid(slice_of(text + 20, TOPIC_NAME_MAX)));
    assert_false(topic_name_valid(slice_of(text + 20, TOPIC_NAME_MAX + 1)));
    assert_true(topic_name_valid(slice_of(text, TOPIC_NAME_DERIVED_MAX)));
    assert_false(topic_name_valid(slice_of(text, TOPIC_NAME_DERIVED_MAX + 1)));
    assert_true(group_name_valid(slice_of(text + 20, 248)));
    assert_false(group_name_valid(slice_of(text + 20, 249)));
}

static void topics_derive_from_groups_and_back(void **state)
{
    (void)state;
    struct name topic = {0};
    char group[255];
    memset(group, 'g', sizeof group);
    assert_true(topic_retry_of(slice_text("g"), &topic));
    assert_string_equal(topic.text, "%RETRY%g");
    assert_true(topic_is_retry(name_slice(&topic)));
    assert_true(slice_equals_text(topic_group(name_slice(&topic)), "g"));
    assert_true(topic_dead_letter_of(slice_text("g"), &topic));
    assert_string_equal(topic.text, "%DLQ%g");
    assert_true(slice_equals_text(topic_group(name_slice(&topic)), "g"));
    assert_true(topic_retry_of(slice_of(group, 248), &topic));
    assert_false(topic_retry_of(slice_of(group, 249), &topic));
    assert_false(topic_retry_of(slice_text(""), &topic));
    assert_int_equal(topic_group(slice_text("T")).size, 0);
}

static void system_names_are_known(void **state)
{
    (void)state;
    assert_true(topic_is_system(slice_text("TBW102")));
    assert_true(topic_is_system(slice_text("rmq_sys_anything")));
    assert_false(topic_is_system(slice_text("tbw102")));
    assert_true(topic_closed_to_clients(slice_text(TOPIC_HALF)));
    assert_false(topic_closed_to_clients(slice_text("TBW102")));
    assert_true(group_is_system(slice_text("TOOLS_CONSUMER")));
    assert_true(group_is_system(slice_text("CID_RMQ_SYS_TRANS")));
    assert_false(group_is_system(slice_text("orders")));
}

static void tags_pass_as_the_expression_says(void **state)
{
    (void)state;
    assert_true(subscription_matches(slice_text("*"), slice_text("")));
    assert_true(subscription_matches(slice_text(""), slice_text("a")));
    assert_true(subscription_matches(slice_text(" a ||b|| c d "), slice_text("a")));
    assert_true(subscription_matches(slice_text(" a ||b|| c d "), slice_text("b")));
    assert_true(subscription_matches(slice_text(" a ||b|| c d "), slice_text("c d")));
    assert_false(subscription_matches(slice_text("a || b"), slice_text("")));
    assert_false(subscription_matches(slice_text("a || b"), slice_text("A")));
    struct slice rest = slice_text("|| || x |");
    struct slice tag;
    assert_true(subscription_next_tag(&rest, &tag));
    assert_true(slice_equals_text(tag, "x |"));
    assert_false(subscription_next_tag(&rest, &tag));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_characters_and_lengths),
        cmocka_unit_test(topics_derive_from_groups_and_back),
        cmocka_unit_test(system_names_are_known),
        cmocka_unit_test(tags_pass_as_the_expression_says),
    };
    return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
