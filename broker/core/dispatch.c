#include "broker/core/dispatch.h"

#include "broker/core/broker.h"
#include "broker/core/processors.h"
#include "broker/core/relay.h"
#include "common/remoting/codes.h"
#include "common/remoting/extension.h"

#include <inttypes.h>
#include <stdlib.h>

/* Ascending by code. */
static const struct processor processors[] = {
    {10, PLACE_HERE, process_send},
    {11, PLACE_HERE, process_pull},
    {12, PLACE_HERE, process_query_message},
    {14, PLACE_LEADER, process_query_offset},
    {15, PLACE_HERE, process_update_offset},
    {17, PLACE_LEADER, process_put_topic},
    {18, PLACE_LEADER, process_put_topics},
    {21, PLACE_HERE, process_all_topics},
    {25, PLACE_HERE, process_update_config},
    {26, PLACE_HERE, process_broker_config},
    {28, PLACE_HERE, process_runtime_info},
    {29, PLACE_LEADER, process_search_offset},
    {30, PLACE_LEADER, process_max_offset},
    {31, PLACE_LEADER, process_min_offset},
    {32, PLACE_LEADER, process_earliest_time},
    {33, PLACE_HERE, process_view_message},
    {34, PLACE_BOTH, process_heartbeat},
    {35, PLACE_BOTH, process_unregister},
    {36, PLACE_LEADER, process_send_back},
    {37, PLACE_HERE, process_end_transaction},
    {38, PLACE_LEADER, process_consumer_list},
    {41, PLACE_LEADER, process_lock_queues},
    {42, PLACE_LEADER, process_unlock_queues},
    {46, PLACE_HERE, process_check_client_config},
    {200, PLACE_HERE, process_put_group},
    {201, PLACE_HERE, process_all_groups},
    {202, PLACE_LEADER, process_topic_stats},
    {203, PLACE_LEADER, process_consumer_connections},
    {204, PLACE_LEADER, process_producer_connections},
    {207, PLACE_HERE, process_delete_group},
    {208, PLACE_LEADER, process_consume_stats},
    {215, PLACE_LEADER, process_delete_topic},
    {222, PLACE_LEADER, process_reset_offset},
    {225, PLACE_HERE, process_put_groups},
    {300, PLACE_LEADER, process_topic_consumers},
    {305, PLACE_HERE, process_system_topics},
    {306, PLACE_HERE, process_housekeeping},
    {307, PLACE_LEADER, process_running_info},
    {309, PLACE_LEADER, process_consume_directly},
    {310, PLACE_HERE, process_send},
    {314, PLACE_LEADER, process_clone_offsets},
    {315, PLACE_LEADER, process_view_rates},
    {316, PLACE_HERE, process_housekeeping},
    {317, PLACE_LEADER, process_all_consume_stats},
    {320, PLACE_HERE, process_send},
    {321, PLACE_LEADER, process_query_queue},
    {324, PLACE_LEADER, process_send_reply},
    {325, PLACE_LEADER, process_send_reply},
    {328, PLACE_LEADER, process_all_producers},
    {329, PLACE_HERE, process_housekeeping},
    {351, PLACE_HERE, process_get_topic},
    {352, PLACE_HERE, process_get_group},
    {361, PLACE_HERE, process_pull},
    {370, PLACE_HERE, process_recall},
    {REQUEST_QUERY_ASSIGNMENT, PLACE_LEADER, process_query_assignment},
    {REQUEST_SET_MESSAGE_REQUEST_MODE, PLACE_HERE, process_set_mode},
    {REQUEST_GET_ALL_MESSAGE_REQUEST_MODE, PLACE_HERE, process_all_modes},
    {REQUEST_RAFTMQ_STATUS, PLACE_HERE, process_status},
    {REQUEST_RAFTMQ_TRANSFER, PLACE_LEADER, process_transfer},
    {REQUEST_RAFTMQ_MEMBER, PLACE_LEADER, process_member},
    {REQUEST_RAFTMQ_DRAIN, PLACE_HERE, process_drain},
    {REQUEST_RAFTMQ_RECOVER, PLACE_HERE, process_recover},
    {REQUEST_RAFTMQ_TXN_LIST, PLACE_LEADER, process_txn_list},
    {REQUEST_RAFTMQ_TXN_SHOW, PLACE_LEADER, process_txn_show},
    {REQUEST_RAFTMQ_TXN_SETTLE, PLACE_HERE, process_txn_settle},
    {REQUEST_RAFTMQ_TXN_LIST_HERE, PLACE_HERE, process_txn_list},
    {REQUEST_RAFTMQ_FORWARD_HELLO, PLACE_HERE, process_forward_hello},
    {REQUEST_RAFTMQ_CHANNEL_CLOSED, PLACE_HERE, process_channel_closed},
    {REQUEST_RAFTMQ_PROPOSE, PLACE_HERE, proposer_process_forwarded},
    {REQUEST_POP_MESSAGE, PLACE_LEADER, process_pop},
    {REQUEST_ACK_MESSAGE, PLACE_HERE, process_ack},
    {REQUEST_PEEK_MESSAGE, PLACE_LEADER, process_peek},
    {REQUEST_CHANGE_MESSAGE_INVISIBLETIME, PLACE_HERE, process_change_invisible},
    {REQUEST_NOTIFICATION, PLACE_LEADER, process_notification},
    {REQUEST_POLLING_INFO, PLACE_LEADER, process_polling_info},
    {REQUEST_BATCH_ACK_MESSAGE, PLACE_HERE, process_batch_ack},
};

