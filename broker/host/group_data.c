#include "broker/host/group_data.h"

#include "broker/host/store_image.h"
#include "broker/host/tree.h"
#include "common/base/random.h"
#include "raft-glue/replica_admit.h"
#include "raft-glue/replica_recover.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void group_data_path(const struct group_data *data, const char *name, char to[GROUP_PATH_SIZE])
{
    int size = snprintf(to, GROUP_PATH_SIZE, "%s/%s", data->directory, name);
    ASSERT(size > 0 && size < GROUP_PATH_SIZE); // settings_load() bounds storePathRootDir.
}

static enum status fail(const struct group_data *data, const char *what, enum status status)
{
    log_error(data->log, what, "directory=%s: %s; check the disk, its owner and its free space",
              data->directory, status_text(status));
    return status;
}

/* ---- Moving ---- */

/* Give `from` the place of `to`. */
static enum status replace_tree(const struct group_data *data, const char *from, const char *to)
{
    char source[GROUP_PATH_SIZE];
    char target[GROUP_PATH_SIZE];
    group_data_path(data, from, source);
    group_data_path(data, to, target);
    if (!tree_exists(source)) {
        return STATUS_OK; // Moved by an earlier try.
    }
    enum status status = tree_remove(target);
    return status == STATUS_OK ? tree_rename(source, target) : status;
}

/* A copy that is whole takes the place of log and store; again, if a crash interrupted that. */
static enum status take_copy(const struct group_data *data)
{
    char complete[GROUP_PATH_SIZE];
    char copy[GROUP_PATH_SIZE];
    group_data_path(data, "copy/complete", complete);
    group_data_path(data, "copy", copy);
    if (!tree_exists(complete)) {
        return STATUS_OK;
    }
    enum status status = replace_tree(data, "copy/store", "store");
    if (status == STATUS_OK) {
        status = replace_tree(data, "copy/log", "log");
    }
    return status == STATUS_OK ? tree_remove(copy) : status;
}

static enum status make_tree(const struct group_data *data, const char *name)
{
    char path[GROUP_PATH_SIZE];
    group_data_path(data, name, path);
    return tree_make(path);
}

enum status group_data_set_store_aside(struct group_data *data)
{
    log_error(data->log, "the state machine's store is damaged",
              "it is set aside in %s/damaged and built again", data->directory);
    enum status status = make_tree(data, "damaged");
    return status == STATUS_OK ? replace_tree(data, "store", "damaged/store") : status;
}

/* ---- Copying ---- */

static void tell_wait(struct group_data *data)
{
    if (data->on_wait != NULL) {
        data->on_wait(data->context);
        data->on_wait = NULL;
    }
}

static struct host own_client_host(const struct group_data *data)
{
    return group_settings_member(data->group, data->settings->node_id)->client_host;
}

static enum status run_copy(struct group_data *data, struct fetch_options *options)
{
    char log_path[GROUP_PATH_SIZE];
    char store_path[GROUP_PATH_SIZE];
    group_data_path(data, "copy/log", log_path);
    group_data_path(data, "copy/store", store_path);
    struct store_sink sink = {.path = store_path, .cache_size = data->settings->store_cache_size};
    options->sink = store_image_sink(&sink);
    enum status status = directory_posix_open(log_path, &options->directory);
    if (status == STATUS_OK) {
        status = fetch_run(options);
        directory_posix_close(&options->directory);
    }
    store_sink_close(&sink);
    return status;
}

enum status group_data_copy(struct group_data *data, const struct group_copy *copy)
{
    enum status status = make_tree(data, "copy");
    if (status == STATUS_OK) {
        status = make_tree(data, "copy/log");
    }
    if (status != STATUS_OK) {
        return fail(data, "cannot make room for a copy", status);
    }
    tell_wait(data);
    data->identity.begun = true;
    struct fetch_options options = {
        .loop = data->loop,
        .log = data->log,
        .clock = clock_system(),
        .segment_size = SEGMENT_SIZE,
        .cluster = name_slice(&data->settings->cluster),
        .group = name_slice(&data->group->name),
        .id = data->settings->node_id,
        .identity = &data->identity,
        .client_host = own_client_host(data),
        .servers = copy->servers,
        .server_count = copy->server_count,
        .reach = copy->reach,
        .state = copy->state,
        .canceled = data->canceled,
    };
    status = run_copy(data, &options);
    if (status == STATUS_CANCELED || status == STATUS_TIMED_OUT) {
        return status;
    }
    if (status == STATUS_OK) {
        status = make_tree(data, "copy/complete");
    }
    if (status == STATUS_OK) {
        status = take_copy(data);
    }
    return status == STATUS_OK ? status : fail(data, "cannot store a copy of the data", status);
}

