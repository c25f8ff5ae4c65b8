/* Taking back delayed messages. Source: RecallMessageHandle, RecallMessageRequestHeader. */
#include "client/invoke.h"
#include "common/base/base64url.h"
#include "common/remoting/codes.h"
#include "common/remoting/names.h"

enum { FORM_WORDS = 5 }; /* "v1 topic brokerName deliverMs id" */

/* Whose handle is it? Borrows from scratch, to which it appends. */
static bool read_broker(struct slice handle, struct buf *scratch, struct slice *broker)
{
    struct slice words[FORM_WORDS];
    if (handle.size == 0 || handle.size >= RAFTMQ_HANDLE_SIZE ||
        !base64url_decode(handle, scratch)) {
        return false;
    }
    struct slice rest = buf_slice(scratch);
    for (size_t i = 0; i < FORM_WORDS; i++) {
        const uint8_t *space = rest.size == 0 ? NULL : memchr(rest.data, ' ', rest.size);
        bool last = i + 1 == FORM_WORDS;
        if (last != (space == NULL)) {
            return false;
        }
        words[i] = slice_of(rest.data, last ? rest.size : (size_t)(space - rest.data));
        rest = slice_from(rest, last ? rest.size : words[i].size + 1);
    }
    *broker = words[2];
    return slice_equals_text(words[0], "v1") && broker->size > 0;
}

enum raftmq_status raftmq_recall(struct raftmq_client *client, const char *topic,
                                 const char *handle, uint64_t timeout_ms,
                                 struct raftmq_error *error)
{
    struct command request;
    struct reply reply = {0};
    struct buf decoded = {0};
    struct slice broker;
    enum raftmq_status status;
    if (!topic_name_valid(slice_text(topic)) ||
        !read_broker(slice_text(handle), &decoded, &broker)) {
        status = error_set(error, RAFTMQ_INVALID_ARGUMENT,
                           "the topic or the recall handle is not valid");
    } else {
        command_init_request(&request, REQUEST_RECALL_MESSAGE, 0);
        command_add(&request, "topic", slice_text(topic));
        command_add(&request, "recallHandle", slice_text(handle));
        command_add(&request, "producerGroup", slice_text(GROUP_CLIENT_INNER_PRODUCER));
        command_add(&request, "bname", broker);
        status = invoke_broker(client, slice_text(topic), broker, &request, timeout_ms, NULL,
                               &reply, error);
    }
    reply_close(&reply);
    buf_close(&decoded);
    return status;
}
