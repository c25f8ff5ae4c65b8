/* Every way in which an operation can end, in one table.
 *
 * Code, fixed number (never reused), the RocketMQ response code a client gets, what a caller may do
 * about it, and one text. Foreign codes (libuv, RocksDB, C-Raft, msgpack) become a status in the
 * file that includes their library. */
#ifndef COMMON_BASE_STATUS_H
#define COMMON_BASE_STATUS_H

#include <stdint.h>

/* What the caller of a failed operation may do. A lost answer is an unknown outcome, never a
 * failure: it may have happened. */
enum retry {
    RETRY_NEVER,           /* The request itself is wrong. */
    RETRY_LATER,           /* The same place will be able to, soon. */
    RETRY_ELSEWHERE,       /* Another replica, or another broker, can. */
    RETRY_UNKNOWN_OUTCOME, /* It may or may not have happened; a retry must tolerate both. */
};

/* X(name, number, RocketMQ response code, retry class, text) */
#define STATUS_TABLE(X)                                                                            \
    X(OK, 0, 0, RETRY_NEVER, "success")                                                            \
    X(PENDING, 1, 1, RETRY_NEVER, "still under way")                                               \
    X(NOT_LEADER, 2, 14, RETRY_ELSEWHERE, "this replica does not lead the broker group")           \
    X(NO_LEADER, 3, 14, RETRY_LATER, "the broker group has no leader at the moment")               \
    X(UNKNOWN_OUTCOME, 4, 14, RETRY_UNKNOWN_OUTCOME,                                               \
      "leadership changed before the outcome was known")                                           \
    X(OVERLOADED, 5, 2, RETRY_LATER, "[OVERLOAD] too much is in flight, try again later")          \
    X(DISK_FULL, 6, 14, RETRY_ELSEWHERE, "the disk is full, writes are refused until it has room") \
    X(SHUTTING_DOWN, 7, 14, RETRY_ELSEWHERE, "this node is shutting down")                         \
    X(MALFORMED, 8, 1, RETRY_NEVER, "the request cannot be decoded")                               \
    X(FIELD_MISSING, 9, 29, RETRY_NEVER, "a required header field is absent or not valid")         \
    X(NOT_SUPPORTED, 10, 3, RETRY_NEVER, "not supported")                                          \
    X(MESSAGE_ILLEGAL, 11, 13, RETRY_NEVER, "the message is not valid")                            \
    X(TOPIC_UNKNOWN, 12, 17, RETRY_LATER, "the topic does not exist")                              \
    X(TOPIC_INVALID, 13, 29, RETRY_NEVER, "the topic name is not valid")                           \
    X(QUEUE_INVALID, 14, 29, RETRY_NEVER, "the queue id is not valid for this topic")              \
    X(GROUP_UNKNOWN, 15, 26, RETRY_LATER, "the group does not exist")                              \
    X(GROUP_INVALID, 16, 29, RETRY_NEVER, "the group name is not valid")                           \
    X(NO_PERMISSION, 17, 16, RETRY_NEVER, "no permission")                                         \
    X(NOT_FOUND, 18, 22, RETRY_NEVER, "not found")                                                 \
    X(INVALID_ARGUMENT, 19, 29, RETRY_NEVER, "a parameter is not valid")                           \
    X(TRANSACTION_UNKNOWN, 20, 1, RETRY_NEVER,                                                     \
      "no half message at that offset: it never existed or its outcome is no longer remembered")   \
    X(TRANSACTION_GROUP_WRONG, 21, 1, RETRY_NEVER,                                                 \
      "the half message was sent by another producer group")                                       \
    X(TRANSACTION_OFFSET_WRONG, 22, 1, RETRY_NEVER,                                                \
      "the queue offset does not belong to this half message")                                     \
    X(TRANSACTION_DECIDED, 23, 1, RETRY_NEVER,                                                     \
      "the transaction was already decided the other way; the first decision stands")              \
    X(LIMIT, 24, 14, RETRY_LATER, "a limit of this node is reached")                               \
    X(STALE, 25, 1, RETRY_NEVER, "a later state is already known")                                 \
    X(SUBSCRIPTION_UNKNOWN, 26, 24, RETRY_LATER, "the group has no subscription here yet")         \
    X(SUBSCRIPTION_STALE, 27, 25, RETRY_LATER,                                                     \
      "the subscription here is older than the request's")                                         \
    X(SUBSCRIPTION_MALFORMED, 28, 23, RETRY_NEVER, "the subscription expression is not valid")     \
    X(CONSUMER_OFFLINE, 29, 206, RETRY_LATER, "no consumer of the group is connected")             \
    X(TIMED_OUT, 30, 1, RETRY_UNKNOWN_OUTCOME, "no answer in time")                                \
    X(CONNECTION_LOST, 31, 1, RETRY_UNKNOWN_OUTCOME, "the connection was lost before the answer")  \
    X(CONNECT_FAILED, 32, 1, RETRY_ELSEWHERE, "could not connect")                                 \
    X(CANCELED, 33, 1, RETRY_UNKNOWN_OUTCOME, "canceled")                                          \
    X(IO, 34, 1, RETRY_ELSEWHERE, "input or output failed")                                        \
    X(CORRUPT, 35, 1, RETRY_ELSEWHERE, "stored data does not match its checksum")                  \
    X(LOCKED, 36, 1, RETRY_NEVER, "another process holds the data directory")                      \
    X(REFUSED, 37, 1, RETRY_NEVER, "refused by the peer")                                          \
    X(BUSY, 38, 2, RETRY_LATER, "another such operation is under way")                             \
    X(EXISTS, 39, 18, RETRY_NEVER, "it already exists")                                            \
    X(INTERNAL, 40, 1, RETRY_LATER, "internal error")                                              \
    X(FILTER_UNKNOWN, 41, 27, RETRY_LATER, "the subscription here has no filter that compiles")    \
    X(RECALL_REFUSED, 42, 604, RETRY_NEVER,                                                        \
      "no message waits by that handle: it is delivered, was recalled, or never was")              \
    X(DELIVERY_OVER, 43, 208, RETRY_NEVER,                                                         \
      "that delivery is over: it was acknowledged, or the message is visible again or gone")

enum status {
#define STATUS_ENUM(name, number, response, retry, text) STATUS_##name = number,
    STATUS_TABLE(STATUS_ENUM)
#undef STATUS_ENUM
};

/* Name for logs ("NOT_LEADER"); static text. */
const char *status_name(enum status status);

/* One sentence for people; static text. */
const char *status_text(enum status status);

/* The RocketMQ response code (ResponseCode) that tells a client of this status. */
int32_t status_response_code(enum status status);

/* What the caller may do. */
enum retry status_retry(enum status status);

#endif
