/* Which request goes to which handler, and how a handler's status becomes an answer. */
#include "common/remoting/codes.h"
#include "nameserver/nameserver_internal.h"

struct route {
    int32_t code;
    enum status (*handler)(struct request *request);
};

static const struct route routes[] = {
    {REQUEST_GET_ROUTEINFO_BY_TOPIC, nameserver_route},
    {REQUEST_REGISTER_BROKER, nameserver_register_broker},
    {REQUEST_UNREGISTER_BROKER, nameserver_unregister_broker},
    {REQUEST_BROKER_HEARTBEAT, nameserver_broker_heartbeat},
    {REQUEST_QUERY_DATA_VERSION, nameserver_query_data_version},
    {REQUEST_GET_BROKER_CLUSTER_INFO, nameserver_cluster_info},
    {REQUEST_GET_BROKER_MEMBER_GROUP, nameserver_member_group},
    {REQUEST_GET_ALL_TOPIC_LIST_FROM_NAMESERVER, nameserver_topic_list},
    {REQUEST_GET_TOPICS_BY_CLUSTER, nameserver_topics_by_cluster},
    {REQUEST_GET_SYSTEM_TOPIC_LIST_FROM_NS, nameserver_system_topics},
    {REQUEST_GET_UNIT_TOPIC_LIST, nameserver_unit_topics},
    {REQUEST_GET_HAS_UNIT_SUB_TOPIC_LIST, nameserver_unit_sub_topics},
    {REQUEST_GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST, nameserver_unit_sub_alone_topics},
    {REQUEST_DELETE_TOPIC_IN_NAMESRV, nameserver_delete_topic},
    {REQUEST_REGISTER_TOPIC_IN_NAMESRV, nameserver_register_topic},
    {REQUEST_WIPE_WRITE_PERM_OF_BROKER, nameserver_wipe_write},
    {REQUEST_ADD_WRITE_PERM_OF_BROKER, nameserver_add_write},
    {REQUEST_PUT_KV_CONFIG, nameserver_put_kv},
    {REQUEST_GET_KV_CONFIG, nameserver_get_kv},
    {REQUEST_DELETE_KV_CONFIG, nameserver_delete_kv},
    {REQUEST_GET_KVLIST_BY_NAMESPACE, nameserver_list_kv},
    {REQUEST_UPDATE_NAMESRV_CONFIG, nameserver_update_config},
    {REQUEST_GET_NAMESRV_CONFIG, nameserver_get_config},
};

static enum status handle(struct request *request);

void nameserver_answer(struct nameserver *nameserver, const struct command *command,
                       uint64_t connection_id, struct command *response)
{
    struct request request = {
        .nameserver = nameserver,
        .command = command,
        .response = response,
        .connection_id = connection_id,
        .now_ms = clock_monotonic_ms(nameserver->options.clock),
    };
    buf_clear(&nameserver->body);
    buf_clear(&nameserver->scratch);
    buf_clear(&nameserver->remark);
    buf_reserve(&nameserver->scratch, 256); // Fields borrow from it: it must not move.
    command_init_response(response, command, RESPONSE_SUCCESS);
    enum status status = handle(&request);
    if (status == STATUS_OK && nameserver->body.size > FRAME_SIZE_MAX - HEADER_SIZE_MAX) {
        buf_clear(&nameserver->remark);
        buf_put_text(&nameserver->remark, "the answer is larger than a frame");
        status = STATUS_INTERNAL;
    }
    if (status != STATUS_OK) {
        if (nameserver->remark.size == 0) {
            buf_put_text(&nameserver->remark, status_text(status));
        }
        response->code = status_response_code(status);
        response->field_count = 0;
        buf_clear(&nameserver->body);
    }
    response->remark = buf_slice(&nameserver->remark);
    response->body = buf_slice(&nameserver->body);
}

static enum status handle(struct request *request)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (routes[i].code == request->command->code) {
            return routes[i].handler(request);
        }
    }
    buf_printf(&request->nameserver->remark, "request code %d is not supported by a nameserver",
               request->command->code);
    return STATUS_NOT_SUPPORTED;
}