/* ---- Beginning ---- */

static size_t list_members(const struct group_data *data, struct replica_member *members)
{
    for (size_t i = 0; i < data->group->member_count; i++) {
        members[i] = (struct replica_member){
            .id = data->group->members[i].id,
            .raft_host = data->group->members[i].raft_host,
        };
    }
    return data->group->member_count;
}

static_assert((int)ADMISSION_PEERS_MAX <= (int)REPLICA_MEMBERS_KNOWN, "all may give a copy");

/* All other servers that admission knows of. */
static size_t list_peers(const struct admission *admission, struct replica_voter *servers)
{
    for (size_t i = 0; i < admission->peer_count; i++) {
        servers[i] = admission->peers[i].server;
    }
    return admission->peer_count;
}

/* Store the identity's answer to "was there ever a log?" before there is one. */
static enum status begin_new_group(struct group_data *data, const struct directory *directory,
                                   const struct admission *admission)
{
    admission_count(admission, &data->identity);
    data->identity.begun = true;
    enum status status = replica_identity_store(directory, &data->identity);
    return status == STATUS_OK ? status : fail(data, "cannot begin the log", status);
}

static enum status admit(struct group_data *data, const struct directory *directory)
{
    struct replica_member members[MEMBERS_MAX];
    struct admission admission;
    struct admission_decision decision;
    char *error = NULL;
    char damaged[GROUP_PATH_SIZE];
    group_data_path(data, "damaged/log", damaged);
    struct replica_admit_options options = {
        .loop = data->loop,
        .log = data->log,
        .cluster = name_slice(&data->settings->cluster),
        .group = name_slice(&data->group->name),
        .id = data->settings->node_id,
        .members = members,
        .member_count = list_members(data, members),
        .client_host = own_client_host(data),
        .identity = &data->identity,
        .set_aside = tree_exists(damaged),
        .canceled = data->canceled,
    };
    tell_wait(data);
    enum status status = replica_admit(&options, &admission, &decision, &error);
    if (error != NULL) {
        log_error(data->log, "cannot ask the other members", "%s", error);
        free(error);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (decision.verdict == ADMISSION_BOOTSTRAP) {
        return begin_new_group(data, directory, &admission);
    }
    log_warn(data->log,
             decision.verdict == ADMISSION_JOIN ? "joining a group that exists"
                                                : "this member's data is gone, getting a copy",
             "term=%" PRIu64, decision.state.term);
    struct group_copy copy = {.state = decision.state};
    copy.server_count = list_peers(&admission, copy.servers);
    return group_data_copy(data, &copy);
}

/* Copy what a member had that still knows its term and vote. */
static enum status copy_lost_log(struct group_data *data, const struct term_vote_state *state)
{
    struct group_copy copy = {.state = *state};
    for (size_t i = 0; i < data->group->member_count; i++) {
        const struct member_settings *member = &data->group->members[i];
        if (member->id != data->settings->node_id) {
            struct replica_voter *server = &copy.servers[copy.server_count++];
            server->id = member->id;
            replica_address_format(member->raft_host, server->address);
        }
    }
    copy.state.rejoin_term = state->term > state->rejoin_term ? state->term : state->rejoin_term;
    copy.state.rejoin_index = 0; // The leader says.
    return group_data_copy(data, &copy);
}

/* Give the directory an identity: the one it has, unless its log is gone. */
static enum status identify(struct group_data *data, const struct directory *directory, bool blank)
{
    struct random random = random_system();
    uint64_t fresh = random_next(&random) | 1;
    enum status status = replica_identity_open(directory, fresh, &data->identity);
    if (status == STATUS_OK && blank && data->identity.begun) {
        data->identity = (struct replica_identity){.number = fresh};
        status = replica_identity_store(directory, &data->identity);
    }
    return status == STATUS_OK ? status : fail(data, "cannot use the log's directory", status);
}

/* Look at what there is and decide. */
static enum status look(struct group_data *data, const struct directory *directory)
{
    enum replica_contents contents = REPLICA_BLANK;
    struct term_vote_state state;
    uint64_t group = replica_group_identity(name_slice(&data->settings->cluster),
                                            name_slice(&data->group->name));
    enum status status =
        replica_storage_look(directory, group, data->settings->node_id, &contents, &state);
    if (status != STATUS_OK) {
        return fail(data, "cannot read the log's directory", status);
    }
    status = identify(data, directory, contents == REPLICA_BLANK);
    if (status != STATUS_OK) {
        return status;
    }
    if (contents == REPLICA_BLANK) {
        return admit(data, directory);
    }
    bool first_start = state.term <= 1 && state.voted_for == 0 && !state.empty_origin;
    if (contents == REPLICA_VOTE && !first_start) {
        log_error(data->log, "the log is gone", "directory=%s; getting a copy", data->directory);
        return copy_lost_log(data, &state);
    }
    return STATUS_OK;
}

enum status group_data_prepare(struct group_data *data)
{
    char path[GROUP_PATH_SIZE];
    struct directory directory;
    enum status status = tree_make(data->directory);
    if (status == STATUS_OK) {
        status = take_copy(data);
    }
    if (status == STATUS_OK) {
        status = make_tree(data, "log");
    }
    group_data_path(data, "log", path);
    if (status == STATUS_OK) {
        status = directory_posix_open(path, &directory);
    }
    if (status != STATUS_OK) {
        log_error(data->log, "cannot use the data directory",
                  "directory=%s: %s; check storePathRootDir, its owner and the disk's free space",
                  data->directory, status_text(status));
        return status;
    }
    status = look(data, &directory);
    directory_posix_close(&directory);
    return status;
}

/* ---- Damage ---- */

enum status group_data_replace(struct group_data *data)
{
    if (data->others < 2) {
        return STATUS_CORRUPT; // The others alone are no majority: nobody could lead.
    }
    log_error(
        data->log, "this replica's data is damaged, getting a copy",
        "what is there is set aside in %s/damaged; delete it when it is no longer of interest",
        data->directory);
    enum status status = make_tree(data, "damaged");
    if (status == STATUS_OK) {
        status = replace_tree(data, "store", "damaged/store");
    }
    if (status == STATUS_OK) {
        status = replace_tree(data, "log", "damaged/log");
    }
    if (status != STATUS_OK) {
        return fail(data, "cannot set damaged data aside", status);
    }
    // What term and vote were is not carried over: a blank member asks for more than it needs, and
    // that is the careful side.
    return group_data_prepare(data);
}

/* ---- The last resort ---- */

enum status group_data_recover_alone(struct group_data *data)
{
    char path[GROUP_PATH_SIZE];
    char address[REPLICA_ADDRESS_SIZE];
    char *error = NULL;
    group_data_path(data, "log", path);
    replica_address_format(group_settings_member(data->group, data->settings->node_id)->raft_host,
                           address);
    struct replica_recover_options options = {
        .log = data->log,
        .group = replica_group_identity(name_slice(&data->settings->cluster),
                                        name_slice(&data->group->name)),
        .id = data->settings->node_id,
        .address = address,
        .segment_size = SEGMENT_SIZE,
    };
    // What was copied for the group as it was is no beginning of a copy of what it becomes.
    char copy[GROUP_PATH_SIZE];
    group_data_path(data, "copy", copy);
    enum status status = tree_remove(copy);
    if (status == STATUS_OK) {
        status = directory_posix_open(path, &options.directory);
    }
    if (status == STATUS_OK) {
        status = replica_recover_alone(&options, &error);
        directory_posix_close(&options.directory);
    }
    if (status != STATUS_OK) {
        log_error(data->log, "cannot become the only member", "%s",
                  error != NULL ? error : status_text(status));
    }
    free(error);
    return status;
}
