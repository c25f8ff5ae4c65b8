#include "common/remoting/body_connections.h"

#include "common/remoting/command.h"
#include "common/remoting/json_text.h"

static void put_connections(struct json_writer *writer, const struct connection_data *connections,
                            size_t count)
{
    json_key(writer, "connectionSet");
    json_begin(writer, '[');
    for (size_t i = 0; i < count; i++) {
        json_begin(writer, '{');
        json_member_text(writer, "clientAddr", connections[i].address);
        json_member_text(writer, "clientId", connections[i].client_id);
        json_member_text(writer, "language", slice_text(language_name(connections[i].language)));
        json_member_int(writer, "version", connections[i].version);
        json_end(writer, '}');
    }
    json_end(writer, ']');
}

void consumer_connections_encode(const struct consumer_connections *connections, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    put_connections(&writer, connections->connections, connections->connection_count);
    json_member_text(&writer, "consumeFromWhere",
                     slice_text(consume_from_name(connections->consume_from)));
    json_member_text(&writer, "consumeType",
                     slice_text(consume_type_name(connections->consume_type)));
    json_member_text(&writer, "messageModel",
                     slice_text(message_model_name(connections->message_model)));
    json_key(&writer, "subscriptionTable");
    json_begin(&writer, '{');
    for (size_t i = 0; i < connections->subscription_count; i++) {
        json_key_slice(&writer, connections->subscriptions[i].topic);
        subscription_data_put(&writer, &connections->subscriptions[i]);
    }
    json_end(&writer, '}');
    json_end(&writer, '}');
}

void producer_connections_encode(const struct connection_data *connections, size_t count,
                                 struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    put_connections(&writer, connections, count);
    json_end(&writer, '}');
}
