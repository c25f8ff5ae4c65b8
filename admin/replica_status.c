#include "admin/replica_status.h"

#include "admin/output.h"
#include "common/remoting/codes.h"
#include "common/remoting/extension.h"

#include <stdlib.h>
#include <string.h>

enum { LAG_HEALTHY = 1000, REPLICAS_MAX = 2 * MEMBERS_MAX };

struct members {
    size_t count;
    char *addresses[REPLICAS_MAX];
};

static void members_add(struct members *members, struct slice address);
static void members_close(struct members *members);
static json_t *replica_row(struct cli *cli, const struct broker_data *group, const char *address,
                           struct members *members);
static void rows_compare(json_t *group, json_t *rows);

json_t *group_status(struct cli *cli, const struct broker_data *group)
{
    struct members members = {0};
    json_t *rows = json_array();
    for (size_t i = 0; i < group->address_count; i++) {
        members_add(&members, group->addresses[i].address);
    }
    for (size_t i = 0; i < members.count; i++) { // Grows as replicas name others.
        json_array_append_new(rows, replica_row(cli, group, members.addresses[i], &members));
    }
    members_close(&members);
    json_t *result = json_pack("{s:o, s:o}", "group", json_slice(group->name), "cluster",
                               json_slice(group->cluster));
    rows_compare(result, rows);
    json_object_set_new(result, "replicas", rows);
    return result;
}

/* Ask one replica. A new object, or NULL and in *health what the row shall say. */
static json_t *replica_status(struct cli *cli, const char *address, const char **health)
{
    struct command request;
    struct cli_reply reply = {0};
    json_t *status = NULL;
    *health = "unreachable";
    command_init_request(&request, REQUEST_RAFTMQ_STATUS, 1);
    if (cli_call(cli, address, &request, &reply)) {
        *health = "not raftmq";
        if (reply.command.code == RESPONSE_SUCCESS) {
            status = json_parse(reply.command.body);
        }
    }
    cli_reply_close(&reply);
    if (!json_is_object(status)) {
        json_decref(status);
        return NULL;
    }
    *health = "ok";
    return status;
}

static void members_add(struct members *members, struct slice address)
{
    if (address.size == 0 || members->count == REPLICAS_MAX) {
        return;
    }
    for (size_t i = 0; i < members->count; i++) {
        if (slice_equals_text(address, members->addresses[i])) {
            return;
        }
    }
    members->addresses[members->count++] = mem_copy_text(address);
}

static void members_close(struct members *members)
{
    for (size_t i = 0; i < members->count; i++) {
        free(members->addresses[i]);
    }
}

/* A member of the answer under the name of the row; absent ones stay absent. */
static void copy(json_t *row, const char *to, const json_t *status, const char *from)
{
    json_t *value = json_object_get(status, from);
    if (value != NULL) {
        json_object_set(row, to, value);
    }
}

static bool is_member(const json_t *member)
{
    // An older broker does not say; its members were fixed.
    const char *is = json_string_value(json_object_get(member, "membership"));
    return is == NULL || strcmp(is, "none") != 0;
}

/* What is wrong with a replica that answers, by what it says of itself alone. */
static const char *own_health(const json_t *status)
{
    const char *room = json_string_value(json_object_get(status, "logRoom"));
    if (json_is_true(json_object_get(status, "removed"))) {
        return "removed";
    }
    if (json_integer_value(json_object_get(status, "damagedFrames")) > 0) {
        return "log damaged";
    }
    if (room != NULL && strcmp(room, "none") == 0) {
        return "no room";
    }
    if (json_is_true(json_object_get(status, "diskFull")) ||
        (room != NULL && strcmp(room, "low") == 0)) {
        return "disk full";
    }
    return json_is_true(json_object_get(status, "abstaining")) ? "recovering" : "ok";
}

