#include "tests/sim/cluster/sim_watch.h"

#include "broker/core/broker.h"
#include "broker/core/suggestion.h"
#include "broker/host/group_internal.h"
#include "common/remoting/codes.h"
#include "raft-glue/fetch.h"
#include "raft-glue/segment_log.h"
#include "tests/sim/cluster/sim_ledger.h"
#include "tests/sim/os/sim_process.h"

static size_t cache_size;
static uint64_t copies;
static uint64_t stores_set_aside;
static uint64_t laggards;
static uint64_t readers_sent;
static uint64_t readers_kept;

void __real_broker_apply(struct broker *broker, const struct replica_entry *entry, void *proposal);
void __wrap_broker_apply(struct broker *broker, const struct replica_entry *entry, void *proposal);
void __real_broker_on_state(struct broker *broker, const struct replica_state *state);
void __wrap_broker_on_state(struct broker *broker, const struct replica_state *state);
bool __real_channel_send_request(const struct channels *channels, struct channel *channel,
                                 struct command *request);
bool __wrap_channel_send_request(const struct channels *channels, struct channel *channel,
                                 struct command *request);
enum status __real_group_data_set_store_aside(struct group_data *data);
enum status __wrap_group_data_set_store_aside(struct group_data *data);
void __real_group_tell_drained(struct group_host *host);
void __wrap_group_tell_drained(struct group_host *host);
uint64_t __real_suggest_broker(struct broker *broker, const struct pull *pull, uint64_t position);
uint64_t __wrap_suggest_broker(struct broker *broker, const struct pull *pull, uint64_t position);
enum status __real_segment_log_open(const struct segment_log_options *options,
                                    struct segment_log **out, char **error);
enum status __wrap_segment_log_open(const struct segment_log_options *options,
                                    struct segment_log **out, char **error);
enum status __real_fetch_run(const struct fetch_options *options);
enum status __wrap_fetch_run(const struct fetch_options *options);

void sim_watch_open(size_t cache)
{
    copies = stores_set_aside = laggards = readers_sent = readers_kept = 0;
    cache_size = cache;
}

static struct ledger_group *group_of(const struct broker *broker)
{
    return ledger_group(name_slice(&broker->group->name));
}

static const char *who(void)
{
    return sim_process_current()->host->name;
}

void __wrap_broker_apply(struct broker *broker, const struct replica_entry *entry, void *proposal)
{
    ledger_apply(group_of(broker), who(), entry);
    __real_broker_apply(broker, entry, proposal);
}

void __wrap_broker_on_state(struct broker *broker, const struct replica_state *state)
{
    ledger_role(group_of(broker), who(), broker->self->id, state,
                machine_applied_index(broker->machine));
    __real_broker_on_state(broker, state);
}

bool __wrap_channel_send_request(const struct channels *channels, struct channel *channel,
                                 struct command *request)
{
    const struct broker *broker = CONTAINER_OF(channels, struct broker, channels);
    bool sent = __real_channel_send_request(channels, channel, request);
    int64_t position = -1;
    if (sent && request->code == REQUEST_CHECK_TRANSACTION_STATE && broker_leads(broker) &&
        command_i64(request, "commitLogOffset", true, &position) == STATUS_OK) {
        ledger_handed(group_of(broker), who(), (uint64_t)position);
    }
    return sent;
}

uint64_t __wrap_suggest_broker(struct broker *broker, const struct pull *pull, uint64_t position)
{
    uint64_t id = __real_suggest_broker(broker, pull, position);
    if (id != LEADER_BROKER_ID) {
        *(broker_leads(broker) ? &readers_sent : &readers_kept) += 1;
    }
    return id;
}

enum status __wrap_segment_log_open(const struct segment_log_options *options,
                                    struct segment_log **out, char **error)
{
    struct segment_log_options small = *options;
    small.cache_size = cache_size;
    return __real_segment_log_open(&small, out, error);
}

enum status __wrap_fetch_run(const struct fetch_options *options)
{
    enum status status = __real_fetch_run(options);
    copies += status == STATUS_OK;
    return status;
}

uint64_t sim_watch_copies(void)
{
    return copies;
}

enum status __wrap_group_data_set_store_aside(struct group_data *data)
{
    stores_set_aside++;
    return __real_group_data_set_store_aside(data);
}

uint64_t sim_watch_stores_set_aside(void)
{
    return stores_set_aside;
}

void __wrap_group_tell_drained(struct group_host *host)
{
    laggards += host->lags;
    __real_group_tell_drained(host);
}

uint64_t sim_watch_laggards(void)
{
    return laggards;
}

uint64_t sim_watch_readers_sent(void)
{
    return readers_sent;
}

uint64_t sim_watch_readers_kept(void)
{
    return readers_kept;
}