static int compare_code(const void *key, const void *row)
{
    int32_t code = *(const int32_t *)key;
    int32_t other = ((const struct processor *)row)->code;
    return (code > other) - (code < other);
}

static const struct processor *processor_find(int32_t code)
{
    return bsearch(&code, processors, sizeof processors / sizeof processors[0],
                   sizeof processors[0], compare_code);
}

/* A frame from a forwarding replica speaks for one of the clients behind it. */
static struct channel *speaker_of(struct broker *broker, struct channel *channel,
                                  const struct command *command)
{
    struct slice text;
    int64_t via_id = 0;
    struct host host = channel->host;
    if (channel->member_id == 0 || command->code == REQUEST_RAFTMQ_CHANNEL_CLOSED ||
        command_i64(command, FIELD_FORWARD_CHANNEL, true, &via_id) != STATUS_OK) {
        return channel;
    }
    if (command_find(command, FIELD_FORWARD_HOST, &text) && host_parse(text, &host) != STATUS_OK) {
        host = channel->host;
    }
    return channels_open_remote(&broker->channels, channel, (uint64_t)via_id, host);
}

/* Does it speak for a client without having said which replica it is? */
static bool speaks_unknown(const struct channel *channel, const struct command *command)
{
    struct slice text;
    return channel->member_id == 0 && command_find(command, FIELD_FORWARD_CHANNEL, &text);
}

static enum status process(struct broker *broker, const struct processor *processor,
                           struct request *request)
{
    bool follower = !broker_leads(broker) && request->channel->via == NULL;
    if (processor->place == PLACE_LEADER && !broker_leads(broker)) {
        // A relayed request is not relayed again: two replicas that name each other would play
        // ball.
        return follower ? relay_request(broker->relay, request, request->to.oneway)
                        : STATUS_NOT_LEADER;
    }
    if (processor->place == PLACE_BOTH && follower && broker->state.leader_id != 0) {
        enum status copied = relay_request(broker->relay, request, true);
        (void)copied; // The next heartbeat repeats it.
    }
    enum status status = processor->process(broker, request);
    bool maybe_behind = status == STATUS_TOPIC_UNKNOWN || status == STATUS_QUEUE_INVALID ||
                        status == STATUS_GROUP_UNKNOWN;
    if (follower && maybe_behind) {
        // A replica that has just started, or lags, does not know everything yet: the leader does.
        request->remark[0] = '\0';
        return relay_request(broker->relay, request, request->to.oneway);
    }
    return status;
}

void dispatch_request(struct broker *broker, struct channel *channel, const struct command *command)
{
    struct request request;
    request.command = command;
    request.channel = speaker_of(broker, channel, command);
    request.body = (struct buf){0};
    request.scratch_size = 0;
    request.remark[0] = '\0';
    request.to = (struct reply_to){
        .channel_id = request.channel == NULL ? channel->id : request.channel->id,
        .code = command->code,
        .opaque = command->opaque,
        .serialize_type = (uint8_t)command->serialize_type,
        .oneway = command_is_oneway(command),
    };
    command_init_response(&request.response, command, 0);
    broker->counters.requests++;

    const struct processor *processor = processor_find(command->code);
    enum status status;
    if (request.channel == NULL) {
        status = STATUS_LIMIT;
    } else if (speaks_unknown(channel, command)) {
        status = request_fail(&request, STATUS_NOT_LEADER, "only replicas of this group relay");
    } else if (processor == NULL) {
        status = request_fail(&request, STATUS_NOT_SUPPORTED,
                              "request code %d (%s) is not supported by raftmq %s", command->code,
                              request_code_name(command->code), RAFTMQ_VERSION);
    } else {
        status = process(broker, processor, &request);
    }
    if (status == STATUS_OK) {
        if (request.body.size > 0) {
            request.response.body = buf_slice(&request.body);
        }
        broker_reply(broker, &request.to, &request.response);
    } else if (status != STATUS_PENDING) {
        broker_reply_status(broker, &request.to, status, request.remark);
    }
    buf_close(&request.body);
}