static json_t *replica_row(struct cli *cli, const struct broker_data *group, const char *address,
                           struct members *members)
{
    const char *health;
    json_t *row = json_pack("{s:o, s:s}", "group", json_slice(group->name), "address", address);
    json_t *status = replica_status(cli, address, &health);
    json_object_set_new(row, "health", json_string(health));
    if (status == NULL) {
        return row;
    }
    copy(row, "memberId", status, "memberId");
    copy(row, "role", status, "role");
    copy(row, "term", status, "term");
    copy(row, "commit", status, "commitIndex");
    copy(row, "applied", status, "appliedIndex");
    copy(row, "last", status, "lastIndex");
    copy(row, "clients", status, "clientConnections");
    copy(row, "version", status, "version");
    size_t i;
    json_t *member;
    json_array_foreach(json_object_get(status, "members"), i, member)
    {
        if (is_member(member)) {
            members_add(members,
                        slice_text(json_string_value(json_object_get(member, "clientAddr"))));
        }
    }
    json_object_set_new(row, "health", json_string(own_health(status)));
    json_object_set_new(row, "status", status);
    return row;
}

static json_int_t integer(const json_t *row, const char *key)
{
    return json_integer_value(json_object_get(row, key));
}

/* The leader of the highest term, if any: a deposed one may not know yet. */
static json_t *leader_of(const json_t *rows)
{
    json_t *leader = NULL;
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row)
    {
        const char *role = json_string_value(json_object_get(row, "role"));
        if (role != NULL && strcmp(role, "leader") == 0 &&
            (leader == NULL || integer(row, "term") > integer(leader, "term"))) {
            leader = row;
        }
    }
    return leader;
}

/* Does the leader count the replica at this address among the members? */
static bool leader_counts(const json_t *leader, const char *address)
{
    size_t i;
    json_t *member;
    json_array_foreach(json_object_get(json_object_get(leader, "status"), "members"), i, member)
    {
        const char *its = json_string_value(json_object_get(member, "clientAddr"));
        if (its != NULL && strcmp(its, address) == 0) {
            return is_member(member);
        }
    }
    return false;
}

/* Who does not answer and is no member any more is only remembered by the nameserver. */
static void drop_former(json_t *rows, const json_t *leader)
{
    for (size_t i = json_array_size(rows); leader != NULL && i > 0; i--) {
        const json_t *row = json_array_get(rows, i - 1);
        const char *address = json_string_value(json_object_get(row, "address"));
        if (json_object_get(row, "status") == NULL && !leader_counts(leader, address)) {
            json_array_remove(rows, i - 1);
        }
    }
}

/* Fill in what only the comparison with the leader shows; *health is the group's so far. */
static void row_compare(json_t *row, const json_t *leader, const char **health)
{
    const char *own = json_string_value(json_object_get(row, "health"));
    if (json_object_get(row, "status") == NULL) {
        *health = leader == NULL ? *health : "replica down";
        return;
    }
    bool fine = strcmp(own, "ok") == 0;
    if (leader != NULL) {
        json_int_t lag = integer(leader, "last") - integer(row, "applied");
        json_object_set_new(row, "lag", json_integer(lag < 0 ? 0 : lag));
        if (lag > LAG_HEALTHY && fine) {
            json_object_set_new(row, "health", json_string("behind"));
            *health = strcmp(*health, "ok") == 0 ? "replica behind" : *health;
        }
    }
    if (!fine && strcmp(own, "removed") != 0 && strcmp(*health, "ok") == 0) {
        *health = own;
    }
}

/* Fill in lag and health of all rows and of the group. */
static void rows_compare(json_t *group, json_t *rows)
{
    json_t *leader = leader_of(rows);
    const char *health = leader == NULL ? "no leader" : "ok";
    size_t i;
    json_t *row;
    drop_former(rows, leader);
    json_array_foreach(rows, i, row)
    {
        row_compare(row, leader, &health);
    }
    if (leader != NULL) {
        json_object_set(group, "leader", json_object_get(leader, "address"));
        json_object_set(group, "term", json_object_get(leader, "term"));
        const json_t *status = json_object_get(leader, "status");
        if (json_is_false(json_object_get(status, "quorumFresh"))) {
            json_object_set_new(leader, "health", json_string("no quorum"));
            health = "no quorum";
        }
    }
    json_object_set_new(group, "health", json_string(health));
    json_object_set_new(group, "healthy", json_boolean(strcmp(health, "ok") == 0));
}
