/* The others: links to them, what comes and goes over these, who may connect and what they are
 * told. */
#include "raft-glue/replica_host_internal.h"

#include "raft-glue/replica_address.h"

#include <inttypes.h>

/* ---- Links ---- */

static void update_links(struct replica_host *host)
{
    struct replica_known known[REPLICA_KNOWN_MAX];
    uint64_t ids[REPLICA_KNOWN_MAX];
    uint64_t version = 0;
    size_t count = replica_known(host->replica, known, &version);
    if (version == host->linked_version) {
        return;
    }
    host->linked_version = version;
    for (size_t i = 0; i < count; i++) {
        ids[i] = known[i].server.id;
    }
    replica_peers_keep(host->peers, ids, count);
    for (size_t i = 0; i < count; i++) {
        struct host address;
        if (ids[i] != host->options.id &&
            replica_address_parse(known[i].server.address, &address) == STATUS_OK) {
            replica_peers_set(host->peers, ids[i], address);
        }
    }
}

/* A membership was committed: who is not in it hears so when it connects again. */
static void part_with_removed(struct replica_host *host)
{
    bool pending = false;
    uint64_t change = replica_change_index(host->replica, &pending);
    if (pending || change == host->settled_change) {
        return;
    }
    host->settled_change = change;
    struct replica_known known[REPLICA_KNOWN_MAX];
    uint64_t version = 0;
    size_t count = replica_known(host->replica, known, &version);
    for (size_t i = 0; i < count; i++) {
        if (known[i].role < 0) {
            replica_peers_renew_from(host->peers, known[i].server.id);
        }
    }
}

static void on_message(void *context, const struct replica_inbound *inbound)
{
    struct replica_host *host = context;
    if (!host->closing) {
        replica_receive(host->replica, inbound);
        replica_host_pump(host);
    }
}

static bool may_send(void *context, uint64_t term)
{
    struct replica_host *host = context;
    return !host->closing && replica_leads_term(host->replica, term);
}

void replica_host_send(void *context, const struct replica_outbound *outbound)
{
    struct replica_host *host = context;
    // During the very first step there are no links yet.
    if (host->peers != NULL && !host->closing) {
        replica_peers_send(host->peers, outbound);
    }
}

/* ---- Who may connect, and what they are told ---- */

static enum hello_answer judge_hello(void *context, const struct hello *hello)
{
    struct replica_host *host = context;
    if (host->closing) {
        return HELLO_NOT_READY;
    }
    if (hello->kind == HELLO_PROBE) {
        // Who has lost its own memory cannot vouch for what was promised.
        bool vouches =
            !replica_abstaining(host->replica) && segment_log_last_index(host->storage.log) > 0;
        return vouches ? HELLO_WELCOME : HELLO_NOT_READY;
    }
    if (hello->kind == HELLO_FETCH) {
        // What is wanted of the copy, and whether we have it, it says when it begins.
        return segment_log_last_index(host->storage.log) > 0 ? HELLO_WELCOME : HELLO_NOT_READY;
    }
    if (hello->raft_host.port != 0) {
        char address[REPLICA_ADDRESS_SIZE];
        replica_address_format(hello->raft_host, address);
        replica_meet(host->replica, hello->sender, address); // A leader may be told to add it.
        update_links(host);
    }
    if (replica_outside(host->replica, hello->sender, hello->change)) {
        return HELLO_REMOVED;
    }
    return replica_knows(host->replica, hello->sender) ? HELLO_WELCOME : HELLO_UNKNOWN_SENDER;
}

/* The role of this server in the newest membership that it knows itself; -1: none. */
static int own_role(const struct replica_host *host)
{
    struct replica_known known[REPLICA_KNOWN_MAX];
    uint64_t version = 0;
    size_t count = replica_known(host->replica, known, &version);
    for (size_t i = 0; i < count; i++) {
        if (known[i].server.id == host->options.id) {
            return known[i].role;
        }
    }
    return -1;
}

static bool on_removed(void *context, uint64_t by)
{
    struct replica_host *host = context;
    if (own_role(host) < 0) {
        return false; // It waits to be added, and hears of the addition of another.
    }
    if (!host->removed) {
        log_error(host->options.log, "this replica was removed from the group",
                  "says member=%" PRIu64 "; stop this node, or take the group out of its "
                  "configuration; to bring it back, empty its data directory and use 'raftmq node "
                  "add'",
                  by);
    }
    bool pending = false;
    host->removed = true;
    host->removed_change = replica_change_index(host->replica, &pending);
    return true;
}

/* By a later membership it is one again. */
static void look_whether_added(struct replica_host *host)
{
    bool pending = false;
    if (host->removed && replica_change_index(host->replica, &pending) > host->removed_change &&
        own_role(host) >= 0) {
        host->removed = false;
        log_info(host->options.log, "this replica belongs to the group again", "");
    }
}

void replica_host_keep_links(struct replica_host *host)
{
    update_links(host);
    part_with_removed(host);
    look_whether_added(host);
}

void replica_host_on_damage(void *context, uint64_t index)
{
    struct replica_host *host = context;
    log_error(host->options.log, "entries that another member needs are damaged on disk",
              "from entry=%" PRIu64, index);
    host->damage_seen = true;
}

static uint64_t change_index(void *context)
{
    struct replica_host *host = context;
    bool pending = false;
    return replica_change_index(host->replica, &pending);
}

static void describe(void *context, const struct hello *hello, struct probe *probe)
{
    struct replica_host *host = context;
    struct replica_state state = replica_state(host->replica);
    bool pending = false;
    probe->counted = replica_identity_counts(&host->identity, hello->sender, hello->identity);
    probe->leader = state.role == REPLICA_LEADER;
    probe->identity = host->identity.number;
    probe->term = state.term;
    probe->last_index = segment_log_last_index(host->storage.log);
    probe->leader_id = state.leader_id;
    probe->change_index = replica_change_index(host->replica, &pending);
    probe->change = replica_membership(host->replica);
}

/* ---- Start ---- */

static struct host own_raft_host(const struct replica_host *host)
{
    for (size_t i = 0; i < host->options.member_count; i++) {
        if (host->members[i].id == host->options.id) {
            return host->members[i].raft_host;
        }
    }
    UNREACHABLE();
}

enum status replica_host_start_peers(struct replica_host *host, char **error)
{
    uint64_t ids[MEMBERS_MAX];
    for (size_t i = 0; i < host->options.member_count; i++) {
        ids[i] = host->members[i].id;
    }
    struct replica_peers_options options = {
        .loop = host->options.loop,
        .log = host->options.log,
        .self = host->options.id,
        .raft_host = own_raft_host(host),
        .client_host = host->options.client_host,
        .members_hash = hello_members_hash(ids, host->options.member_count),
        .identity = host->identity.number,
        .cluster = host->options.cluster,
        .group = host->options.group,
        .segments = host->storage.log,
        .context = host,
        .on_message = on_message,
        .may_send = may_send,
        .judge = judge_hello,
        .on_damage = replica_host_on_damage,
        .on_removed = on_removed,
        .change_index = change_index,
        .describe = describe,
        .fetch = host->fetch,
    };
    return replica_peers_start(&options, &host->peers, error);
}
