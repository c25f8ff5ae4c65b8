/* Request and response codes of the protocol, each set in one table.
 * Source: RequestCode, ResponseCode (RocketMQ 4.9.8, 5.3.3). */
#ifndef COMMON_REMOTING_CODES_H
#define COMMON_REMOTING_CODES_H

#include <stdint.h>

/* Who is asked. Those to clients (but 39, 40 and 326) are also sent to a broker by an admin tool,
 * which the broker passes on. */
enum request_target { TO_NONE, TO_BROKER, TO_NAMESERVER, TO_CLIENT, TO_CONTROLLER };

/* X(name, number, target) */
#define REQUEST_CODE_TABLE(X)                                                                      \
    X(SEND_MESSAGE, 10, TO_BROKER)                                                                 \
    X(PULL_MESSAGE, 11, TO_BROKER)                                                                 \
    X(QUERY_MESSAGE, 12, TO_BROKER)                                                                \
    X(QUERY_CONSUMER_OFFSET, 14, TO_BROKER)                                                        \
    X(UPDATE_CONSUMER_OFFSET, 15, TO_BROKER)                                                       \
    X(UPDATE_AND_CREATE_TOPIC, 17, TO_BROKER)                                                      \
    X(UPDATE_AND_CREATE_TOPIC_LIST, 18, TO_BROKER)                                                 \
    X(GET_ALL_TOPIC_CONFIG, 21, TO_BROKER)                                                         \
    X(UPDATE_BROKER_CONFIG, 25, TO_BROKER)                                                         \
    X(GET_BROKER_CONFIG, 26, TO_BROKER)                                                            \
    X(GET_BROKER_RUNTIME_INFO, 28, TO_BROKER)                                                      \
    X(SEARCH_OFFSET_BY_TIMESTAMP, 29, TO_BROKER)                                                   \
    X(GET_MAX_OFFSET, 30, TO_BROKER)                                                               \
    X(GET_MIN_OFFSET, 31, TO_BROKER)                                                               \
    X(GET_EARLIEST_MSG_STORETIME, 32, TO_BROKER)                                                   \
    X(VIEW_MESSAGE_BY_ID, 33, TO_BROKER)                                                           \
    X(HEART_BEAT, 34, TO_BROKER)                                                                   \
    X(UNREGISTER_CLIENT, 35, TO_BROKER)                                                            \
    X(CONSUMER_SEND_MSG_BACK, 36, TO_BROKER)                                                       \
    X(END_TRANSACTION, 37, TO_BROKER)                                                              \
    X(GET_CONSUMER_LIST_BY_GROUP, 38, TO_BROKER)                                                   \
    X(CHECK_TRANSACTION_STATE, 39, TO_CLIENT)                                                      \
    X(NOTIFY_CONSUMER_IDS_CHANGED, 40, TO_CLIENT)                                                  \
    X(LOCK_BATCH_MQ, 41, TO_BROKER)                                                                \
    X(UNLOCK_BATCH_MQ, 42, TO_BROKER)                                                              \
    X(GET_ALL_CONSUMER_OFFSET, 43, TO_BROKER)                                                      \
    X(GET_ALL_DELAY_OFFSET, 45, TO_BROKER)                                                         \
    X(CHECK_CLIENT_CONFIG, 46, TO_BROKER)                                                          \
    X(GET_CLIENT_CONFIG, 47, TO_BROKER)                                                            \
    X(UPDATE_AND_CREATE_ACL_CONFIG, 50, TO_BROKER)                                                 \
    X(DELETE_ACL_CONFIG, 51, TO_BROKER)                                                            \
    X(GET_BROKER_CLUSTER_ACL_INFO, 52, TO_BROKER)                                                  \
    X(UPDATE_GLOBAL_WHITE_ADDRS_CONFIG, 53, TO_BROKER)                                             \
    X(GET_TIMER_CHECK_POINT, 60, TO_BROKER)                                                        \
    X(GET_TIMER_METRICS, 61, TO_BROKER)                                                            \
    X(PUT_KV_CONFIG, 100, TO_NAMESERVER)                                                           \
    X(GET_KV_CONFIG, 101, TO_NAMESERVER)                                                           \
    X(DELETE_KV_CONFIG, 102, TO_NAMESERVER)                                                        \
    X(REGISTER_BROKER, 103, TO_NAMESERVER)                                                         \
    X(UNREGISTER_BROKER, 104, TO_NAMESERVER)                                                       \
    X(GET_ROUTEINFO_BY_TOPIC, 105, TO_NAMESERVER)                                                  \
    X(GET_BROKER_CLUSTER_INFO, 106, TO_NAMESERVER)                                                 \
    X(UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, 200, TO_BROKER)                                         \
    X(GET_ALL_SUBSCRIPTIONGROUP_CONFIG, 201, TO_BROKER)                                            \
    X(GET_TOPIC_STATS_INFO, 202, TO_BROKER)                                                        \
    X(GET_CONSUMER_CONNECTION_LIST, 203, TO_BROKER)                                                \
    X(GET_PRODUCER_CONNECTION_LIST, 204, TO_BROKER)                                                \
    X(WIPE_WRITE_PERM_OF_BROKER, 205, TO_NAMESERVER)                                               \
    X(GET_ALL_TOPIC_LIST_FROM_NAMESERVER, 206, TO_NAMESERVER)                                      \
    X(DELETE_SUBSCRIPTIONGROUP, 207, TO_BROKER)                                                    \
    X(GET_CONSUME_STATS, 208, TO_BROKER)                                                           \
    X(DELETE_TOPIC_IN_BROKER, 215, TO_BROKER)                                                      \
    X(DELETE_TOPIC_IN_NAMESRV, 216, TO_NAMESERVER)                                                 \
    X(REGISTER_TOPIC_IN_NAMESRV, 217, TO_NAMESERVER)                                               \
    X(GET_KVLIST_BY_NAMESPACE, 219, TO_NAMESERVER)                                                 \
    X(RESET_CONSUMER_CLIENT_OFFSET, 220, TO_CLIENT)                                                \
    X(GET_CONSUMER_STATUS_FROM_CLIENT, 221, TO_CLIENT)                                             \
    X(INVOKE_BROKER_TO_RESET_OFFSET, 222, TO_BROKER)                                               \
    X(INVOKE_BROKER_TO_GET_CONSUMER_STATUS, 223, TO_BROKER)                                        \
    X(GET_TOPICS_BY_CLUSTER, 224, TO_NAMESERVER)                                                   \
    X(UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, 225, TO_BROKER)                                    \
    X(QUERY_TOPIC_CONSUME_BY_WHO, 300, TO_BROKER)                                                  \
    X(QUERY_CONSUME_TIME_SPAN, 303, TO_BROKER)                                                     \
    X(GET_SYSTEM_TOPIC_LIST_FROM_NS, 304, TO_NAMESERVER)                                           \
    X(GET_SYSTEM_TOPIC_LIST_FROM_BROKER, 305, TO_BROKER)                                           \
    X(CLEAN_EXPIRED_CONSUMEQUEUE, 306, TO_BROKER)                                                  \
    X(GET_CONSUMER_RUNNING_INFO, 307, TO_CLIENT)                                                   \
    X(QUERY_CORRECTION_OFFSET, 308, TO_BROKER)                                                     \
    X(CONSUME_MESSAGE_DIRECTLY, 309, TO_CLIENT)                                                    \
    X(SEND_MESSAGE_V2, 310, TO_BROKER)                                                             \
    X(GET_UNIT_TOPIC_LIST, 311, TO_NAMESERVER)                                                     \
    X(GET_HAS_UNIT_SUB_TOPIC_LIST, 312, TO_NAMESERVER)                                             \
    X(GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST, 313, TO_NAMESERVER)                                      \
    X(CLONE_GROUP_OFFSET, 314, TO_BROKER)                                                          \
    X(VIEW_BROKER_STATS_DATA, 315, TO_BROKER)                                                      \
    X(CLEAN_UNUSED_TOPIC, 316, TO_BROKER)                                                          \
    X(GET_BROKER_CONSUME_STATS, 317, TO_BROKER)                                                    \
    X(UPDATE_NAMESRV_CONFIG, 318, TO_NAMESERVER)                                                   \
    X(GET_NAMESRV_CONFIG, 319, TO_NAMESERVER)                                                      \
    X(SEND_BATCH_MESSAGE, 320, TO_BROKER)                                                          \
    X(QUERY_CONSUME_QUEUE, 321, TO_BROKER)                                                         \
    X(QUERY_DATA_VERSION, 322, TO_NAMESERVER)                                                      \
    X(RESUME_CHECK_HALF_MESSAGE, 323, TO_BROKER)                                                   \
    X(SEND_REPLY_MESSAGE, 324, TO_BROKER)                                                          \
    X(SEND_REPLY_MESSAGE_V2, 325, TO_BROKER)                                                       \
    X(PUSH_REPLY_MESSAGE_TO_CLIENT, 326, TO_CLIENT)                                                \
    X(ADD_WRITE_PERM_OF_BROKER, 327, TO_NAMESERVER)                                                \
    X(GET_ALL_PRODUCER_INFO, 328, TO_BROKER)                                                       \
    X(DELETE_EXPIRED_COMMITLOG, 329, TO_BROKER)                                                    \
    X(QUERY_TOPICS_BY_CONSUMER, 343, TO_BROKER)                                                    \
    X(QUERY_SUBSCRIPTION_BY_CONSUMER, 345, TO_BROKER)                                              \
    X(GET_TOPIC_CONFIG, 351, TO_BROKER)                                                            \
    X(GET_SUBSCRIPTIONGROUP_CONFIG, 352, TO_BROKER)                                                \
    X(UPDATE_AND_GET_GROUP_FORBIDDEN, 353, TO_BROKER)                                              \
    X(CHECK_ROCKSDB_CQ_WRITE_PROGRESS, 354, TO_BROKER)                                             \
    X(EXPORT_ROCKSDB_CONFIG_TO_JSON, 355, TO_BROKER)                                               \
    X(LITE_PULL_MESSAGE, 361, TO_BROKER)                                                           \
    X(RECALL_MESSAGE, 370, TO_BROKER)                                                              \
    X(QUERY_ASSIGNMENT, 400, TO_BROKER)                                                            \
    X(SET_MESSAGE_REQUEST_MODE, 401, TO_BROKER)                                                    \
    X(GET_ALL_MESSAGE_REQUEST_MODE, 402, TO_BROKER)                                                \
    X(UPDATE_AND_CREATE_STATIC_TOPIC, 513, TO_BROKER)                                              \
    X(GET_BROKER_MEMBER_GROUP, 901, TO_NAMESERVER)                                                 \
    X(ADD_BROKER, 902, TO_BROKER)                                                                  \
    X(REMOVE_BROKER, 903, TO_BROKER)                                                               \
    X(BROKER_HEARTBEAT, 904, TO_NAMESERVER)                                                        \
    X(NOTIFY_MIN_BROKER_ID_CHANGE, 905, TO_BROKER)                                                 \
    X(EXCHANGE_BROKER_HA_INFO, 906, TO_BROKER)                                                     \
    X(GET_BROKER_HA_STATUS, 907, TO_BROKER)                                                        \
    X(RESET_MASTER_FLUSH_OFFSET, 908, TO_BROKER)                                                   \
    X(CONTROLLER_ALTER_SYNC_STATE_SET, 1001, TO_CONTROLLER)                                        \
    X(CONTROLLER_ELECT_MASTER, 1002, TO_CONTROLLER)                                                \
    X(CONTROLLER_REGISTER_BROKER, 1003, TO_CONTROLLER)                                             \
    X(CONTROLLER_GET_REPLICA_INFO, 1004, TO_CONTROLLER)                                            \
    X(CONTROLLER_GET_METADATA_INFO, 1005, TO_CONTROLLER)                                           \
    X(CONTROLLER_GET_SYNC_STATE_DATA, 1006, TO_CONTROLLER)                                         \
    X(GET_BROKER_EPOCH_CACHE, 1007, TO_BROKER)                                                     \
    X(NOTIFY_BROKER_ROLE_CHANGED, 1008, TO_BROKER)                                                 \
    X(UPDATE_CONTROLLER_CONFIG, 1009, TO_CONTROLLER)                                               \
    X(GET_CONTROLLER_CONFIG, 1010, TO_CONTROLLER)                                                  \
    X(CLEAN_BROKER_DATA, 1011, TO_CONTROLLER)                                                      \
    X(CONTROLLER_GET_NEXT_BROKER_ID, 1012, TO_CONTROLLER)                                          \
    X(CONTROLLER_APPLY_BROKER_ID, 1013, TO_CONTROLLER)                                             \
    X(UPDATE_COLD_DATA_FLOW_CTR_CONFIG, 2001, TO_BROKER)                                           \
    X(REMOVE_COLD_DATA_FLOW_CTR_CONFIG, 2002, TO_BROKER)                                           \
    X(GET_COLD_DATA_FLOW_CTR_INFO, 2003, TO_BROKER)                                                \
    X(SET_COMMITLOG_READ_MODE, 2004, TO_BROKER)                                                    \
    X(AUTH_CREATE_USER, 3001, TO_BROKER)                                                           \
    X(AUTH_UPDATE_USER, 3002, TO_BROKER)                                                           \
    X(AUTH_DELETE_USER, 3003, TO_BROKER)                                                           \
    X(AUTH_GET_USER, 3004, TO_BROKER)                                                              \
    X(AUTH_LIST_USER, 3005, TO_BROKER)                                                             \
    X(AUTH_CREATE_ACL, 3006, TO_BROKER)                                                            \
    X(AUTH_UPDATE_ACL, 3007, TO_BROKER)                                                            \
    X(AUTH_DELETE_ACL, 3008, TO_BROKER)                                                            \
    X(AUTH_GET_ACL, 3009, TO_BROKER)                                                               \
    X(AUTH_LIST_ACL, 3010, TO_BROKER)                                                              \
    X(POP_MESSAGE, 200050, TO_BROKER)                                                              \
    X(ACK_MESSAGE, 200051, TO_BROKER)                                                              \
    X(PEEK_MESSAGE, 200052, TO_BROKER)                                                             \
    X(CHANGE_MESSAGE_INVISIBLETIME, 200053, TO_BROKER)                                             \
    X(NOTIFICATION, 200054, TO_BROKER)                                                             \
    X(POLLING_INFO, 200055, TO_BROKER)                                                             \
    X(POP_ROLLBACK, 200056, TO_BROKER)                                                             \
    X(BATCH_ACK_MESSAGE, 200151, TO_BROKER)

