/* The frame of the command line: `raftmq NOUN VERB [options] [arguments]`.
 *
 * A command is a row of a table: its flags are parsed into its options struct and its help text is
 * made from the same row, so neither can forget the other. */
#ifndef ADMIN_CLI_H
#define ADMIN_CLI_H

#include "common/base/check.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* What the process ends with. */
enum cli_exit {
    CLI_OK = 0,
    CLI_FAILED = 1,      /* Refused, or an answer that makes no sense. */
    CLI_USAGE = 2,       /* The command line is wrong; nothing was sent. */
    CLI_NOT_FOUND = 3,   /* The topic, group, transaction or message does not exist. */
    CLI_UNREACHABLE = 4, /* No answer from whoever must answer, or no leader. */
    CLI_DEGRADED = 5,    /* `cluster status`: it answers, but not all is well. */
};

struct raftmq_client;

struct cli {
    const char *nameservers; /* "host:port[;host:port…]" */
    bool json;
    uint32_t timeout_ms;          /* Of one request. */
    struct raftmq_client *client; /* While a command runs. */
    FILE *out;
    FILE *err;
};

enum cli_flag_type {
    CLI_SWITCH, /* bool */
    CLI_TEXT,   /* const char *, as given */
    CLI_NUMBER, /* int64_t in [min, max] */
};

struct cli_flag {
    char letter;
    const char *name;
    enum cli_flag_type type;
    const char *argument; /* For the help text; NULL for a switch. */
    const char *help;
    size_t offset; /* In the command's options. */
    int64_t min;
    int64_t max;
};

struct cli_command {
    const char *noun;
    const char *verb;
    const char *arguments; /* For the help text, "" for none. */
    const char *summary;
    const char *notes;            /* More of the help text, whole lines; NULL for none. */
    const struct cli_flag *flags; /* Ended by one without a name; may be NULL. */
    const void *defaults;         /* Options to begin with; may be NULL if there are none. */
    size_t options_size;
    int arguments_min;
    int arguments_max;
    enum cli_exit (*run)(struct cli *cli, const void *options, char **arguments);
};

enum { CLI_OPTIONS_MAX = 512, CLI_FLAGS_MAX = 24 };

/* Run a whole command line. */
enum cli_exit cli_main(int argc, char **argv, FILE *out, FILE *err);

/* One line for the person, "raftmq: …"; returns `code`. */
enum cli_exit cli_fail(struct cli *cli, enum cli_exit code, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* The commands, per noun; each ended by a row without a verb. */
extern const struct cli_command cluster_commands[];
extern const struct cli_command topic_commands[];
extern const struct cli_command group_commands[];
extern const struct cli_command leader_commands[];
extern const struct cli_command node_commands[];
extern const struct cli_command txn_commands[];
extern const struct cli_command message_commands[];
extern const struct cli_command dlq_commands[];
extern const struct cli_command offset_commands[];
extern const struct cli_command bench_commands[];

#endif
