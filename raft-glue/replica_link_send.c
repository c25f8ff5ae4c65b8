/* Messages of a link: taken from the log's memory, or loaded first, and written in order. */
#include "raft-glue/replica_peers_internal.h"

#include <inttypes.h>
#include <stdlib.h>

enum { BUFS_PER_ENTRY = 3 };

static const uint8_t padding[LOG_FRAME_ALIGNMENT];

struct pending_message {
    struct list queue;
    struct replica_outbound outbound;
};

/* Entries on their way from disk for the first pending message. */
struct link_load {
    uv_work_t work;
    struct replica_peers *peers;
    struct link *link; /* NULL once nobody waits. */
    struct log_load load;
};

/* A write under way: holds all memory it points to. */
struct link_write {
    uv_write_t write;
    struct link_connection *connection;
    size_t bytes;
    uint8_t header[WIRE_HEADER_SIZE];
    struct block *block; /* Loaded frames, or NULL. */
    unsigned record_count;
    struct log_record **records;
};

void link_drop_pending(struct link *link)
{
    struct list *node = NULL;
    while ((node = list_pop(&link->pending)) != NULL) {
        free(CONTAINER_OF(node, struct pending_message, queue));
    }
    link->pending_count = 0;
    if (link->load != NULL) {
        link->load->link = NULL;
        link->load = NULL;
    }
}

static void write_free(struct link_write *write)
{
    for (unsigned i = 0; i < write->record_count; i++) {
        log_record_release(write->records[i]);
    }
    free(write->records);
    block_release(write->block);
    free(write);
}

static void on_written(uv_write_t *request, int status)
{
    struct link_write *write = CONTAINER_OF(request, struct link_write, write);
    struct link *link = write->connection->link;
    if (link != NULL) {
        link->writing_bytes -= write->bytes;
        link->writing_count--;
        if (status != 0) {
            link_lost(link);
        }
    }
    write_free(write);
}

/* Step over bytes that are written; how many buffers are left, moved to the front. */
static unsigned skip_written(uv_buf_t *bufs, unsigned count, size_t written)
{
    unsigned whole = 0;
    while (whole < count && written >= bufs[whole].len) {
        written -= bufs[whole++].len;
    }
    memmove(bufs, bufs + whole, (count - whole) * sizeof *bufs);
    if (whole < count) {
        bufs[0] = uv_buf_init(bufs[0].base + written, (unsigned)(bufs[0].len - written));
    }
    return count - whole;
}

/* Start a write whose first buffer is the header. Takes write. What the socket has room for goes at
 * once: a queued write costs two more system calls and a turn of the loop. */
static void start_write(struct link *link, struct link_write *write, uv_buf_t *bufs, unsigned count)
{
    uv_stream_t *stream = (uv_stream_t *)&link->connection->tcp;
    int written = uv_try_write(stream, bufs, count);
    count = skip_written(bufs, count, written > 0 ? (size_t)written : 0);
    if (count == 0) {
        write_free(write);
        return;
    }
    write->connection = link->connection;
    write->bytes = 0;
    for (unsigned i = 0; i < count; i++) {
        write->bytes += bufs[i].len;
    }
    link->writing_bytes += write->bytes;
    link->writing_count++;
    if (uv_write(&write->write, stream, bufs, count, on_written) != 0) {
        write_free(write);
        link_lost(link);
    }
}

static void encode_header(const struct link *link, const struct raft_message *message,
                          size_t body_size, uint8_t *to)
{
    struct wire_header header = {.message = *message, .body_size = body_size};
    struct log_entry first;
    if (body_size > 0 && segment_log_entry(link->peers->options.segments,
                                           message->append_entries.prev_log_index + 1, &first)) {
        header.position = first.position;
    }
    wire_header_encode(&header, to);
}

static unsigned record_bufs(const struct log_record *record, uv_buf_t *bufs)
{
    unsigned count = 0;
    bufs[count++] = uv_buf_init((char *)(uintptr_t)record->header, LOG_FRAME_HEADER_SIZE);
    if (record->payload_size > 0) {
        bufs[count++] = uv_buf_init((char *)(uintptr_t)record->payload, record->payload_size);
    }
    size_t pad =
        log_frame_size(record->payload_size) - LOG_FRAME_HEADER_SIZE - record->payload_size;
    if (pad > 0) {
        bufs[count++] = uv_buf_init((char *)(uintptr_t)padding, (unsigned)pad);
    }
    return count;
}

/* Send a message whose entries, if any, are all in memory. */
static void send_from_memory(struct link *link, const struct raft_message *message)
{
    unsigned entries = message->type == RAFT_APPEND_ENTRIES ? message->append_entries.n_entries : 0;
    struct link_write *write = mem_zalloc(sizeof *write);
    uv_buf_t bufs[1 + WIRE_ENTRIES_MAX * BUFS_PER_ENTRY];
    unsigned count = 1;
    size_t body_size = 0;
    if (entries > 0) {
        write->records = mem_alloc(entries * sizeof(void *));
    }
    for (unsigned i = 0; i < entries; i++) {
        struct log_record *record = segment_log_cached(
            link->peers->options.segments, message->append_entries.prev_log_index + 1 + i);
        write->records[write->record_count++] = log_record_hold(record);
        count += record_bufs(record, bufs + count);
        body_size += log_frame_size(record->payload_size);
    }
    encode_header(link, message, body_size, write->header);
    bufs[0] = uv_buf_init((char *)write->header, WIRE_HEADER_SIZE);
    start_write(link, write, bufs, count);
}

