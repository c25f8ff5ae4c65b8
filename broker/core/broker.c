#include "broker/core/broker.h"

#include "broker/core/dispatch.h"
#include "broker/core/process_client.h"
#include "broker/core/processors.h"
#include "broker/core/relay.h"
#include "broker/core/system_topics.h"
#include "common/remoting/codes.h"
#include "common/remoting/extension.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    EXPIRE_PERIOD_MS = 10000, /* As ClientHousekeepingService. */
    CLOCK_TICK_PERIOD_MS = 30000,
    /* Those of forwarded batches and of relayed requests are other numbers. */
    HELLO_OPAQUE = 0,
};

static void on_result(void *context, uint32_t ordinal, const struct operation *operation,
                      const struct operation_result *result);
static void on_queue_grown(void *context, const struct queue *queue, int64_t first);
static void count_grown(struct broker *broker);
static void on_topic_changed(void *context, const struct topic *topic, bool deleted);

void broker_init(struct broker *broker, const struct settings *settings,
                 const struct group_settings *group, const struct broker_ports *ports,
                 const struct log *log, struct random random)
{
    *broker = (struct broker){
        .settings = settings,
        .group = group,
        .self = group_settings_member(group, settings->node_id),
        .ports = ports,
        .log = log,
        .random = random,
        .started_ms = clock_wall_ms(ports->clock),
        .expired_ms = clock_monotonic_ms(ports->clock),
    };
    ASSERT(broker->self != NULL);
    channels_init(&broker->channels, &ports->transport);
    proposer_init(&broker->proposer, broker);
    cold_reads_init(&broker->cold_reads, broker);
    key_searches_init(&broker->key_searches, broker);
    pulls_init(&broker->pulls, broker);
    pops_init(&broker->pops, broker);
    client_calls_init(&broker->client_calls, broker);
    checker_init(&broker->checker, broker);
    scheduler_init(&broker->scheduler, broker);
    balancer_init(&broker->balancer, broker);
    retention_init(&broker->retention, broker);
    log_clock_init(&broker->log_clock, ports->clock);
    broker->relay = relay_new(broker);
}

void broker_close(struct broker *broker)
{
    broker->stopping = true;
    checker_close(&broker->checker);
    client_calls_close(&broker->client_calls);
    key_searches_close(&broker->key_searches);
    cold_reads_close(&broker->cold_reads);
    relay_free(broker->relay);
    broker->relay = NULL;
    pulls_close(&broker->pulls);
    proposer_close(&broker->proposer);
    pops_close(&broker->pops); // Those under way have ended with their operations.
    channels_close(&broker->channels);
    rates_close(&broker->rates);
    map_close(&broker->topics_changing); // Empty, for the same reason.
    buf_close(&broker->properties);
    buf_close(&broker->ids);
}

struct machine_events broker_machine_events(struct broker *broker)
{
    return (struct machine_events){
        .context = broker,
        .on_result = on_result,
        .on_queue_grown = on_queue_grown,
        .on_topic_changed = on_topic_changed,
    };
}

/* --- From the network --------------------------------------------------------------------- */

struct channel *broker_channel_open(struct broker *broker, void *transport, struct host host)
{
    return channels_open(&broker->channels, transport, host);
}

void broker_channel_close(struct broker *broker, struct channel *channel)
{
    bool relayed = channel->relayed;
    uint64_t id = channel->id;
    channel->transport = NULL;
    client_calls_drop(&broker->client_calls, channel);
    pulls_drop_channel(&broker->pulls, channel);
    pops_drop_channel(&broker->pops, channel);
    LIST_FOREACH(at, &channel->remotes)
    {
        struct channel *remote = CONTAINER_OF(at, struct channel, behind);
        pulls_drop_channel(&broker->pulls, remote);
        pops_drop_channel(&broker->pops, remote);
    }
    channels_drop(&broker->channels, channel, client_notify_changed, broker);
    if (relayed && broker->relay != NULL) {
        relay_channel_closed(broker->relay, id);
    }
}

void broker_on_command(struct broker *broker, struct channel *channel,
                       const struct command *command)
{
    if (command_is_response(command)) {
        client_calls_on_answer(&broker->client_calls, channel, command);
        return;
    }
    dispatch_request(broker, channel, command);
}