/* X(name, number) */
#define RESPONSE_CODE_TABLE(X)                                                                     \
    X(SUCCESS, 0)                                                                                  \
    X(SYSTEM_ERROR, 1)                                                                             \
    X(SYSTEM_BUSY, 2)                                                                              \
    X(REQUEST_CODE_NOT_SUPPORTED, 3)                                                               \
    X(TRANSACTION_FAILED, 4)                                                                       \
    X(FLUSH_DISK_TIMEOUT, 10)                                                                      \
    X(SLAVE_NOT_AVAILABLE, 11)                                                                     \
    X(FLUSH_SLAVE_TIMEOUT, 12)                                                                     \
    X(MESSAGE_ILLEGAL, 13)                                                                         \
    X(SERVICE_NOT_AVAILABLE, 14)                                                                   \
    X(VERSION_NOT_SUPPORTED, 15)                                                                   \
    X(NO_PERMISSION, 16)                                                                           \
    X(TOPIC_NOT_EXIST, 17)                                                                         \
    X(TOPIC_EXIST_ALREADY, 18)                                                                     \
    X(PULL_NOT_FOUND, 19)                                                                          \
    X(PULL_RETRY_IMMEDIATELY, 20)                                                                  \
    X(PULL_OFFSET_MOVED, 21)                                                                       \
    X(QUERY_NOT_FOUND, 22)                                                                         \
    X(SUBSCRIPTION_PARSE_FAILED, 23)                                                               \
    X(SUBSCRIPTION_NOT_EXIST, 24)                                                                  \
    X(SUBSCRIPTION_NOT_LATEST, 25)                                                                 \
    X(SUBSCRIPTION_GROUP_NOT_EXIST, 26)                                                            \
    X(FILTER_DATA_NOT_EXIST, 27)                                                                   \
    X(FILTER_DATA_NOT_LATEST, 28)                                                                  \
    X(INVALID_PARAMETER, 29)                                                                       \
    X(NO_BUYER_ID, 204)                                                                            \
    X(NOT_IN_CURRENT_UNIT, 205)                                                                    \
    X(CONSUMER_NOT_ONLINE, 206)                                                                    \
    X(CONSUME_MSG_TIMEOUT, 207)                                                                    \
    X(NO_MESSAGE, 208)                                                                             \
    X(POLLING_FULL, 209)                                                                           \
    X(POLLING_TIMEOUT, 210)                                                                        \
    X(BROKER_NOT_EXIST, 211)                                                                       \
    X(BROKER_DISPATCH_NOT_COMPLETE, 212)                                                           \
    X(BROADCAST_CONSUMPTION, 213)                                                                  \
    X(FLOW_CONTROL, 215)                                                                           \
    X(NOT_LEADER_FOR_QUEUE, 501)                                                                   \
    X(ILLEGAL_OPERATION, 604)                                                                      \
    X(GO_AWAY, 1500)                                                                               \
    X(USER_NOT_EXIST, 3001)                                                                        \
    X(POLICY_NOT_EXIST, 3002)

enum request_code {
#define REQUEST_CODE_ENUM(name, number, target) REQUEST_##name = number,
    REQUEST_CODE_TABLE(REQUEST_CODE_ENUM)
#undef REQUEST_CODE_ENUM
};

enum response_code {
#define RESPONSE_CODE_ENUM(name, number) RESPONSE_##name = number,
    RESPONSE_CODE_TABLE(RESPONSE_CODE_ENUM)
#undef RESPONSE_CODE_ENUM
};

/* Names for logs and tools ("SEND_MESSAGE_V2"); "UNKNOWN" for other numbers. Static text. */
const char *request_code_name(int32_t code);
const char *response_code_name(int32_t code);

/* Who is asked with that code; TO_NONE if there is no such code. */
enum request_target request_code_target(int32_t code);

#endif
