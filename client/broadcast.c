#include "client/broadcast.h"

#include "client/consumer.h"
#include "common/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

static bool lock(struct broadcast *broadcast, const char *path);
static void work(uv_work_t *request);
static void after_work(uv_work_t *request, int canceled);

enum raftmq_status broadcast_open(struct broadcast *broadcast, const char *directory,
                                  const struct name *group, struct raftmq_error *error)
{
    struct buf lock_path = {0};
    struct buf text = {0};
    enum raftmq_status result = RAFTMQ_OK;
    *broadcast = (struct broadcast){.open = true, .lock_fd = -1};
    buf_printf(&lock_path, "%s/%s.lock", directory, group->text);
    buf_printf(&broadcast->path, "%s/%s.offsets", directory, group->text);
    if (!lock(broadcast, buf_text(&lock_path))) {
        result = error_set(error, RAFTMQ_INVALID_ARGUMENT,
                           errno == EWOULDBLOCK ? "another consumer of the group uses %s"
                                                : "%s cannot be written",
                           directory);
    } else {
        enum status status = file_read(buf_text(&broadcast->path), LOCAL_OFFSETS_FILE_MAX, &text);
        if (status == STATUS_OK) {
            status = local_offsets_decode(buf_slice(&text), &broadcast->offsets);
        }
        if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
            result = error_set(error, RAFTMQ_INVALID_ARGUMENT,
                               "%s is damaged or not to be read: without it the group begins anew",
                               buf_text(&broadcast->path));
        }
    }
    buf_close(&text);
    buf_close(&lock_path);
    if (result != RAFTMQ_OK) {
        broadcast_close(broadcast);
    }
    return result;
}

/* The kernel lets go of it when the process ends, however it does. */
static bool lock(struct broadcast *broadcast, const char *path)
{
    broadcast->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    return broadcast->lock_fd >= 0 && flock(broadcast->lock_fd, LOCK_EX | LOCK_NB) == 0;
}

void broadcast_close(struct broadcast *broadcast)
{
    if (!broadcast->open) {
        return;
    }
    if (broadcast->lock_fd >= 0) {
        close(broadcast->lock_fd);
    }
    local_offsets_close(&broadcast->offsets);
    buf_close(&broadcast->content);
    buf_close(&broadcast->path);
    *broadcast = (struct broadcast){0};
}

void broadcast_note(struct consumed_queue *queue)
{
    struct raftmq_consumer *consumer = queue->consumer;
    struct broadcast *broadcast = &consumer->broadcast;
    if (queue->located &&
        !local_offsets_set(&broadcast->offsets, name_slice(&queue->topic->topic),
                           name_slice(&queue->broker), queue->queue_id, queue_committed(queue),
                           &broadcast->news) &&
        !queue->refusal_told) {
        queue->refusal_told = true;
        log_warn(&consumer->client->log,
                 "an offset cannot be kept: the queue begins anew next time",
                 "group=%s topic=%s broker=%s", consumer->group.text, queue->topic->topic.text,
                 queue->broker.text);
    }
}

bool broadcast_store(struct raftmq_consumer *consumer)
{
    struct broadcast *broadcast = &consumer->broadcast;
    if (broadcast->writing) {
        return true;
    }
    LIST_FOREACH(at, &consumer->queues)
    {
        broadcast_note(CONTAINER_OF(at, struct consumed_queue, in_consumer));
    }
    if (!broadcast->news) {
        return false;
    }
    broadcast->news = false;
    buf_clear(&broadcast->content);
    local_offsets_encode(&broadcast->offsets, &broadcast->content);
    broadcast->writing =
        uv_queue_work(&consumer->client->loop, &broadcast->work, work, after_work) == 0;
    return broadcast->writing;
}

/* In the thread pool: all that it needs stays as it is until after_work(). */
static void work(uv_work_t *request)
{
    struct broadcast *broadcast = CONTAINER_OF(request, struct broadcast, work);
    broadcast->written = file_replace(buf_text(&broadcast->path), buf_slice(&broadcast->content));
}

static void after_work(uv_work_t *request, int canceled)
{
    struct broadcast *broadcast = CONTAINER_OF(request, struct broadcast, work);
    struct raftmq_consumer *consumer = CONTAINER_OF(broadcast, struct raftmq_consumer, broadcast);
    broadcast->writing = false;
    if (canceled != 0 || broadcast->written != STATUS_OK) {
        log_warn(&consumer->client->log, "offsets cannot be stored; messages may come again",
                 "file=%s", buf_text(&broadcast->path));
        broadcast->news = !consumer->closing; // Tried again with the next period.
    }
    consumer_finish_if_idle(consumer);
}
