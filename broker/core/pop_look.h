/* What a pop would take of one queue: messages that are due again, and new ones that pass its
 * filter. Only advice: apply decides. Loop thread only. Source: PopMessageProcessor. */
#ifndef BROKER_CORE_POP_LOOK_H
#define BROKER_CORE_POP_LOOK_H

#include "broker/core/message_filter.h"
#include "broker/core/reader.h"

enum pop_found {
    POP_NOTHING,
    POP_TAKE,  /* Messages. */
    POP_MOVE,  /* None, but the group is to stand elsewhere: it begins, or all were filtered. */
    POP_SIEVE, /* New ones must be read to know whether they pass. */
};

struct pop_message {
    struct message_ref ref;
    uint32_t repeats; /* Deliveries before this one. */
    uint64_t first_pop_ms;
};

struct pop_choice {
    enum pop_found found;
    bool full; /* There is more, but too much is not acknowledged. */
    int32_t queue_id;
    int64_t from;  /* Where the group stands; POP_FROM_NOWHERE. */
    int64_t start; /* Where it goes on. */
    int64_t next;  /* Where it is to stand. */
    uint32_t room; /* For new messages. */
    uint32_t count;
    struct pop_message messages[POP_OFFSETS_MAX]; /* By offset. */
};

enum pop_purpose {
    POP_TO_TAKE, /* POP_MESSAGE */
    POP_TO_TELL, /* NOTIFICATION: only whether there is something. */
    POP_TO_SHOW, /* PEEK_MESSAGE: the messages, which nobody gets by it. */
};

/* A request for messages once it has been checked. Holds its filter. */
struct pop {
    struct reply_to to;
    enum pop_purpose purpose;
    struct name group;
    struct name topic;
    int32_t queue_id; /* Negative: any. */
    uint32_t messages_max;
    uint64_t invisible_ms;
    uint64_t deadline_ms; /* Monotonic; 0: answer at once. */
    uint32_t refusals;    /* By apply, because somebody was quicker. */
    uint32_t moves;       /* Of its group, past messages that it does not want. */
    bool from_max;        /* A group that is new to the queue begins at its end. */
    struct message_filter *filter;
};

void pop_look(struct broker *broker, const struct pop *pop, const struct queue *queue,
              struct pop_choice *choice);

/* The sieve has found these messages, back to back, and looked up to offset_next. */
void pop_choose_sieved(struct broker *broker, const struct queue *queue, struct slice messages,
                       int64_t offset_next, struct pop_choice *choice);

#endif
