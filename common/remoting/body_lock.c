#include "common/remoting/body_lock.h"

#include "common/remoting/body_json.h"

static enum status queues_get(const json_t *array, struct body *body,
                              const struct queue_name **queues, size_t *count);
static void put_queues(struct json_writer *writer, const char *name,
                       const struct queue_name *queues, size_t count);

enum status lock_request_decode(struct slice text, struct body *body, struct lock_request *out)
{
    json_t *root;
    enum status status = body_parse(text, FRAME_SIZE_MAX, body, &root);
    if (status != STATUS_OK) {
        return status;
    }
    *out = (struct lock_request){
        .group = json_get_text(root, "consumerGroup"),
        .client_id = json_get_text(root, "clientId"),
        .only_this_broker = json_get_bool(root, "onlyThisBroker", false),
    };
    return queues_get(json_object_get(root, "mqSet"), body, &out->queues, &out->queue_count);
}

static enum status queues_get(const json_t *array, struct body *body,
                              const struct queue_name **queues, size_t *count)
{
    size_t size = json_array_size(array);
    if (size > LOCK_QUEUES_MAX) {
        body_close(body);
        return STATUS_MALFORMED;
    }
    struct queue_name *read = arena_array(&body->arena, size + 1, sizeof *read);
    for (size_t i = 0; i < size; i++) {
        read[i] = json_get_queue(json_array_get(array, i));
    }
    *queues = read;
    *count = size;
    return STATUS_OK;
}

void lock_request_encode(const struct lock_request *request, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    json_member_text(&writer, "clientId", request->client_id);
    json_member_text(&writer, "consumerGroup", request->group);
    put_queues(&writer, "mqSet", request->queues, request->queue_count);
    json_member_bool(&writer, "onlyThisBroker", request->only_this_broker);
    json_end(&writer, '}');
}

static void put_queues(struct json_writer *writer, const char *name,
                       const struct queue_name *queues, size_t count)
{
    json_key(writer, name);
    json_begin(writer, '[');
    for (size_t i = 0; i < count; i++) {
        json_queue(writer, &queues[i]);
    }
    json_end(writer, ']');
}

enum status lock_response_decode(struct slice text, struct body *body,
                                 const struct queue_name **queues, size_t *count)
{
    json_t *root;
    enum status status = body_parse(text, FRAME_SIZE_MAX, body, &root);
    if (status == STATUS_OK) {
        status = queues_get(json_object_get(root, "lockOKMQSet"), body, queues, count);
    }
    return status;
}

void lock_response_encode(const struct queue_name *queues, size_t count, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    put_queues(&writer, "lockOKMQSet", queues, count);
    json_end(&writer, '}');
}
