/* The processors, one file per family. Each serves the request codes named in dispatch.c.
 * What all may answer is told by dispatch.h. Loop thread only. */
#ifndef BROKER_CORE_PROCESSORS_H
#define BROKER_CORE_PROCESSORS_H

#include "broker/core/request.h"

/* process_send.c: SEND_MESSAGE, _V2, SEND_BATCH_MESSAGE */
enum status process_send(struct broker *broker, struct request *request);
/* process_send_back.c: CONSUMER_SEND_MSG_BACK */
enum status process_send_back(struct broker *broker, struct request *request);
/* process_recall.c: RECALL_MESSAGE */
enum status process_recall(struct broker *broker, struct request *request);
/* process_end_transaction.c: END_TRANSACTION */
enum status process_end_transaction(struct broker *broker, struct request *request);
/* process_pull.c: PULL_MESSAGE, LITE_PULL_MESSAGE */
enum status process_pull(struct broker *broker, struct request *request);
/* process_pop.c: POP_MESSAGE, PEEK_MESSAGE, NOTIFICATION, POLLING_INFO */
enum status process_pop(struct broker *broker, struct request *request);
enum status process_peek(struct broker *broker, struct request *request);
enum status process_notification(struct broker *broker, struct request *request);
enum status process_polling_info(struct broker *broker, struct request *request);
/* process_ack.c: ACK_MESSAGE, BATCH_ACK_MESSAGE, CHANGE_MESSAGE_INVISIBLETIME */
enum status process_ack(struct broker *broker, struct request *request);
enum status process_batch_ack(struct broker *broker, struct request *request);
enum status process_change_invisible(struct broker *broker, struct request *request);
/* process_assignment.c: QUERY_ASSIGNMENT */
enum status process_query_assignment(struct broker *broker, struct request *request);
/* process_mode.c: SET_MESSAGE_REQUEST_MODE, GET_ALL_MESSAGE_REQUEST_MODE */
enum status process_set_mode(struct broker *broker, struct request *request);
enum status process_all_modes(struct broker *broker, struct request *request);
/* process_offset.c */
enum status process_query_offset(struct broker *broker, struct request *request);
enum status process_update_offset(struct broker *broker, struct request *request);
enum status process_search_offset(struct broker *broker, struct request *request);
enum status process_max_offset(struct broker *broker, struct request *request);
enum status process_min_offset(struct broker *broker, struct request *request);
enum status process_earliest_time(struct broker *broker, struct request *request);
/* process_rates.c: VIEW_BROKER_STATS_DATA; and the rates among the runtime information (28) */
enum status process_view_rates(struct broker *broker, struct request *request);
struct json_writer;
void put_rates(struct broker *broker, struct json_writer *json);
/* process_tools.c */
enum status process_housekeeping(struct broker *broker, struct request *request);
enum status process_update_config(struct broker *broker, struct request *request);
enum status process_put_groups(struct broker *broker, struct request *request);
enum status process_clone_offsets(struct broker *broker, struct request *request);
enum status process_query_queue(struct broker *broker, struct request *request);
enum status process_all_producers(struct broker *broker, struct request *request);
/* process_reply.c: SEND_REPLY_MESSAGE, _V2 */
enum status process_send_reply(struct broker *broker, struct request *request);
/* process_call_client.c: GET_CONSUMER_RUNNING_INFO, CONSUME_MESSAGE_DIRECTLY */
enum status process_running_info(struct broker *broker, struct request *request);
enum status process_consume_directly(struct broker *broker, struct request *request);
/* process_reset_offset.c: INVOKE_BROKER_TO_RESET_OFFSET */
enum status process_reset_offset(struct broker *broker, struct request *request);
/* process_lock.c: LOCK_BATCH_MQ, UNLOCK_BATCH_MQ */
enum status process_lock_queues(struct broker *broker, struct request *request);
enum status process_unlock_queues(struct broker *broker, struct request *request);
/* We lead now: what nobody could renew meanwhile holds for another lease. */
void queue_locks_extend(struct broker *broker);
/* process_query.c: QUERY_MESSAGE, VIEW_MESSAGE_BY_ID */
enum status process_query_message(struct broker *broker, struct request *request);
enum status process_view_message(struct broker *broker, struct request *request);
/* process_client.c */
enum status process_heartbeat(struct broker *broker, struct request *request);
enum status process_unregister(struct broker *broker, struct request *request);
enum status process_consumer_list(struct broker *broker, struct request *request);
enum status process_check_client_config(struct broker *broker, struct request *request);
enum status process_consumer_connections(struct broker *broker, struct request *request);
enum status process_producer_connections(struct broker *broker, struct request *request);
/* process_topic.c */
enum status process_put_topic(struct broker *broker, struct request *request);
enum status process_put_topics(struct broker *broker, struct request *request);
enum status process_delete_topic(struct broker *broker, struct request *request);
enum status process_get_topic(struct broker *broker, struct request *request);
enum status process_all_topics(struct broker *broker, struct request *request);
enum status process_system_topics(struct broker *broker, struct request *request);
/* process_group.c */
struct group_config;
/* May a group be so? Errors: STATUS_GROUP_INVALID, STATUS_INVALID_ARGUMENT. */
enum status group_config_check(struct request *request, const struct group_config *config);
enum status process_put_group(struct broker *broker, struct request *request);
enum status process_delete_group(struct broker *broker, struct request *request);
enum status process_get_group(struct broker *broker, struct request *request);
enum status process_all_groups(struct broker *broker, struct request *request);
/* process_stats.c */
enum status process_topic_stats(struct broker *broker, struct request *request);
enum status process_consume_stats(struct broker *broker, struct request *request);
enum status process_all_consume_stats(struct broker *broker, struct request *request);
enum status process_topic_consumers(struct broker *broker, struct request *request);
enum status process_broker_config(struct broker *broker, struct request *request);
enum status process_runtime_info(struct broker *broker, struct request *request);
/* process_raftmq.c: extension.h */
enum status process_status(struct broker *broker, struct request *request);
enum status process_transfer(struct broker *broker, struct request *request);
enum status process_forward_hello(struct broker *broker, struct request *request);
enum status process_channel_closed(struct broker *broker, struct request *request);
/* process_member.c: extension.h */
enum status process_member(struct broker *broker, struct request *request);
enum status process_drain(struct broker *broker, struct request *request);
enum status process_recover(struct broker *broker, struct request *request);
/* process_txn.c: extension.h */
enum status process_txn_list(struct broker *broker, struct request *request);
enum status process_txn_show(struct broker *broker, struct request *request);
enum status process_txn_settle(struct broker *broker, struct request *request);

#endif