bool broker_on_leader_command(struct broker *broker, uint64_t connection,
                              const struct command *command)
{
    if (!command_is_response(command)) {
        relay_on_request(broker->relay, connection, command);
    } else if (command->opaque == HELLO_OPAQUE) {
        return command->code == 0;
    } else if (!proposer_on_answer(&broker->proposer, command)) {
        relay_on_answer(broker->relay, command);
    }
    return true;
}

uint64_t broker_on_leader_connected(struct broker *broker)
{
    char id[24];
    struct command hello;
    struct buf *out = broker->ports->leader_out(broker->ports->context);
    broker->leader_connection++;
    if (out == NULL) {
        return broker->leader_connection;
    }
    snprintf(id, sizeof id, "%" PRIu64, broker->self->id);
    command_init_request(&hello, REQUEST_RAFTMQ_FORWARD_HELLO, HELLO_OPAQUE);
    command_add(&hello, "cluster", name_slice(&broker->settings->cluster));
    command_add(&hello, "group", name_slice(&broker->group->name));
    command_add(&hello, "memberId", slice_text(id));
    command_encode(&hello, out);
    broker->ports->leader_flush(broker->ports->context);
    broker->announcing = true;
    client_announce(broker); // So that checks and notices reach those who are connected here.
    relay_on_leader_connected(broker->relay);
    proposer_on_leader_changed(&broker->proposer);
    proposer_turn(&broker->proposer);
    return broker->leader_connection;
}

void broker_on_leader_lost(struct broker *broker, uint64_t connection, enum status why)
{
    proposer_on_leader_lost(&broker->proposer, connection, why);
    relay_on_leader_lost(broker->relay, connection, why);
}

bool broker_wants_new_link(const struct broker *broker)
{
    return relay_missed_closing(broker->relay) ||
           (broker->leader_connection != 0 &&
            broker->proposer.silent_connection == broker->leader_connection);
}

bool broker_awaits_leader(const struct broker *broker, uint64_t connection)
{
    return proposer_awaits_leader(&broker->proposer, connection) ||
           relay_awaits_leader(broker->relay, connection);
}

/* --- From the replica --------------------------------------------------------------------- */

void broker_apply(struct broker *broker, const struct replica_entry *entry, void *proposal)
{
    struct batch *batch = proposal;
    broker->applying = batch;
    machine_apply(broker->machine, entry->index, entry->position, entry->payload);
    count_grown(broker);
    log_clock_saw(&broker->log_clock, machine_clock_ms(broker->machine));
    broker->applying = NULL;
    if (batch != NULL) {
        proposer_applied(&broker->proposer, batch);
    }
}

void broker_drop(struct broker *broker, void *proposal, enum status why)
{
    proposer_dropped(&broker->proposer, proposal, why);
}

void broker_on_state(struct broker *broker, const struct replica_state *state)
{
    bool led = broker_leads(broker);
    if (broker->state.leader_id != state->leader_id || broker->state.term != state->term) {
        proposer_on_leader_changed(&broker->proposer);
    }
    broker->state = *state;
    if (broker_leads(broker) == led) {
        return;
    }
    log_info(broker->log, led ? "no longer leader" : "leader, serving",
             "term=%" PRIu64 " leader=%" PRIu64, state->term, state->leader_id);
    broker->ports->register_soon(broker->ports->context);
    if (!led) {
        // It may have restarted, and applied nothing since that told the log's time.
        log_clock_saw(&broker->log_clock, machine_clock_ms(broker->machine));
        queue_locks_extend(broker);
        system_topics_propose(broker);
        relay_on_leading(broker->relay);
        proposer_turn(&broker->proposer);
    } else {
        pops_on_deposed(&broker->pops);
    }
}

static void on_result(void *context, uint32_t ordinal, const struct operation *operation,
                      const struct operation_result *result)
{
    struct broker *broker = context;
    if (broker->applying != NULL) {
        proposer_result(&broker->proposer, broker->applying, ordinal, operation, result);
    }
}

/* Where messages of an entry go to many queues, those of a topic are counted together. */
static void count_grown(struct broker *broker)
{
    const struct topic_growth *grown = &broker->grown;
    if (grown->topic == NULL) {
        return;
    }
    struct slice topic = name_slice(&grown->topic->name);
    if (broker_leads(broker) && grown->messages > 0) {
        rates_add(&broker->rates, RATE_TOPIC_PUT_NUMS, topic, grown->messages);
        rates_add(&broker->rates, RATE_TOPIC_PUT_SIZE, topic, grown->bytes);
        rates_add(&broker->rates, RATE_BROKER_PUT_NUMS, name_slice(&broker->settings->cluster),
                  grown->messages);
    }
    pops_on_topic_grown(&broker->pops, topic);
    broker->grown = (struct topic_growth){0};
}

