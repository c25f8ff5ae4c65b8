#include "broker/core/settings_addresses.h"

#include "common/base/config.h"
#include "common/base/decimal.h"
#include "common/remoting/names.h"

#include <string.h>

static bool next_part(struct slice *rest, char separator, struct slice *part)
{
    while (rest->size > 0) {
        const uint8_t *end = memchr(rest->data, separator, rest->size);
        *part = *rest;
        part->size = end == NULL ? rest->size : (size_t)(end - rest->data);
        *rest = slice_from(*rest, part->size + (end == NULL ? 0 : 1));
        if (part->size > 0) {
            return true;
        }
    }
    return false;
}

/* "1@10.0.0.1:10911:20911" */
static bool parse_node(struct slice text, struct member_settings *node)
{
    struct slice parts[2];
    struct slice rest = text;
    int64_t id;
    if (!next_part(&rest, '@', &parts[0]) || !decimal_parse(parts[0], &id) || id < 1 || id > 255) {
        return false;
    }
    const uint8_t *colon = memrchr(rest.data, ':', rest.size);
    int64_t raft_port;
    if (colon == NULL) {
        return false;
    }
    parts[0] = slice_of(rest.data, (size_t)(colon - rest.data));
    parts[1] = slice_from(rest, parts[0].size + 1);
    if (host_parse(parts[0], &node->client_host) != STATUS_OK || node->client_host.port == 0 ||
        !decimal_parse(parts[1], &raft_port) || raft_port < 1 || raft_port > 65535) {
        return false;
    }
    node->id = (uint64_t)id;
    node->raft_host = (struct host){node->client_host.address, (uint32_t)raft_port};
    return true;
}

static bool same_host(struct host a, struct host b)
{
    return a.address == b.address && a.port == b.port;
}

static bool shares_port(const struct group_settings *all, const struct member_settings *node)
{
    bool shares = same_host(node->client_host, node->raft_host);
    for (size_t i = 0; i < all->member_count; i++) {
        const struct member_settings *other = &all->members[i];
        shares |= same_host(node->client_host, other->client_host) ||
                  same_host(node->client_host, other->raft_host) ||
                  same_host(node->raft_host, other->client_host) ||
                  same_host(node->raft_host, other->raft_host);
    }
    return shares;
}

static enum status parse_nodes(const char *text, struct group_settings *all, const struct log *log)
{
    struct slice rest = slice_text(text);
    struct slice part;
    while (next_part(&rest, ';', &part)) {
        struct member_settings node;
        if (!parse_node(part, &node)) {
            log_error(log, "bad node", "nodes=%.*s; a node is id@ip:clientPort:raftPort",
                      SLICE_ARGS(part));
            return STATUS_INVALID_ARGUMENT;
        }
        if (all->member_count == MEMBERS_MAX || group_settings_member(all, node.id) != NULL) {
            log_error(log, "bad nodes", "value=%s; at most %d, each id once", text, MEMBERS_MAX);
            return STATUS_INVALID_ARGUMENT;
        }
        if (shares_port(all, &node)) {
            log_error(log, "bad nodes", "value=%s; an address with its port may be there only once",
                      text);
            return STATUS_INVALID_ARGUMENT;
        }
        size_t at = all->member_count++;
        for (; at > 0 && all->members[at - 1].id > node.id; at--) {
            all->members[at] = all->members[at - 1];
        }
        all->members[at] = node;
    }
    return STATUS_OK;
}

/* Take a node into a group; false if the group's ports would be beyond the last one. */
static bool add_member(struct group_settings *group, const struct member_settings *node,
                       uint32_t port_offset)
{
    enum { PORT_MAX = 65535 };
    struct member_settings *member = &group->members[group->member_count++];
    *member = *node;
    member->client_host.port += port_offset;
    member->raft_host.port += port_offset;
    return member->client_host.port <= PORT_MAX && member->raft_host.port <= PORT_MAX;
}

/* Is a node among "1,2,3"? */
static bool lists_node(struct slice ids, uint64_t node_id)
{
    struct slice text;
    int64_t id;
    while (next_part(&ids, ',', &text)) {
        if (decimal_parse(text, &id) && id > 0 && (uint64_t)id == node_id) {
            return true;
        }
    }
    return false;
}

/* Does every part of "1,2,3" name a node? */
static bool ids_known(struct slice ids, const struct group_settings *all)
{
    struct slice text;
    int64_t id;
    bool known = ids.size > 0;
    while (known && next_part(&ids, ',', &text)) {
        known =
            decimal_parse(text, &id) && id > 0 && group_settings_member(all, (uint64_t)id) != NULL;
    }
    return known;
}

/* "broker-a", or "room@broker-a": clients that share out queues by machine room
 * (AllocateMessageQueueByMachineRoom) look for the room there. */
static bool broker_name_valid(struct slice name)
{
    const uint8_t *at = name.size == 0 ? NULL : memchr(name.data, '@', name.size);
    if (at == NULL) {
        return topic_name_valid(name);
    }
    size_t room_size = (size_t)(at - name.data);
    return name.size <= TOPIC_NAME_MAX && topic_name_valid(slice_of(name.data, room_size)) &&
           topic_name_valid(slice_from(name, room_size + 1));
}

