#include "broker/host/node.h"

#include "broker/host/group.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct node {
    const struct log *log;
    int lock;
    size_t group_count;
    struct group_host *groups[GROUPS_PER_NODE_MAX];
};

/* mkdir -p for the last component only: a wrong path should be seen, not made. */
static enum status lock_directory(const struct settings *settings, const struct log *log, int *lock)
{
    char path[NAME_MAX_SIZE + 16];
    const char *directory = settings->store_path.text;
    if (mkdir(directory, 0750) != 0 && errno != EEXIST) {
        log_error(log, "cannot create the data directory",
                  "storePathRootDir=%s: %s; create it, or its parent, for the user of this process",
                  directory, strerror(errno));
        return STATUS_IO;
    }
    snprintf(path, sizeof path, "%s/lock", directory);
    *lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    if (*lock < 0) {
        log_error(log, "cannot use the data directory",
                  "storePathRootDir=%s: %s; check its owner, permissions and free space", directory,
                  strerror(errno));
        return STATUS_IO;
    }
    if (flock(*lock, LOCK_EX | LOCK_NB) != 0) {
        log_error(log, "another process uses the data directory",
                  "storePathRootDir=%s; stop that process, or give this one a directory of its own",
                  directory);
        close(*lock);
        return STATUS_LOCKED;
    }
    return STATUS_OK;
}

enum status node_start(const struct settings *settings, const struct log *log, struct node **out)
{
    struct node *node = calloc(1, sizeof *node);
    ASSERT(node != NULL);
    node->log = log;
    enum status status = lock_directory(settings, log, &node->lock);
    if (status != STATUS_OK) {
        free(node);
        return status;
    }
    for (size_t i = 0; i < settings->group_count; i++) {
        node->groups[node->group_count++] = group_host_start(settings, &settings->groups[i]);
    }
    for (size_t i = 0; i < node->group_count; i++) {
        enum status started = group_host_started(node->groups[i]);
        status = status == STATUS_OK ? started : status;
    }
    if (status != STATUS_OK) {
        node_stop(node);
        return status;
    }
    *out = node;
    return STATUS_OK;
}

void node_stop(struct node *node)
{
    for (size_t i = 0; i < node->group_count; i++) {
        group_host_stop(node->groups[i]);
    }
    for (size_t i = 0; i < node->group_count; i++) {
        group_host_join(node->groups[i]);
    }
    close(node->lock);
    free(node);
}
