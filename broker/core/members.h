/* The members of a group as the broker core sees them: a port to what the replica knows. */
#ifndef BROKER_CORE_MEMBERS_H
#define BROKER_CORE_MEMBERS_H

#include "common/base/status.h"
#include "common/remoting/message.h"

#include <stdbool.h>
#include <stdint.h>

enum member_action {
    MEMBER_ADD,     /* As standby: gets the log, has no vote. */
    MEMBER_PROMOTE, /* To voter; refused while it lacks entries. */
    MEMBER_REMOVE,
};

/* Another member that is none of the strangers, as the leader sees it. */
struct follower {
    uint64_t id;
    bool ready; /* For readers. */
};

struct member_ports {
    void *context;
    /* Change the membership, one change at a time; the leader alone can. What is so already is
     * STATUS_OK. *why may get a sentence, static or valid until the next call.
     * Errors: STATUS_NOT_LEADER, STATUS_NOT_FOUND (nobody of that id has contacted us),
     * STATUS_BUSY (another change is under way, or it is not caught up: try again),
     * STATUS_REFUSED (no majority of what would be left is well),
     * STATUS_INVALID_ARGUMENT (the leader itself). */
    enum status (*change)(void *context, uint64_t id, enum member_action action, const char **why);
    /* Could this member take leadership over at once: a voter, connected, heard of, caught up, and
     * not being drained? */
    bool (*ready)(void *context, uint64_t id);
    /* Who should lead when all are well; 0: nobody in particular. */
    uint64_t (*preferred)(void *context);
    /* The followers, at most MEMBERS_MAX, ascending by id, and which of them can serve whoever
     * reads on from this position of the log. Of the leader. Returns how many there are. */
    size_t (*followers)(void *context, uint64_t position, struct follower *to);
    /* Has the leader been heard of lately? Of a follower. */
    bool (*hears_leader)(void *context);
    /* Where a member's clients connect; false if it is not known. */
    bool (*client_host)(void *context, uint64_t id, struct host *host);
    /* Is this replica itself a member? */
    bool (*belongs)(void *context);
    /* Make this replica the only member, whatever the others have: it closes, and comes back as
     * the leader. last_index must be that of its log. Errors: STATUS_STALE (it is not),
     * STATUS_REFUSED (there is a leader). */
    enum status (*recover)(void *context, uint64_t last_index);
    /* Tell the others that this replica wants no leadership, or does again. */
    void (*drain)(void *context, bool draining);
};

#endif
