/* raftmq dlq: what its files share. */
#ifndef ADMIN_ADMIN_DLQ_H
#define ADMIN_ADMIN_DLQ_H

#include "admin/dead_letters.h"

/* Which letters of a group a command is about; what is NULL or 0 does not matter. */
struct letter_selection {
    const char *broker;     /* Broker group. */
    const char *topic;      /* Where it was first sent. */
    const char *key;        /* One of its keys. */
    const char *message_id; /* The producer's id. */
    int64_t since_s;        /* Dead for no longer than this. */
};

struct dlq_list_options {
    const char *broker;
};

struct dlq_show_options {
    struct letter_selection selection;
    bool all; /* Settled ones, too. */
    int64_t max;
};

struct dlq_replay_options {
    struct letter_selection selection;
    bool all; /* All letters: the selection is empty on purpose. */
    int64_t max;
};

struct dlq_purge_options {
    const char *broker;
    int64_t older_s; /* Only those that have been dead for longer. */
    bool yes;
};

bool letter_selected(const struct letter_selection *selection, const struct message *letter);

/* The queue that a letter's name is about, or NULL; *offset is its place there. */
struct letter_queue *letter_queue_named(const struct letter_queues *queues, const char *id,
                                        int64_t *offset);

enum cli_exit run_dlq_list(struct cli *cli, const void *options, char **arguments);
enum cli_exit run_dlq_show(struct cli *cli, const void *options, char **arguments);
enum cli_exit run_dlq_replay(struct cli *cli, const void *options, char **arguments);
enum cli_exit run_dlq_purge(struct cli *cli, const void *options, char **arguments);

#endif
