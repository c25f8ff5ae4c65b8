#include "raft-glue/replica_configuration.h"

#include "common/base/bytes.h"

struct view {
    uint64_t id;
    struct slice address;
};

/* Read one server; false if the bytes end before it does. */
static bool read_server(struct slice *bytes, struct view *server)
{
    if (bytes->size < 8) {
        return false;
    }
    server->id = le64_get(bytes->data);
    *bytes = slice_from(*bytes, 8);
    const uint8_t *end = bytes->size == 0 ? NULL : memchr(bytes->data, 0, bytes->size);
    if (end == NULL) {
        return false;
    }
    server->address = slice_of(bytes->data, (size_t)(end - bytes->data));
    *bytes = slice_from(*bytes, server->address.size + 1);
    if (bytes->size == 0 || bytes->data[0] > RAFT_SPARE) {
        return false;
    }
    *bytes = slice_from(*bytes, 1);
    return server->id != 0 && server->address.size > 0 &&
           server->address.size <= CONFIGURATION_ADDRESS_MAX;
}

bool configuration_valid(struct slice bytes)
{
    struct view servers[CONFIGURATION_SERVERS_MAX];
    if (bytes.size < 9 || bytes.size % 8 != 0 || bytes.data[0] != 1) {
        return false;
    }
    uint64_t count = le64_get(bytes.data + 1);
    bytes = slice_from(bytes, 9);
    if (count > CONFIGURATION_SERVERS_MAX) {
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (!read_server(&bytes, &servers[i])) {
            return false;
        }
        for (uint64_t j = 0; j < i; j++) {
            if (servers[j].id == servers[i].id ||
                slice_equals(servers[j].address, servers[i].address)) {
                return false;
            }
        }
    }
    return bytes.size < 8;
}

struct raft_configuration configuration_decode(struct slice bytes)
{
    struct raft_configuration configuration;
    struct raft_buffer buffer = {.base = (void *)(uintptr_t)bytes.data, .len = bytes.size};
    if (raft_configuration_decode(&buffer, &configuration) != 0) {
        FATAL("a membership entry that was checked cannot be decoded; restart this node");
    }
    return configuration;
}

struct raft_buffer configuration_encode(const struct raft_configuration *configuration)
{
    struct raft_buffer buffer;
    if (raft_configuration_encode(configuration, &buffer) != 0) {
        FATAL("out of memory while encoding the membership; restart this node");
    }
    return buffer;
}

unsigned configuration_voters(const struct raft_configuration *configuration)
{
    unsigned count = 0;
    for (unsigned i = 0; i < configuration->n; i++) {
        count += configuration->servers[i].role == RAFT_VOTER;
    }
    return count;
}

struct raft_server *configuration_find(const struct raft_configuration *configuration, uint64_t id)
{
    for (unsigned i = 0; i < configuration->n; i++) {
        if (configuration->servers[i].id == id) {
            return &configuration->servers[i];
        }
    }
    return NULL;
}

bool configuration_lone_voter(const struct raft_configuration *configuration, uint64_t id)
{
    const struct raft_server *self = configuration_find(configuration, id);
    return self != NULL && self->role == RAFT_VOTER && configuration_voters(configuration) == 1;
}
