#include "admin/cli.h"

#include "client/include/raftmq.h"
#include "common/base/decimal.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_DEFAULT_MS = 5000, TIMEOUT_MAX_MS = 600000 };

#define NAMESERVERS_DEFAULT "127.0.0.1:9876"

/* Flags of every command. */
struct common_options {
    const char *nameservers;
    const char *output;
    int64_t timeout_ms;
};

static const struct cli_flag common_flags[] = {
    {'n', "namesrv", CLI_TEXT, "HOST:PORT[;…]",
     "nameservers (else RAFTMQ_NAMESRV, NAMESRV_ADDR, " NAMESERVERS_DEFAULT ")",
     offsetof(struct common_options, nameservers), 0, 0},
    {'o', "output", CLI_TEXT, "table|json", "how to print", offsetof(struct common_options, output),
     0, 0},
    {'t', "timeout", CLI_NUMBER, "MS", "how long to wait for one answer (5000)",
     offsetof(struct common_options, timeout_ms), 1, TIMEOUT_MAX_MS},
    {0},
};

static const struct cli_command *const nouns[] = {
    cluster_commands, node_commands,    topic_commands, group_commands,  leader_commands,
    txn_commands,     message_commands, dlq_commands,   offset_commands, bench_commands,
};

enum { NOUN_COUNT = sizeof nouns / sizeof nouns[0], FLAG_HELP = 'h' };

static const struct cli_command *noun_find(const char *name);
static const struct cli_command *verb_find(const struct cli_command *commands, const char *name);
static void help_all(FILE *out);
static void help_noun(FILE *out, const struct cli_command *commands);
static void help_command(FILE *out, const struct cli_command *command);
static enum cli_exit run(struct cli *cli, const struct cli_command *command, int argc, char **argv);
static enum cli_exit run_connected(struct cli *cli, const struct cli_command *command,
                                   const void *options, char **arguments);

enum cli_exit cli_fail(struct cli *cli, enum cli_exit code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(cli->err, "raftmq: ");
    vfprintf(cli->err, format, args);
    fprintf(cli->err, "\n");
    va_end(args);
    return code;
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

enum cli_exit cli_main(int argc, char **argv, FILE *out, FILE *err)
{
    struct cli cli = {.out = out, .err = err};
    if (argc < 2) {
        help_all(err);
        return CLI_USAGE;
    }
    if (is_help(argv[1])) {
        help_all(out);
        return CLI_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        fprintf(out, "raftmq %s\n", RAFTMQ_VERSION);
        return CLI_OK;
    }
    const struct cli_command *commands = noun_find(argv[1]);
    if (commands == NULL) {
        return cli_fail(&cli, CLI_USAGE, "no such command: %s (see raftmq --help)", argv[1]);
    }
    if (argc < 3) {
        help_noun(err, commands);
        return CLI_USAGE;
    }
    if (is_help(argv[2])) {
        help_noun(out, commands);
        return CLI_OK;
    }
    const struct cli_command *command = verb_find(commands, argv[2]);
    if (command == NULL) {
        return cli_fail(&cli, CLI_USAGE, "no such command: %s %s (see raftmq %s --help)", argv[1],
                        argv[2], argv[1]);
    }
    return run(&cli, command, argc - 2, argv + 2);
}

static const struct cli_command *noun_find(const char *name)
{
    for (size_t i = 0; i < NOUN_COUNT; i++) {
        if (strcmp(nouns[i][0].noun, name) == 0) {
            return nouns[i];
        }
    }
    return NULL;
}

static const struct cli_command *verb_find(const struct cli_command *commands, const char *name)
{
    for (; commands->verb != NULL; commands++) {
        if (strcmp(commands->verb, name) == 0) {
            return commands;
        }
    }
    return NULL;
}

/* --- Parsing ------------------------------------------------------------------------------ */

/* The flags of a command and the common ones, as getopt wants them. */
struct flag_set {
    size_t count;
    const struct cli_flag *flags[CLI_FLAGS_MAX];
    bool common[CLI_FLAGS_MAX];
    struct option longs[CLI_FLAGS_MAX + 2];
    char letters[2 * CLI_FLAGS_MAX + 3];
};

/* Of two flags with one letter or name the parser would see the first alone. */
static bool flag_set_has(const struct flag_set *set, const struct cli_flag *flag)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->flags[i]->letter == flag->letter || strcmp(set->flags[i]->name, flag->name) == 0) {
            return true;
        }
    }
    return flag->letter == FLAG_HELP || strcmp(flag->name, "help") == 0;
}

static void flag_set_add(struct flag_set *set, const struct cli_flag *flags, bool common)
{
    for (; flags != NULL && flags->name != NULL; flags++) {
        ASSERT(set->count < CLI_FLAGS_MAX);
        ASSERT(!flag_set_has(set, flags));
        bool has_argument = flags->type != CLI_SWITCH;
        set->common[set->count] = common;
        set->flags[set->count] = flags;
        set->longs[set->count++] = (struct option){
            flags->name, has_argument ? required_argument : no_argument, NULL, flags->letter};
        size_t used = strlen(set->letters);
        set->letters[used++] = flags->letter;
        if (has_argument) {
            set->letters[used] = ':';
        }
    }
}

static void flag_set_init(struct flag_set *set, const struct cli_command *command)
{
    *set = (struct flag_set){0};
    flag_set_add(set, command->flags, false);
    flag_set_add(set, common_flags, true);
    set->longs[set->count] = (struct option){"help", no_argument, NULL, FLAG_HELP};
    set->letters[strlen(set->letters)] = FLAG_HELP;
}

