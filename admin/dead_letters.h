/* Dead letters: the messages in %DLQ%group, and which of them are settled.
 *
 * Nothing is kept outside the brokers. Two things settle a letter, and both are in the log of the
 * broker group that has it:
 *
 *   replayed  a copy of the letter names it (PROPERTY_DEAD_LETTER). The copy is found by the
 *             message's unique key; it is younger than the letter, so retention takes it later.
 *   mark      the offset of GROUP_DEAD_LETTERS in the queue: all letters below it are settled. It
 *             never goes back. Purging moves it; replaying moves it over letters that are replayed.
 *
 * All of it are plain requests, so it works against Apache RocketMQ too. */
#ifndef ADMIN_DEAD_LETTERS_H
#define ADMIN_DEAD_LETTERS_H

#include "admin/brokers.h"
#include "common/base/name.h"

#define GROUP_DEAD_LETTERS "RAFTMQ_DEAD_LETTERS"
#define PROPERTY_DEAD_LETTER "RAFTMQ_DEAD_LETTER"

enum { LETTER_ID_SIZE = 320 };

/* One queue of %DLQ%group on one broker group. */
struct letter_queue {
    const struct broker_data *broker;
    struct name group; /* The consumer group. */
    struct name topic; /* %DLQ%group */
    struct name retry; /* %RETRY%group */
    int32_t id;
    int64_t first; /* The oldest letter that is still there. */
    int64_t next;  /* One past the newest. */
    int64_t mark;  /* In [first, next]: all letters below are settled. */
};

struct letter_queues {
    size_t count;
    struct letter_queue *queues; /* By broker group and id. */
};

/* Ask the leaders for the dead letters of a group; `broker` may name one broker group (else NULL).
 * None of them having the topic is no failure: count is 0. Borrows from brokers. */
enum cli_exit letter_queues_find(struct cli *cli, const struct brokers *brokers, const char *group,
                                 const char *broker, struct letter_queues *out);
void letter_queues_close(struct letter_queues *queues);

/* Settle all letters of a queue below an offset, unless that is so already; changes queue->mark. */
enum cli_exit letter_queue_settle(struct cli *cli, struct letter_queue *queue, int64_t mark);

/* Walks through a queue. Zero it, then set queue and the range. */
struct letter_reader {
    const struct letter_queue *queue;
    int64_t next; /* Offset to go on at. */
    int64_t end;
    struct cli_reply reply;
    struct slice rest; /* Of its body. */
};

/* The next letter, or false at the end or when *code says that it failed. Borrows from reader until
 * the next call. */
bool letter_reader_next(struct cli *cli, struct letter_reader *reader, struct message *letter,
                        enum cli_exit *code);
void letter_reader_close(struct letter_reader *reader);

/* "BROKER:QUEUE:OFFSET", what a letter is called. */
void letter_id_format(const struct letter_queue *queue, int64_t offset, char id[LETTER_ID_SIZE]);
/* Take it apart: the broker group's part borrows from id. False if it is none. */
bool letter_id_parse(const char *id, struct slice *broker, int32_t *queue, int64_t *offset);

/* The key by which a letter's copies are found: its unique key, or else one made of the id. Written
 * to *key. */
void letter_key(const struct letter_queue *queue, const struct message *letter, struct buf *key);

/* Was a copy of this letter stored, in the retry topic or among the dead letters again? */
enum cli_exit letter_has_copy(struct cli *cli, const struct letter_queue *queue,
                              const struct message *letter, bool *found);

#endif
