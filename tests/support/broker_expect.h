/* What a client expects of a broker's answers, for tests on the harness. */
#ifndef TESTS_SUPPORT_BROKER_EXPECT_H
#define TESTS_SUPPORT_BROKER_EXPECT_H

#include "tests/support/broker_harness.h"
#include "tests/support/test.h"

#define NO_BODY slice_of(NULL, 0)

/* Take the next frame, which must answer `opaque` with `code`; errors come with a remark. */
static inline struct command expect_answer(struct harness_pipe *pipe, int32_t opaque, int32_t code)
{
    struct command response;
    assert_true(harness_receive(pipe, &response));
    assert_true(command_is_response(&response));
    assert_int_equal(response.opaque, opaque);
    if (response.code != code) {
        print_message("code %d: %.*s\n", response.code, SLICE_ARGS(response.remark));
    }
    assert_int_equal(response.code, code);
    assert_true(code == 0 || response.remark.size > 0);
    return response;
}

/* Nothing (more) was written to the client. */
static inline void expect_silence(struct harness_pipe *pipe)
{
    struct command command;
    assert_false(harness_receive(pipe, &command));
}

/* A number among an answer's fields. */
static inline int64_t expect_field(const struct command *command, const char *name)
{
    int64_t value = -99;
    assert_int_equal(command_i64(command, name, true, &value), STATUS_OK);
    return value;
}

/* Does a text contain another? */
static inline bool slice_contains(struct slice text, const char *part)
{
    return text.size > 0 && memmem(text.data, text.size, part, strlen(part)) != NULL;
}

/* SEND_MESSAGE_V2 to queue 0, creating the topic with 4 queues. */
static inline void send_message(struct harness_pipe *pipe, int32_t opaque, const char *topic,
                                const char *properties, struct slice body)
{
    harness_send(pipe, 310, opaque, 0, body, "a", "P", "b", topic, "c", "TBW102", "d", "4", "e",
                 "0", "f", "0", "g", "1700000000001", "h", "0", "i", properties, "j", "0", NULL);
}

#endif
