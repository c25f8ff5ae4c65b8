/* What nameserver.c (connections) and process*.c (requests) share. */
#ifndef NAMESERVER_NAMESERVER_INTERNAL_H
#define NAMESERVER_NAMESERVER_INTERNAL_H

#include "common/net/listener.h"
#include "nameserver/kv_config.h"
#include "nameserver/nameserver.h"
#include "nameserver/route_table.h"

struct nameserver {
    struct nameserver_options options;
    struct listener listener;
    uv_timer_t scanner;
    struct route_table *routes;
    struct kv_config *kv;
    struct list connections; /* struct connection */
    size_t connection_count;
    struct buf body;    /* Of the answer being made. */
    struct buf scratch; /* Texts of its header fields. */
    struct buf remark;  /* For people; status_text() if empty. */
    int handles_open;
    bool closing;
    void (*closed)(void *context);
    void *closed_context;
};

/* A request being answered. The handler adds fields to response and appends to nameserver->body;
 * its status becomes the response code. */
struct request {
    struct nameserver *nameserver;
    const struct command *command;
    struct command *response;
    uint64_t connection_id;
    uint64_t now_ms;
};

/* Make the answer to any request in nameserver->body and *response. */
void nameserver_answer(struct nameserver *nameserver, const struct command *command,
                       uint64_t connection_id, struct command *response);

/* The handlers, one for each request code. */
enum status nameserver_register_broker(struct request *request);
enum status nameserver_unregister_broker(struct request *request);
enum status nameserver_broker_heartbeat(struct request *request);
enum status nameserver_query_data_version(struct request *request);
enum status nameserver_route(struct request *request);
enum status nameserver_cluster_info(struct request *request);
enum status nameserver_member_group(struct request *request);
enum status nameserver_topic_list(struct request *request);
enum status nameserver_topics_by_cluster(struct request *request);
enum status nameserver_system_topics(struct request *request);
enum status nameserver_unit_topics(struct request *request);
enum status nameserver_unit_sub_topics(struct request *request);
enum status nameserver_unit_sub_alone_topics(struct request *request);
enum status nameserver_delete_topic(struct request *request);
enum status nameserver_register_topic(struct request *request);
enum status nameserver_wipe_write(struct request *request);
enum status nameserver_add_write(struct request *request);
enum status nameserver_put_kv(struct request *request);
enum status nameserver_get_kv(struct request *request);
enum status nameserver_delete_kv(struct request *request);
enum status nameserver_list_kv(struct request *request);
enum status nameserver_update_config(struct request *request);
enum status nameserver_get_config(struct request *request);

#endif