static void send_loaded(struct link *link, const struct raft_message *message,
                        const struct log_load *load)
{
    struct link_write *write = mem_zalloc(sizeof *write);
    write->block = block_hold(load->block);
    encode_header(link, message, load->size, write->header);
    uv_buf_t bufs[2] = {
        uv_buf_init((char *)write->header, WIRE_HEADER_SIZE),
        uv_buf_init((char *)load->block->data, (unsigned)load->size),
    };
    start_write(link, write, bufs, 2);
}

static void run_load(uv_work_t *work)
{
    struct link_load *load = work->data;
    log_load_run(&load->load);
}

static void pop_pending(struct link *link)
{
    struct list *node = list_pop(&link->pending);
    free(CONTAINER_OF(node, struct pending_message, queue));
    link->pending_count--;
}

/* What was truncated while it was read looks damaged, too; it is not there the next time. Loads of
 * other entries come between the two. */
static void judge_load(struct link *link, const struct log_load *load)
{
    uint64_t bad = load->first_index + load->verified;
    if (load->status == STATUS_OK) {
        bool sound =
            link->suspect >= load->first_index && link->suspect < load->first_index + load->count;
        link->suspect = sound ? 0 : link->suspect;
    } else if (load->status == STATUS_CORRUPT && link->suspect != bad) {
        link->suspect = bad;
    } else if (load->status == STATUS_CORRUPT) {
        link->peers->options.on_damage(link->peers->options.context, bad);
    }
}

static void after_load(uv_work_t *work, int status)
{
    (void)status;
    struct link_load *load = work->data;
    struct replica_peers *peers = load->peers;
    struct link *link = load->link;
    if (link != NULL) {
        link->load = NULL;
        judge_load(link, &load->load);
        struct replica_outbound outbound =
            CONTAINER_OF(link->pending.next, struct pending_message, queue)->outbound;
        pop_pending(link);
        const struct raft_append_entries *append = &outbound.message.append_entries;
        if (load->load.status == STATUS_OK && load->load.count == append->n_entries &&
            peers->options.may_send(peers->options.context, append->term)) {
            send_loaded(link, &outbound.message, &load->load);
        }
        segment_log_load_end(peers->options.segments, &load->load);
        free(load);
        link_pump(link);
    } else {
        segment_log_load_end(peers->options.segments, &load->load);
        free(load);
    }
    peers_released(peers);
}

/* Begin to load the entries of the first pending message; false if they cannot be had. */
static bool begin_load(struct link *link, const struct raft_append_entries *append)
{
    struct replica_peers *peers = link->peers;
    struct link_load *load = mem_zalloc(sizeof *load);
    load->peers = peers;
    load->link = link;
    load->work.data = load;
    uint64_t first = append->prev_log_index + 1;
    if (segment_log_load_begin(peers->options.segments, first,
                               append->prev_log_index + append->n_entries, WIRE_BODY_MAX,
                               &load->load) != STATUS_OK) {
        free(load);
        return false;
    }
    link->load = load;
    peers->handles++;
    uv_queue_work(peers->options.loop, &load->work, run_load, after_load);
    return true;
}

static bool all_cached(const struct link *link, const struct raft_append_entries *append)
{
    for (unsigned i = 0; i < append->n_entries; i++) {
        if (segment_log_cached(link->peers->options.segments, append->prev_log_index + 1 + i) ==
            NULL) {
            return false;
        }
    }
    return true;
}

void link_pump(struct link *link)
{
    while (link->state == LINK_OPEN && link->load == NULL && !list_empty(&link->pending)) {
        struct pending_message *pending =
            CONTAINER_OF(link->pending.next, struct pending_message, queue);
        const struct raft_message *message = &pending->outbound.message;
        const struct raft_append_entries *append = &message->append_entries;
        if (message->type == RAFT_APPEND_ENTRIES && append->n_entries > 0) {
            bool current =
                link->peers->options.may_send(link->peers->options.context, append->term);
            if (current && !all_cached(link, append)) {
                if (begin_load(link, append)) {
                    return; // The rest waits behind it.
                }
                current = false; // Partly in memory, partly not durable: the leader tries again.
            }
            if (!current) {
                pop_pending(link);
                continue;
            }
        }
        struct raft_message copy = *message;
        pop_pending(link);
        send_from_memory(link, &copy);
    }
}

void link_send(struct link *link, const struct replica_outbound *outbound)
{
    const struct raft_message *message = &outbound->message;
    bool queued = link->writing_count > 0 || link->pending_count > 0;
    bool empty = message->type == RAFT_APPEND_ENTRIES && message->append_entries.n_entries == 0;
    if (link->state != LINK_OPEN || (empty && queued) ||
        link->writing_bytes > LINK_QUEUE_BYTES_MAX ||
        link->writing_count + link->pending_count >= LINK_QUEUE_MESSAGES_MAX) {
        return;
    }
    struct pending_message *pending = mem_alloc(sizeof *pending);
    *pending = (struct pending_message){.outbound = *outbound};
    list_append(&link->pending, &pending->queue);
    link->pending_count++;
    link_pump(link);
}
