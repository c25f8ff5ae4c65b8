#include "raft-glue/replica_peers_internal.h"

#include "raft-glue/replica_listen.h"

#include <stdlib.h>

enum { SWEEP_EVERY_MS = 1000 };

void peers_released(struct replica_peers *peers)
{
    ASSERT(peers->handles > 0);
    if (--peers->handles == 0 && peers->closing) {
        void (*on_closed)(void *context) = peers->on_closed;
        void *context = peers->closed_context;
        free(peers);
        on_closed(context);
    }
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct replica_peers *peers = listener->data;
    if (status == 0 && !peers->closing) {
        incoming_accept(peers);
    }
}

/* Close strangers that keep silent. */
static void on_sweep(uv_timer_t *timer)
{
    struct replica_peers *peers = timer->data;
    uint64_t now = uv_now(peers->options.loop);
    LIST_FOREACH(node, &peers->incoming)
    {
        struct incoming *incoming = CONTAINER_OF(node, struct incoming, queue);
        if (incoming->state == INCOMING_STRANGER &&
            now >= incoming->accepted_ms + STRANGER_TIMEOUT_MS) {
            incoming_close(incoming);
        }
    }
}

enum status replica_peers_start(const struct replica_peers_options *options,
                                struct replica_peers **out, char **error)
{
    struct replica_peers *peers = mem_zalloc(sizeof *peers);
    peers->options = *options;
    bool fits = name_set(&peers->cluster, options->cluster);
    ASSERT(fits && name_set(&peers->group, options->group));
    list_init(&peers->incoming);
    enum status status =
        replica_listen(options->loop, &peers->listener, options->raft_host, on_connection, error);
    if (status != STATUS_OK) {
        free(peers);
        return status;
    }
    peers->listener.data = peers;
    uv_timer_init(options->loop, &peers->sweep);
    peers->sweep.data = peers;
    peers->handles = 2;
    uv_timer_start(&peers->sweep, on_sweep, SWEEP_EVERY_MS, SWEEP_EVERY_MS);
    *out = peers;
    return STATUS_OK;
}

static void on_handle_closed(uv_handle_t *handle)
{
    peers_released(handle->data);
}

void replica_peers_close(struct replica_peers *peers, void (*on_closed)(void *context),
                         void *context)
{
    ASSERT(!peers->closing);
    peers->closing = true;
    peers->on_closed = on_closed;
    peers->closed_context = context;
    LIST_FOREACH(node, &peers->incoming)
    {
        incoming_close(CONTAINER_OF(node, struct incoming, queue));
    }
    for (size_t i = 0; i < peers->link_count; i++) {
        link_close(peers->links[i]);
    }
    peers->link_count = 0;
    uv_close((uv_handle_t *)&peers->listener, on_handle_closed);
    uv_close((uv_handle_t *)&peers->sweep, on_handle_closed);
}

static struct link *find_link(const struct replica_peers *peers, uint64_t id)
{
    for (size_t i = 0; i < peers->link_count; i++) {
        if (peers->links[i]->member.id == id) {
            return peers->links[i];
        }
    }
    return NULL;
}

static void drop_link(struct replica_peers *peers, size_t at)
{
    link_close(peers->links[at]);
    peers->links[at] = peers->links[--peers->link_count];
}

void replica_peers_set(struct replica_peers *peers, uint64_t id, struct host raft_host)
{
    struct replica_member member = {.id = id, .raft_host = raft_host};
    for (size_t i = 0; i < peers->link_count; i++) {
        struct host known = peers->links[i]->member.raft_host;
        if (peers->links[i]->member.id != id) {
            continue;
        }
        if (known.address == raft_host.address && known.port == raft_host.port) {
            return;
        }
        drop_link(peers, i);
        break;
    }
    if (id != peers->options.self && !peers->closing && peers->link_count < LINKS_MAX) {
        peers->links[peers->link_count++] = link_start(peers, &member);
    }
}

void replica_peers_keep(struct replica_peers *peers, const uint64_t *ids, size_t count)
{
    for (size_t i = peers->link_count; i > 0; i--) {
        bool keep = false;
        for (size_t j = 0; j < count; j++) {
            keep = keep || ids[j] == peers->links[i - 1]->member.id;
        }
        if (!keep) {
            drop_link(peers, i - 1);
        }
    }
}

void peers_note(struct replica_peers *peers, const struct hello *hello)
{
    struct peer_word *at = NULL;
    for (size_t i = 0; i < LINKS_MAX && at == NULL; i++) {
        uint64_t id = peers->words[i].id;
        at = id == hello->sender || id == 0 ? &peers->words[i] : NULL;
    }
    if (at == NULL) {
        at = &peers->words[peers->words_next++ % LINKS_MAX];
    }
    *at = (struct peer_word){
        .id = hello->sender,
        .client_host = hello->client_host,
        .draining = hello->draining,
    };
}

static const struct peer_word *find_word(const struct replica_peers *peers, uint64_t id)
{
    static const struct peer_word silence;
    for (size_t i = 0; i < LINKS_MAX; i++) {
        if (peers->words[i].id == id) {
            return &peers->words[i];
        }
    }
    return &silence;
}

struct host replica_peers_client_host(const struct replica_peers *peers, uint64_t id)
{
    return find_word(peers, id)->client_host;
}

bool replica_peers_draining(const struct replica_peers *peers, uint64_t id)
{
    return find_word(peers, id)->draining;
}

void replica_peers_drain(struct replica_peers *peers, bool draining)
{
    if (peers->draining == draining) {
        return;
    }
    peers->draining = draining;
    for (size_t i = 0; i < peers->link_count; i++) {
        link_renew(peers->links[i]);
    }
}

void replica_peers_renew_from(struct replica_peers *peers, uint64_t id)
{
    LIST_FOREACH(node, &peers->incoming)
    {
        struct incoming *incoming = CONTAINER_OF(node, struct incoming, queue);
        if (incoming->state == INCOMING_OPEN && incoming->from == id) {
            incoming_close(incoming);
        }
    }
}

void replica_peers_send(struct replica_peers *peers, const struct replica_outbound *outbound)
{
    struct link *link = find_link(peers, outbound->to);
    if (link != NULL && !peers->closing) {
        link_send(link, outbound);
    }
}

void replica_peers_pause(struct replica_peers *peers, bool pause)
{
    if (peers->paused == pause) {
        return;
    }
    peers->paused = pause;
    LIST_FOREACH(node, &peers->incoming)
    {
        incoming_pause(CONTAINER_OF(node, struct incoming, queue), pause);
    }
}

bool replica_peers_connected(const struct replica_peers *peers, uint64_t id)
{
    const struct link *link = find_link(peers, id);
    return link != NULL && link->state == LINK_OPEN;
}
