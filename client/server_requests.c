#include "client/server_requests.h"

#include "client/consumer.h"
#include "client/producer.h"
#include "common/remoting/codes.h"

void server_request(struct raftmq_client *client, struct host host, struct conn *conn,
                    const struct command *command)
{
    struct slice group;
    int32_t code = RESPONSE_REQUEST_CODE_NOT_SUPPORTED;
    const char *remark = "not supported by this client";
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
    case REQUEST_PUSH_REPLY_MESSAGE_TO_CLIENT:
        code = requests_on_reply(client, command) ? RESPONSE_SUCCESS : RESPONSE_SYSTEM_ERROR;
        remark = code == RESPONSE_SUCCESS ? "" : "nobody waits for this reply";
        break;
    default:
        break;
    }
    if (!command_is_oneway(command)) {
        struct command response;
        command_init_response(&response, command, code);
        response.remark = slice_text(remark);
        conn_send_command(conn, &response);
    }
}