static bool flag_store(struct cli *cli, const struct cli_flag *flag, const char *value,
                       void *options)
{
    char *field = (char *)options + flag->offset;
    int64_t number;
    switch (flag->type) {
    case CLI_SWITCH:
        *(bool *)field = true;
        return true;
    case CLI_TEXT:
        memcpy(field, &value, sizeof value);
        return true;
    case CLI_NUMBER:
        if (!decimal_parse(slice_text(value), &number) || number < flag->min ||
            number > flag->max) {
            cli_fail(cli, CLI_USAGE, "--%s: a number from %lld to %lld is wanted, not \"%s\"",
                     flag->name, (long long)flag->min, (long long)flag->max, value);
            return false;
        }
        memcpy(field, &number, sizeof number);
        return true;
    }
    UNREACHABLE();
}

static bool common_apply(struct cli *cli, const struct common_options *common)
{
    const char *const choices[] = {common->nameservers, getenv("RAFTMQ_NAMESRV"),
                                   getenv("NAMESRV_ADDR"), NAMESERVERS_DEFAULT};
    for (size_t i = 0; cli->nameservers == NULL; i++) {
        cli->nameservers = choices[i];
    }
    cli->timeout_ms = (uint32_t)common->timeout_ms;
    cli->json = strcmp(common->output, "json") == 0;
    if (!cli->json && strcmp(common->output, "table") != 0) {
        cli_fail(cli, CLI_USAGE, "--output: table or json is wanted, not \"%s\"", common->output);
        return false;
    }
    return true;
}

static enum cli_exit run(struct cli *cli, const struct cli_command *command, int argc, char **argv)
{
    union {
        max_align_t align;
        char bytes[CLI_OPTIONS_MAX];
    } options = {0};
    ASSERT(command->options_size <= CLI_OPTIONS_MAX);
    if (command->defaults != NULL) {
        memcpy(&options, command->defaults, command->options_size);
    }
    struct common_options common = {.output = "table", .timeout_ms = TIMEOUT_DEFAULT_MS};
    struct flag_set set;
    flag_set_init(&set, command);
    optind = 0; // Begin anew, whatever was parsed before.
    opterr = 0;
    for (int letter; (letter = getopt_long(argc, argv, set.letters, set.longs, NULL)) != -1;) {
        if (letter == FLAG_HELP) {
            help_command(cli->out, command);
            return CLI_OK;
        }
        size_t i = 0;
        while (i < set.count && set.flags[i]->letter != letter) {
            i++;
        }
        if (i == set.count) {
            return cli_fail(cli, CLI_USAGE,
                            "%s: not an option, or its value is missing "
                            "(see raftmq %s %s --help)",
                            argv[optind - 1], command->noun, command->verb);
        }
        if (!flag_store(cli, set.flags[i], optarg, set.common[i] ? (void *)&common : &options)) {
            return CLI_USAGE;
        }
    }
    int count = argc - optind;
    if (count < command->arguments_min || count > command->arguments_max) {
        return cli_fail(cli, CLI_USAGE, "usage: raftmq %s %s [options] %s", command->noun,
                        command->verb, command->arguments);
    }
    if (!common_apply(cli, &common)) {
        return CLI_USAGE;
    }
    return run_connected(cli, command, &options, argv + optind);
}

/* Run it with a client, which connects to nobody before it is asked to. */
static enum cli_exit run_connected(struct cli *cli, const struct cli_command *command,
                                   const void *options, char **arguments)
{
    const struct raftmq_client_options client_options = {
        .nameservers = cli->nameservers,
        .timeout_ms = cli->timeout_ms,
        .worker_threads = 1, // There are no callbacks here.
    };
    struct raftmq_error error;
    if (raftmq_client_new(&client_options, &cli->client, &error) != RAFTMQ_OK) {
        return cli_fail(cli, CLI_UNREACHABLE, "%s", error.remark);
    }
    enum cli_exit code = command->run(cli, options, arguments);
    raftmq_client_close(cli->client);
    return code;
}

/* --- Help --------------------------------------------------------------------------------- */

static void help_all(FILE *out)
{
    fprintf(out, "usage: raftmq NOUN VERB [options] [arguments]\n\n");
    for (size_t i = 0; i < NOUN_COUNT; i++) {
        for (const struct cli_command *command = nouns[i]; command->verb != NULL; command++) {
            char name[32];
            snprintf(name, sizeof name, "%s %s", command->noun, command->verb);
            fprintf(out, "  %-18s %s\n", name, command->summary);
        }
    }
    fprintf(out, "\nEvery command has --help.\n"
                 "Ends with 0: done, 1: refused, 2: wrong usage, 3: not found, 4: unreachable or "
                 "without a leader,\n5: the cluster answers but is degraded.\n");
}

static void help_noun(FILE *out, const struct cli_command *commands)
{
    fprintf(out, "usage: raftmq %s VERB [options] [arguments]\n\n", commands->noun);
    for (; commands->verb != NULL; commands++) {
        fprintf(out, "  %-12s %s\n", commands->verb, commands->summary);
    }
}

static void help_flags(FILE *out, const struct cli_flag *flags)
{
    for (; flags != NULL && flags->name != NULL; flags++) {
        char name[48];
        snprintf(name, sizeof name, "-%c, --%s %s", flags->letter, flags->name,
                 flags->argument == NULL ? "" : flags->argument);
        fprintf(out, "  %-32s %s\n", name, flags->help);
    }
}

static void help_command(FILE *out, const struct cli_command *command)
{
    fprintf(out, "usage: raftmq %s %s [options] %s\n\n%s.\n\n", command->noun, command->verb,
            command->arguments, command->summary);
    if (command->notes != NULL) {
        fprintf(out, "%s\n", command->notes);
    }
    help_flags(out, command->flags);
    help_flags(out, common_flags);
    fprintf(out, "  %-32s %s\n", "-h, --help", "this text");
}
