/* Every message, read back from every replica by a client that asks each of them directly. */
#include "client/include/raftmq.h"
#include "common/remoting/codes.h"
#include "common/remoting/message.h"
#include "tests/sim/cluster/sim_audit.h"
#include "tests/sim/cluster/sim_ledger.h"
#include "tests/sim/cluster/sim_members.h"
#include "tests/sim/cluster/sim_nodes.h"
#include "tests/sim/os/sim_thread.h"

#include <inttypes.h>
#include <stdio.h>

enum { READER_ADDRESS = 0x0A000401, PORT_STEP = 10, TRIES = 300, FIELDS = 10 };

static struct {
    struct sim_host *host;
    struct raftmq_client *client;
    bool done;
    bool members[SIM_NODES_MAX][SIM_GROUPS_MAX];
} reader;

/* One pull; how many messages came. */
static size_t check_answer(const struct ledger_group *group, const char *address,
                           const struct ledger_queue *queue, int64_t offset,
                           const struct raftmq_response *response)
{
    size_t count = 0;
    struct slice rest = slice_of(response->body, response->body_size);
    while (rest.size > 0) {
        struct message message;
        size_t size;
        if (message_decode(rest, &message, &size) != STATUS_OK ||
            message.queue_offset != offset + (int64_t)count) {
            sim_violation("readable", "%s answers a pull of %s/%d at %" PRId64 " with rubbish",
                          address, queue->topic.text, queue->queue_id, offset);
        }
        ledger_seen((struct ledger_group *)group, address, name_slice(&queue->topic),
                    queue->queue_id, message.queue_offset, message.body);
        rest = slice_from(rest, size);
        count++;
    }
    return count;
}

static size_t pull(const struct ledger_group *group, const char *address,
                   const struct ledger_queue *queue, int64_t offset)
{
    char texts[2][24];
    snprintf(texts[0], sizeof texts[0], "%d", queue->queue_id);
    snprintf(texts[1], sizeof texts[1], "%" PRId64, offset);
    const struct raftmq_property fields[FIELDS] = {
        {"consumerGroup", "AUDIT"}, {"topic", queue->topic.text}, {"queueId", texts[0]},
        {"queueOffset", texts[1]},  {"maxMsgNums", "32"},         {"sysFlag", "4"},
        {"commitOffset", "0"},      {"subscription", "*"},        {"suspendTimeoutMillis", "0"},
        {"subVersion", "0"},
    };
    for (int i = 0; i < TRIES; i++) {
        if ((size_t)offset < queue->first) {
            return queue->first - (size_t)offset; // Cut since.
        }
        struct raftmq_response *response;
        struct raftmq_error error;
        if (raftmq_invoke(reader.client, address, REQUEST_PULL_MESSAGE, fields, FIELDS, NULL, 0, 0,
                          &response, &error) == RAFTMQ_OK) {
            size_t count = response->code == RESPONSE_SUCCESS
                               ? check_answer(group, address, queue, offset, response)
                               : 0;
            raftmq_response_free(response);
            if (count > 0) {
                return count;
            }
        }
        sim_sleep(100 * SIM_MS);
    }
    sim_violation("readable", "%s does not give %s/%d offset %" PRId64 " of %s any more", address,
                  queue->topic.text, queue->queue_id, offset, group->name.text);
}

static void read_group(size_t node, size_t place)
{
    const struct ledger_group *group = ledger_group(slice_text(sim_group_name(place)));
    char address[32];
    snprintf(address, sizeof address, "10.0.1.%zu:%zu", node + 1,
             SIM_CLIENT_PORT + PORT_STEP * place);
    MAP_FOREACH(at, &group->queues)
    {
        const struct ledger_queue *queue = CONTAINER_OF(at, struct ledger_queue, by_key);
        for (size_t offset = queue->first; offset < queue->count;) {
            offset += pull(group, address, queue, (int64_t)offset);
        }
    }
}

static void reader_main(void *argument)
{
    (void)argument;
    struct raftmq_error error;
    const struct raftmq_client_options options = {
        .nameservers = sim_nameserver_addresses(), .instance_name = "audit", .worker_threads = 1};
    if (raftmq_client_new(&options, &reader.client, &error) != RAFTMQ_OK) {
        sim_violation("client", "no client for the audit: %s", error.remark);
    }
    for (size_t node = 0; node < sim_node_count(); node++) {
        for (size_t group = 0; group < ledger_group_count() && sim_node_up(node); group++) {
            if (reader.members[node][group]) {
                read_group(node, group);
            }
        }
    }
    raftmq_client_close(reader.client);
    sim_process_die(SIM_EXIT);
}

static void on_death(void *context, enum sim_death death)
{
    (void)context;
    reader.done = death == SIM_EXIT;
}

void sim_audit_read_begin(void)
{
    reader.done = false;
    for (size_t node = 0; node < sim_node_count(); node++) {
        for (size_t group = 0; group < sim_group_count(); group++) {
            reader.members[node][group] = sim_is_member(node, group);
        }
    }
    reader.host = sim_host_new("audit", READER_ADDRESS);
    sim_process_start(reader.host, reader_main, NULL, on_death, NULL);
}

bool sim_audit_read_done(void)
{
    return reader.done;
}

void sim_audit_close(void)
{
    if (reader.host != NULL && reader.host->process != NULL) {
        sim_process_kill(reader.host->process, SIM_KILL);
    }
    reader.host = NULL;
}
