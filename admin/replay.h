/* Replaying a dead letter: a copy of it in the retry topic of its group, which that group alone
 * reads, with its count of deliveries back at zero.
 *
 * The copy names the letter, so it is its own mark: there is no moment at which a letter is sent
 * but not marked. */
#ifndef ADMIN_REPLAY_H
#define ADMIN_REPLAY_H

#include "admin/dead_letters.h"

enum replay {
    REPLAY_SENT,
    REPLAY_BEFORE, /* It has a copy already; nothing was sent. */
    /* The broker put the copy among the dead letters again: the group holds queue locks, and from
     * an orderly group it takes only what that has given up. */
    REPLAY_DIVERTED,
};

/* Replay one letter, unless it was before. CLI_UNREACHABLE may be an unknown outcome: the next call
 * finds the copy, if there is one. */
enum cli_exit replay_letter(struct cli *cli, const struct letter_queue *queue,
                            const struct message *letter, enum replay *outcome);

/* The property string of a letter's copy. Appends to out, which is empty. False if it would be too
 * large. */
bool replay_properties(const struct letter_queue *queue, const struct message *letter,
                       struct buf *out);

#endif
