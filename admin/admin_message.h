/* raftmq message: what its files share. */
#ifndef ADMIN_ADMIN_MESSAGE_H
#define ADMIN_ADMIN_MESSAGE_H

#include "admin/cli.h"

struct pop_options {
    int64_t max;
    int64_t hidden_ms;
    int64_t wait_ms;
    const char *tags;
    const char *sql;
    bool last; /* A group that is new begins with what is sent from now on. */
    bool ack;  /* Acknowledge what was printed. */
};

enum cli_exit run_pop(struct cli *cli, const void *options, char **arguments);
enum cli_exit run_ack(struct cli *cli, const void *options, char **arguments);

#endif
