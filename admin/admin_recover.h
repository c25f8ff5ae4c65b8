/* raftmq group unsafe-recover: a broker group that lost its majority for good. */
#ifndef ADMIN_ADMIN_RECOVER_H
#define ADMIN_ADMIN_RECOVER_H

#include "admin/cli.h"

struct recover_options {
    int64_t node; /* 0: the best informed. */
    bool yes;
};

enum cli_exit run_unsafe_recover(struct cli *cli, const void *opaque, char **arguments);

#endif
