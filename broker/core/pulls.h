/* Pulls: the request, and those that are parked until something arrives (long polling).
 *
 * A parked pull waits at its queue. When the queue grows it is looked at again at the end of the
 * loop turn; if nothing there matches its filter it moves its offset on and stays parked (while an
 * SQL92 filter is looking through the messages it is not parked, and comes back). When its time is
 * over it is answered with 19, or with 20 if it moved.
 *
 * Many may be woken at once, and each copies what it gets. One turn reads so much for them, and the
 * next one goes on. Nothing is read for a connection that is full or closing: its pulls stay parked
 * until it has taken what it has, which each turn looks at, or is gone; if their time is over
 * before, they are answered as if nothing had come.
 *
 * What an answer says of where to pull next is in suggestion.h. Loop thread only. Source:
 * PullMessageProcessor, PullRequestHoldService. */
#ifndef BROKER_CORE_PULLS_H
#define BROKER_CORE_PULLS_H

#include "broker/core/message_filter.h"
#include "broker/core/request.h"
#include "broker/machine/machine.h"

struct pulls {
    struct broker *broker;
    struct map queues; /* struct parked_queue by (topic, queue id) */
    struct heap due;   /* struct parked.timer */
    struct list woken; /* struct parked_queue.woken */
    struct list soon;  /* struct soon */
    struct list full;  /* struct channel.full: with pulls that were left for later. */
    size_t count;
    uint64_t next_tie;
};

/* A pull once its request has been checked. Holds its filter. */
struct pull {
    struct reply_to to;
    struct name group;
    struct name topic;
    int32_t queue_id;
    int64_t offset;
    uint32_t messages_max;
    uint32_t bytes_max;
    uint64_t deadline_ms; /* Monotonic; 0: answer at once. */
    bool parked;          /* It is, or was. */
    bool moved;           /* Its offset has advanced since. */
    bool suspend;
    bool brings_filter; /* Without a heartbeat it could be served, too. */
    bool may_leave;     /* Its group lets readers that lag go to followers. */
    bool homeward;      /* It cannot be served here, and waits to be sent to the leader. */
    int32_t topic_sys_flag;
    int32_t group_sys_flag;
    struct message_filter *filter;
};

void pulls_init(struct pulls *pulls, struct broker *broker);
void pulls_close(struct pulls *pulls);

/* Serve a pull: answers it, or parks it. Takes the pull. */
void pulls_serve(struct pulls *pulls, struct pull *pull);
/* The same at the end of the loop turn, for who is within apply. Copies the pull, takes its filter.
 */
void pulls_serve_soon(struct pulls *pulls, const struct pull *pull);

/* So long a follower holds an empty pull at most if it serves readers that were sent to it: the
 * leader may know of more. */
enum { FOLLOWER_HOLD_MS = 1000 };

/* A pull that this follower cannot serve is not to fail but to go to the leader: it is held for
 * FOLLOWER_HOLD_MS, for its client may not know of another leader yet and come back at once, and
 * answered with 20, its offset and the leader's id. Copies the pull, its filter stays the caller's.
 * False if it is to fail: readers are not sent here, we lead, or it cannot be held. */
bool pulls_send_home(struct pulls *pulls, const struct pull *pull);

/* A queue has new messages. */
void pulls_on_queue_grown(struct pulls *pulls, const struct queue *queue);
/* Look at what was woken; end of the loop turn. */
void pulls_turn(struct pulls *pulls);
/* Answer those whose time is over. */
void pulls_tick(struct pulls *pulls, uint64_t now_ms);
/* Forget those of a channel that is gone. */
void pulls_drop_channel(struct pulls *pulls, struct channel *channel);

#endif