/* Where a list of ids begins: behind the last '@', if there is nothing else behind it. */
static bool find_ids(struct slice text, size_t *begin)
{
    size_t at = text.size;
    while (at > 0 &&
           (text.data[at - 1] == ',' || (text.data[at - 1] >= '0' && text.data[at - 1] <= '9'))) {
        at--;
    }
    *begin = at;
    return at > 0 && text.data[at - 1] == '@';
}

/* A broker's name; after that "@1,2,3", or nothing for all nodes. */
static enum status parse_group(struct slice text, const struct group_settings *all, uint32_t number,
                               uint32_t port_offset, struct group_settings *group,
                               const struct log *log)
{
    struct slice ids = {0};
    struct slice name = text;
    size_t ids_at;
    *group = (struct group_settings){0};
    bool everywhere = !find_ids(text, &ids_at);
    if (!everywhere) {
        ids = slice_from(text, ids_at);
        name.size = ids_at - 1;
    }
    if (!broker_name_valid(name) || !name_set(&group->name, name)) {
        log_error(log, "bad group name",
                  "groups=%.*s; use A-Z a-z 0-9 _ -, before them a machine room and @ if you like, "
                  "after them @ and ids of `nodes`",
                  SLICE_ARGS(text));
        return STATUS_INVALID_ARGUMENT;
    }
    if (!everywhere && !ids_known(ids, all)) {
        log_error(log, "bad nodes of a group", "groups=%.*s; after @ come ids of `nodes`",
                  SLICE_ARGS(text));
        return STATUS_INVALID_ARGUMENT;
    }
    for (size_t i = 0; i < all->member_count; i++) {
        const struct member_settings *node = &all->members[i];
        bool member = everywhere || lists_node(ids, node->id);
        if (member && !add_member(group, node, port_offset)) {
            log_error(log, "no port left", "groups=%.*s offset=%u; lower portStep or the ports",
                      SLICE_ARGS(text), port_offset);
            return STATUS_INVALID_ARGUMENT;
        }
    }
    if (group->member_count == 0) {
        log_error(log, "a group without nodes", "groups=%.*s; name ids of `nodes`",
                  SLICE_ARGS(text));
        return STATUS_INVALID_ARGUMENT;
    }
    group->preferred_id = group->members[number % group->member_count].id;
    return STATUS_OK;
}

static bool is_known_group(const struct settings *settings, const struct name *name)
{
    for (size_t i = 0; i < settings->group_count; i++) {
        if (slice_equals(name_slice(&settings->groups[i].name), name_slice(name))) {
            return true;
        }
    }
    return false;
}

enum status settings_parse_groups(struct settings *settings, const struct log *log)
{
    const struct config *config = settings->config;
    struct group_settings all = {0};
    struct slice rest = slice_text(config_text(config, "groups"));
    struct slice part;
    enum status status = parse_nodes(config_text(config, "nodes"), &all, log);
    uint32_t offset = 0;
    for (uint32_t n = 0; status == STATUS_OK && next_part(&rest, ';', &part); n++) {
        if (settings->group_count == GROUPS_PER_NODE_MAX) {
            log_error(log, "too many groups", "limit=%d", GROUPS_PER_NODE_MAX);
            return STATUS_INVALID_ARGUMENT;
        }
        struct group_settings *group = &settings->groups[settings->group_count];
        offset = n * (uint32_t)config_integer(config, "portStep");
        status = parse_group(part, &all, n, offset, group, log);
        if (status == STATUS_OK && is_known_group(settings, &group->name)) {
            log_error(log, "a group twice", "name=%s", group->name.text);
            return STATUS_INVALID_ARGUMENT;
        }
        // A group that has no replica here only takes its number, so that ports agree everywhere.
        if (status == STATUS_OK && group_settings_member(group, settings->node_id) != NULL) {
            settings->group_count++;
        }
    }
    if (status == STATUS_OK && settings->group_count == 0) {
        log_error(log, "this node has no group",
                  "nodeId=%llu; it must be in `nodes`, and `groups` "
                  "must name it",
                  (unsigned long long)settings->node_id);
        status = STATUS_INVALID_ARGUMENT;
    }
    return status;
}

enum status settings_parse_nameservers(struct settings *settings, const struct log *log)
{
    const char *text = config_text(settings->config, "namesrvAddr");
    struct slice rest = slice_text(text);
    struct slice part;
    while (next_part(&rest, ';', &part)) {
        if (settings->nameserver_count == NAMESERVERS_MAX ||
            host_parse(part, &settings->nameservers[settings->nameserver_count]) != STATUS_OK) {
            log_error(log, "bad nameservers",
                      "namesrvAddr=%s; at most %d times ip:port, "
                      "separated by ;",
                      text, NAMESERVERS_MAX);
            return STATUS_INVALID_ARGUMENT;
        }
        settings->nameserver_count++;
    }
    return STATUS_OK;
}

const struct member_settings *group_settings_member(const struct group_settings *group, uint64_t id)
{
    for (size_t i = 0; i < group->member_count; i++) {
        if (group->members[i].id == id) {
            return &group->members[i];
        }
    }
    return NULL;
}
