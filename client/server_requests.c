#include "client/server_requests.h"

#include "client/consumer.h"
#include "client/producer.h"
#include "common/remoting/codes.h"

void server_request(struct raftmq_client *client, struct host host, struct conn *conn,
                    const struct command *command)
{
    struct slice group;
    switch (command->code) {
    case REQUEST_CHECK_TRANSACTION_STATE:
        transaction_on_check(client, host, command);
        break;
    case REQUEST_NOTIFY_CONSUMER_IDS_CHANGED:
        if (command_find(command, "consumerGroup", &group)) {
            consumers_on_members_changed(client, group);
        }
        break;
    case REQUEST_RESET_CONSUMER_CLIENT_OFFSET:
        consumers_on_reset(client, command);
        break;
    default:
        break;
    }
    if (!command_is_oneway(command)) {
        struct command response;
        command_init_response(&response, command, RESPONSE_REQUEST_CODE_NOT_SUPPORTED);
        response.remark = slice_text("not supported by this client");
        conn_send_command(conn, &response);
    }
}
