#include "broker/core/sieve.h"

#include "broker/core/reader.h"

#include <inttypes.h>
#include <stdlib.h>

struct sieve {
    struct broker *broker;
    struct sieve_request request;
    sieve_cb *done;
    void *context;
    int64_t offset; /* Next to look at. */
    uint32_t round; /* Messages to read next. */
    uint32_t looked_at;
    uint64_t position;
    uint64_t cost;
    struct buf kept;
    uint32_t kept_count;
    enum status status;
    bool ended;
    bool starting; /* The read is being started: its end goes on there. */
    bool reading;
    uint32_t ref_count;
    struct message_ref *refs;
};

static void run(struct sieve *sieve);
static bool next_round(struct sieve *sieve);
static void start_round(struct sieve *sieve);
static void on_round(struct broker *broker, void *context, enum status status, uint8_t *data,
                     size_t size);
static void finish(struct sieve *sieve);

void sieve_start(struct broker *broker, const struct sieve_request *request, sieve_cb *done,
                 void *context)
{
    ASSERT(request->filter->sql != NULL);
    ASSERT(request->messages_max > 0);
    struct sieve *sieve = mem_zalloc(sizeof *sieve);
    sieve->broker = broker;
    sieve->request = *request;
    message_filter_hold(request->filter);
    sieve->done = done;
    sieve->context = context;
    sieve->offset = request->offset;
    sieve->round = request->messages_max;
    run(sieve);
}

/* Round after round, as long as they end within the call. */
static void run(struct sieve *sieve)
{
    while (next_round(sieve)) {
        sieve->reading = true;
        sieve->starting = true;
        start_round(sieve);
        sieve->starting = false;
        if (sieve->reading) {
            return; // on_round() goes on.
        }
    }
    finish(sieve);
}

static void start_round(struct sieve *sieve)
{
    if (sieve->looked_at == 0) {
        read_messages(sieve->broker, sieve->refs, sieve->ref_count, on_round, sieve);
    } else {
        read_more_messages(sieve->broker, sieve->refs, sieve->ref_count, sieve->kept.capacity,
                           on_round, sieve);
    }
}

static uint32_t round_size(const struct sieve *sieve)
{
    uint32_t left = SIEVE_MESSAGES_MAX - sieve->looked_at;
    uint32_t size = sieve->round < left ? sieve->round : left;
    return size < READ_MESSAGES_MAX ? size : READ_MESSAGES_MAX;
}

/* What to read next; false if nothing (more) is to be looked at. */
static bool next_round(struct sieve *sieve)
{
    struct broker *broker = sieve->broker;
    const struct queue *queue = machine_queue_find(
        broker->machine, name_slice(&sieve->request.topic), sieve->request.queue_id);
    // It may be gone by now, or cut.
    bool there =
        queue != NULL && sieve->offset >= queue->offset_first && sieve->offset < queue->offset_next;
    if (sieve->ended || !there || sieve->looked_at >= SIEVE_MESSAGES_MAX ||
        sieve->kept_count >= sieve->request.messages_max) {
        return false;
    }
    struct index_entry entries[READ_MESSAGES_MAX];
    uint32_t count = 0;
    enum status status = machine_queue_read(broker->machine, queue, sieve->offset,
                                            round_size(sieve), entries, &count);
    if (status != STATUS_OK) {
        log_error(broker->log, "queue index cannot be read",
                  "topic=%s queue=%d offset=%" PRId64 " status=%s", queue->topic->name.text,
                  queue->id, sieve->offset, status_name(status));
        sieve->status = status;
        return false;
    }
    size_t bytes = 0;
    uint32_t used = 0;
    sieve->refs = mem_realloc(sieve->refs, (count > 0 ? count : 1) * sizeof sieve->refs[0]);
    for (; used < count; used++) {
        bytes += entries[used].size;
        if (used > 0 && bytes > broker->settings->pull_bytes_max) {
            break;
        }
        sieve->refs[used] = message_ref_of(queue, &entries[used], sieve->offset + used);
    }
    sieve->ref_count = used;
    sieve->round *= 2;
    return true;
}

/* Keep the message if it passes. False if it does but there is no room for it. */
static bool take(struct sieve *sieve, struct slice bytes)
{
    const struct sieve_request *request = &sieve->request;
    struct message message;
    size_t size = 0;
    bool decoded = message_decode(bytes, &message, &size) == STATUS_OK;
    ASSERT(decoded); // The reader has seen to that.
    sieve->cost += sql_filter_cost(request->filter->sql, message.properties.size);
    if (!sql_filter_matches(request->filter->sql, message.properties)) {
        return true;
    }
    if (sieve->kept_count == request->messages_max ||
        (sieve->kept_count > 0 && sieve->kept.size + bytes.size > request->bytes_max)) {
        return false;
    }
    buf_put_slice(&sieve->kept, bytes);
    sieve->kept_count++;
    return true;
}

static void on_round(struct broker *broker, void *context, enum status status, uint8_t *data,
                     size_t size)
{
    struct sieve *sieve = context;
    (void)broker;
    sieve->reading = false;
    // Who has looked at something says so, and comes back for the rest.
    bool enough = status == STATUS_OVERLOADED && sieve->looked_at > 0;
    sieve->status = enough ? STATUS_OK : status;
    sieve->ended = status != STATUS_OK;
    size_t at = 0;
    for (uint32_t i = 0; i < sieve->ref_count && !sieve->ended; i++) {
        size_t message_size = sieve->refs[i].entry.size;
        ASSERT(at + message_size <= size);
        if (!take(sieve, slice_of(data + at, message_size))) {
            sieve->ended = true;
            break;
        }
        at += message_size;
        sieve->position = sieve->refs[i].entry.position;
        sieve->offset++;
        sieve->looked_at++;
        sieve->ended = sieve->cost >= SIEVE_COST_MAX;
    }
    if (!sieve->starting) {
        run(sieve);
    }
}

static void finish(struct sieve *sieve)
{
    uint64_t first = sieve->refs == NULL ? 0 : sieve->refs[0].entry.position;
    bool cut = sieve->status == STATUS_NOT_FOUND &&
               first < machine_cut_done(sieve->broker->machine).position;
    struct sieved sieved = {
        // What went while it was being read is no failure, nor is one behind what was kept.
        .status = cut || sieve->kept_count > 0 ? STATUS_OK : sieve->status,
        .offset_next = sieve->offset,
        .position = sieve->position,
        .count = sieve->kept_count,
        .messages = buf_slice(&sieve->kept),
    };
    sieve->done(sieve->broker, sieve->context, &sieved);
    message_filter_release(sieve->request.filter);
    buf_close(&sieve->kept);
    free(sieve->refs);
    free(sieve);
}
