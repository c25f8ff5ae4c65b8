#include "raft-glue/term_vote.h"

#include "common/base/bytes.h"

enum { TERM_VOTE_SIZE = 56, TERM_VOTE_VERSION = 2 };

static const char file_base[] = "vote";

static void encode(const struct term_vote *vote, const struct term_vote_state *state,
                   uint8_t to[TERM_VOTE_SIZE])
{
    le64_put(to, vote->group);
    le64_put(to + 8, vote->replica);
    le64_put(to + 16, state->term);
    le64_put(to + 24, state->voted_for);
    le64_put(to + 32, state->empty_origin ? 1 : 0);
    le64_put(to + 40, state->rejoin_term);
    le64_put(to + 48, state->rejoin_index);
}

enum status term_vote_open(struct term_vote *vote, const struct directory *directory,
                           uint64_t group, uint64_t replica, struct term_vote_state *state)
{
    *vote = (struct term_vote){.group = group, .replica = replica};
    uint8_t record[TERM_VOTE_SIZE];
    enum status status =
        twin_file_open(&vote->twin, directory, file_base, TERM_VOTE_VERSION, record, sizeof record);
    if (status != STATUS_OK) {
        return status;
    }
    if (le64_get(record) != group || le64_get(record + 8) != replica) {
        term_vote_close(vote);
        return STATUS_REFUSED;
    }
    state->term = le64_get(record + 16);
    state->voted_for = le64_get(record + 24);
    state->empty_origin = le64_get(record + 32) != 0;
    state->rejoin_term = le64_get(record + 40);
    state->rejoin_index = le64_get(record + 48);
    return STATUS_OK;
}

enum status term_vote_create(struct term_vote *vote, const struct directory *directory,
                             uint64_t group, uint64_t replica, const struct term_vote_state *state)
{
    *vote = (struct term_vote){.group = group, .replica = replica};
    uint8_t record[TERM_VOTE_SIZE];
    encode(vote, state, record);
    return twin_file_create(&vote->twin, directory, file_base, TERM_VOTE_VERSION, record,
                            sizeof record);
}

enum status term_vote_store(struct term_vote *vote, const struct term_vote_state *state)
{
    uint8_t record[TERM_VOTE_SIZE];
    encode(vote, state, record);
    return twin_file_write(&vote->twin, record);
}

void term_vote_close(struct term_vote *vote)
{
    twin_file_close(&vote->twin);
}
