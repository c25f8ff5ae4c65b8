/* raftmq-nameserver: options, signals, the loop. */
#include "nameserver/nameserver.h"
#include "nameserver/settings.h"

#include <getopt.h>
#include <signal.h>
#include <stdlib.h>

enum { EXIT_USAGE = 2 };

struct program {
    uv_loop_t loop;
    uv_signal_t signals[2];
    struct log log;
    struct config *settings;
    struct nameserver *nameserver;
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"port", required_argument, NULL, 'p'},
    {"set", required_argument, NULL, 's'},
    {"print-config", no_argument, NULL, 'P'},
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

/* What the command line says to do. */
enum action { ACTION_RUN, ACTION_PRINT, ACTION_DONE, ACTION_USAGE, ACTION_BAD_CONFIG };

static void print_help(const struct config *settings)
{
    struct buf keys = {0};
    config_help(settings, &keys);
    printf("Usage: raftmq-nameserver [options]\n\n"
           "Answers RocketMQ and raftmq clients which brokers serve which topics.\n\n"
           "  -c, --config FILE     read key=value lines (namesrv.conf)\n"
           "  -p, --port PORT       same as --set listenPort=PORT\n"
           "  -s, --set KEY=VALUE   override a key; may be repeated\n"
           "      --print-config    print the effective configuration and end\n"
           "  -h, --help            this page\n"
           "      --version         version\n\nKeys:\n%s",
           buf_text(&keys));
    buf_close(&keys);
}

static enum status set_port(struct config *settings, const char *port)
{
    struct buf assignment = {0};
    buf_printf(&assignment, "listenPort=%s", port);
    enum status status = config_set(settings, buf_text(&assignment));
    buf_close(&assignment);
    return status;
}

/* The file first, whatever the order: the command line overrides it. */
static enum status load_file(struct config *settings, int argc, char **argv)
{
    int option;
    enum status status = STATUS_OK;
    optind = 1;
    while ((option = getopt_long(argc, argv, "c:p:s:h", long_options, NULL)) != -1) {
        if (option == 'c' && status == STATUS_OK) {
            status = config_load(settings, optarg);
        }
    }
    optind = 1;
    return status;
}

static enum action read_options(struct config *settings, int argc, char **argv)
{
    int option;
    enum action action = ACTION_RUN;
    if (load_file(settings, argc, argv) != STATUS_OK) {
        return ACTION_BAD_CONFIG;
    }
    opterr = 0; // The first pass has complained already.
    while ((option = getopt_long(argc, argv, "c:p:s:h", long_options, NULL)) != -1) {
        enum status status = STATUS_OK;
        switch (option) {
        case 'c':
            break;
        case 'p':
            status = set_port(settings, optarg);
            break;
        case 's':
            status = config_set(settings, optarg);
            break;
        case 'P':
            action = ACTION_PRINT;
            break;
        case 'h':
            print_help(settings);
            return ACTION_DONE;
        case 'V':
            printf("raftmq-nameserver %s\n", RAFTMQ_VERSION);
            return ACTION_DONE;
        default:
            return ACTION_USAGE;
        }
        if (status != STATUS_OK) {
            return ACTION_BAD_CONFIG;
        }
    }
    return optind < argc ? ACTION_USAGE : action;
}

static void on_closed(void *context)
{
    struct program *program = context;
    log_info(&program->log, "nameserver stopped", "%s", "");
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct program *program = handle->data;
    log_info(&program->log, "stopping", "signal=%d", number);
    for (int i = 0; i < 2; i++) {
        uv_close((uv_handle_t *)&program->signals[i], NULL);
    }
    nameserver_close(program->nameserver, on_closed, program);
}

static int run(struct program *program)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    const struct nameserver_options options = {&program->loop, program->settings, &program->log,
                                               clock_system()};
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&program->loop);
    if (nameserver_new(&options, &program->nameserver) != STATUS_OK) {
        uv_loop_close(&program->loop);
        return EXIT_FAILURE;
    }
    for (int i = 0; i < 2; i++) {
        program->signals[i].data = program;
        uv_signal_init(&program->loop, &program->signals[i]);
        uv_signal_start(&program->signals[i], on_signal, numbers[i]);
    }
    uv_run(&program->loop, UV_RUN_DEFAULT);
    uv_loop_close(&program->loop);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    struct program program = {0};
    int code = EXIT_SUCCESS;
    log_init(&program.log, stderr, LOG_INFO, "nameserver");
    program.settings = nameserver_settings_new(&program.log);
    enum action action = read_options(program.settings, argc, argv);
    if (action == ACTION_USAGE) {
        fprintf(stderr, "Try 'raftmq-nameserver --help'.\n");
        code = EXIT_USAGE;
    } else if (action == ACTION_BAD_CONFIG ||
               !log_level_parse(config_text(program.settings, "logLevel"), &program.log.level)) {
        log_error(&program.log, "not started: the configuration has errors", "%s", "");
        code = EXIT_FAILURE;
    } else if (action == ACTION_PRINT) {
        struct buf text = {0};
        config_print(program.settings, &text);
        fputs(buf_text(&text), stdout);
        buf_close(&text);
    } else if (action == ACTION_RUN) {
        code = run(&program);
    }
    config_free(program.settings);
    return code;
}