static void on_queue_grown(void *context, const struct queue *queue, int64_t first)
{
    struct broker *broker = context;
    if (broker->grown.topic != queue->topic) {
        count_grown(broker);
        broker->grown.topic = queue->topic;
    }
    broker->grown.messages += (uint64_t)(queue->offset_next - first);
    broker->grown.bytes += queue->grown_size;
    pulls_on_queue_grown(&broker->pulls, queue);
}

static void on_topic_changed(void *context, const struct topic *topic, bool deleted)
{
    struct broker *broker = context;
    (void)topic;
    (void)deleted;
    count_grown(broker); // It may be about to go.
    broker->ports->register_soon(broker->ports->context);
}

/* --- Time --------------------------------------------------------------------------------- */

void broker_turn_end(struct broker *broker)
{
    cold_reads_turn(&broker->cold_reads);
    key_searches_turn(&broker->key_searches);
    pulls_turn(&broker->pulls);
    pops_turn(&broker->pops);
    client_announce(broker);
    relay_turn(broker->relay);
    proposer_turn(&broker->proposer);
}

/* The machine's clock must go on when nothing else happens, or old outcomes are never forgotten. */
static void propose_clock(struct broker *broker)
{
    struct buf *entry;
    struct machine_counters counters;
    machine_counters(broker->machine, &counters);
    bool worth_it = counters.commits + counters.rollbacks > 0;
    if (worth_it && proposer_begin(&broker->proposer, 64, &entry) == STATUS_OK) {
        entry_put_tick(entry);
        proposer_add(&broker->proposer, &(struct waiter){0});
    }
}

static void count_day(struct broker *broker)
{
    struct machine_counters counters;
    machine_counters(broker->machine, &counters);
    day_totals_tick(&broker->day_totals, clock_wall_ms(broker->ports->clock), counters.messages,
                    broker->counters.messages_out);
}

void broker_tick(struct broker *broker)
{
    uint64_t now = clock_monotonic_ms(broker->ports->clock);
    cold_reads_tick(&broker->cold_reads, now);
    pulls_tick(&broker->pulls, now);
    pops_tick(&broker->pops, now);
    proposer_tick(&broker->proposer);
    relay_tick(broker->relay);
    client_calls_tick(&broker->client_calls, now);
    rates_tick(&broker->rates, now);
    checker_tick(&broker->checker);
    scheduler_tick(&broker->scheduler);
    balancer_tick(&broker->balancer);
    retention_tick(&broker->retention);
    count_day(broker);
    if (now - broker->expired_ms >= EXPIRE_PERIOD_MS) {
        broker->expired_ms = now;
        uint64_t expiry = broker->settings->channel_expiry_ms;
        channels_expire(&broker->channels, now > expiry ? now - expiry : 0, client_notify_changed,
                        broker);
    }
    if (broker_leads(broker) && now - broker->ticked_ms >= CLOCK_TICK_PERIOD_MS) {
        broker->ticked_ms = now;
        propose_clock(broker);
    }
    broker_turn_end(broker);
}

bool broker_leader_host(const struct broker *broker, struct host *host)
{
    // What the leader says of itself goes before what we are configured with.
    const struct member_ports *members = &broker->ports->members;
    if (members->client_host(members->context, broker->state.leader_id, host)) {
        return true;
    }
    const struct member_settings *leader =
        group_settings_member(broker->group, broker->state.leader_id);
    if (leader == NULL) {
        return false;
    }
    *host = leader->client_host;
    return true;
}

bool broker_knows_member(const struct broker *broker, uint64_t id)
{
    const struct member_ports *members = &broker->ports->members;
    struct host host;
    return group_settings_member(broker->group, id) != NULL ||
           members->client_host(members->context, id, &host);
}

enum status broker_accepts_writes(const struct broker *broker)
{
    if (broker->stopping) {
        return STATUS_SHUTTING_DOWN;
    }
    return broker->disk_full ? STATUS_DISK_FULL : STATUS_OK;
}
