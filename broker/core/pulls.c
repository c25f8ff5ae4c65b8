#include "broker/core/pulls.h"

#include "broker/core/broker.h"
#include "broker/core/delivered.h"
#include "broker/core/pull_look.h"
#include "broker/core/sieve.h"
#include "broker/core/suggestion.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    /* Messages that one turn reads for pulls that were parked, and the last one of them: a few
     * milliseconds, which the leader's heartbeats wait. */
    TURN_BYTES_MAX = 4 * 1024 * 1024,
};

/* A queue at which pulls are parked. */
struct parked_queue {
    struct map_node node;
    uint8_t key[NAME_MAX_SIZE + 4];
    struct list parked; /* Those that have not been looked at in this round go first. */
    struct list woken;
    uint32_t round; /* Changes as it grows. */
};

struct parked {
    struct pull pull;
    struct parked_queue *queue;
    struct list at_queue;
    struct list at_channel;
    struct list left; /* In left_pulls of its connection's channel. */
    struct heap_node timer;
    uint32_t round; /* The queue's, when it was looked at. */
};

/* A pull that is served at the end of the loop turn. */
struct soon {
    struct list link;
    struct pull pull;
};

/* A pull whose messages are being read. */
struct reading {
    struct pull pull; /* Without its filter. */
    struct pull_found found;
};

/* A pull whose messages are being looked through. */
struct sieving {
    struct pull pull;
    struct pull_found found;
};

static void answer(struct broker *broker, const struct pull *pull, const struct pull_found *found,
                   const struct message_ref *refs);
static void refuse(struct broker *broker, const struct pull *pull, enum status status);
static void conclude(struct pulls *pulls, struct pull *pull, const struct pull_found *found,
                     const struct message_ref *refs);
static void on_sieved(struct broker *broker, void *context, const struct sieved *sieved);
static void park(struct pulls *pulls, struct pull *pull);
static struct pull unpark(struct pulls *pulls, struct parked *parked);

void pulls_init(struct pulls *pulls, struct broker *broker)
{
    *pulls = (struct pulls){.broker = broker};
    list_init(&pulls->woken);
    list_init(&pulls->soon);
    list_init(&pulls->full);
}

void pulls_close(struct pulls *pulls)
{
    struct heap_node *node;
    while ((node = heap_first(&pulls->due)) != NULL) {
        struct pull pull = unpark(pulls, CONTAINER_OF(node, struct parked, timer));
        message_filter_release(pull.filter);
    }
    for (struct list *link; (link = list_pop(&pulls->soon)) != NULL;) {
        struct soon *soon = CONTAINER_OF(link, struct soon, link);
        message_filter_release(soon->pull.filter);
        free(soon);
    }
    while (list_pop(&pulls->full) != NULL) {
    }
    heap_close(&pulls->due);
    map_close(&pulls->queues);
}

static bool may_park(const struct pulls *pulls, const struct pull *pull)
{
    return pull->suspend && pulls->count < pulls->broker->settings->held_pulls_max &&
           !pulls->broker->stopping;
}

static struct channel *channel_of(const struct pulls *pulls, const struct pull *pull)
{
    return channels_find(&pulls->broker->channels, pull->to.channel_id);
}

/* It has waited, and its connection cannot take what would have to be read for it. */
static bool is_stuck(const struct pulls *pulls, const struct pull *pull)
{
    const struct channel *channel = pull->parked ? channel_of(pulls, pull) : NULL;
    return channel != NULL && !channel_writable(&pulls->broker->channels, channel);
}

void pulls_serve(struct pulls *pulls, struct pull *pull)
{
    struct pull_found found;
    struct message_ref refs[READ_MESSAGES_MAX];
    pull_look(pulls->broker, pull, &found, refs);
    if ((found.code == PULL_FOUND || found.code == PULL_SIEVE) && is_stuck(pulls, pull)) {
        found.code = PULL_NOT_FOUND; // It comes back for that.
        found.offset_next = pull->offset;
    }
    if (found.code == PULL_NOT_FOUND && may_park(pulls, pull)) {
        park(pulls, pull);
    } else if (found.reset && pulls_send_home(pulls, pull)) {
        message_filter_release(pull->filter); // The leader may have seen it pull there already.
    } else {
        conclude(pulls, pull, &found, refs);
    }
}

void pulls_serve_soon(struct pulls *pulls, const struct pull *pull)
{
    struct soon *soon = mem_zalloc(sizeof *soon);
    soon->pull = *pull;
    list_append(&pulls->soon, &soon->link);
}

bool pulls_send_home(struct pulls *pulls, const struct pull *pull)
{
    const struct broker *broker = pulls->broker;
    if (!broker->settings->slave_read || broker_leads(broker) || !may_park(pulls, pull)) {
        return false;
    }
    struct pull home = *pull;
    home.homeward = true;
    home.filter = NULL;
    home.deadline_ms = clock_monotonic_ms(broker->ports->clock) + FOLLOWER_HOLD_MS;
    park(pulls, &home);
    return true;
}

/* Go on with what was found, which is not for parking. Takes the pull. */
static void conclude(struct pulls *pulls, struct pull *pull, const struct pull_found *found,
                     const struct message_ref *refs)
{
    if (found->code == PULL_UNREADABLE) {
        refuse(pulls->broker, pull, found->status);
        message_filter_release(pull->filter);
        return;
    }
    if (found->code != PULL_SIEVE) {
        answer(pulls->broker, pull, found, refs);
        message_filter_release(pull->filter);
        return;
    }
    struct sieving *sieving = mem_alloc(sizeof *sieving);
    sieving->pull = *pull;
    sieving->found = *found;
    const struct sieve_request request = {
        .topic = pull->topic,
        .queue_id = pull->queue_id,
        .offset = pull->offset,
        .messages_max = pull->messages_max,
        .bytes_max = pull->bytes_max,
        .filter = pull->filter,
    };
    sieve_start(pulls->broker, &request, on_sieved, sieving);
}

static void add_header(struct command *response, char (*numbers)[24], const struct pull *pull,
                       const struct pull_found *found, uint64_t suggested)
{
    const struct {
        const char *name;
        int64_t value;
    } fields[] = {
        {"suggestWhichBrokerId", (int64_t)suggested},
        {"nextBeginOffset", found->offset_next},
        {"minOffset", found->offset_min},
        {"maxOffset", found->offset_max},
        {"topicSysFlag", pull->topic_sys_flag},
        {"groupSysFlag", pull->group_sys_flag},
    };
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        snprintf(numbers[i], sizeof numbers[i], "%" PRId64, fields[i].value);
        command_add(response, fields[i].name, slice_text(numbers[i]));
    }
}

static const char *remark_of(int32_t code)
{
    switch (code) {
    case PULL_FOUND:
        return "FOUND";
    case PULL_NOT_FOUND:
        return "no new message";
    case PULL_RETRY_IMMEDIATELY:
        return "no message matched the filter";
    default:
        return "the offset is outside the queue, or was reset: go on at nextBeginOffset";
    }
}

static void send_answer(struct broker *broker, const struct pull *pull,
                        const struct pull_found *found, struct slice body)
{
    struct command response;
    char numbers[6][24];
    bool more = (found->code == PULL_FOUND || found->code == PULL_RETRY_IMMEDIATELY) &&
                found->offset_next < found->offset_max;
    uint64_t suggested = more ? suggest_broker(broker, pull, found->position) : LEADER_BROKER_ID;
    reply_init(&response, &pull->to, found->code);
    add_header(&response, numbers, pull, found, suggested);
    response.remark = slice_text(remark_of(found->code));
    response.body = body;
    broker_reply(broker, &pull->to, &response);
}

static void send_messages(struct broker *broker, const struct pull *pull,
                          const struct pull_found *found, struct slice messages)
{
    broker->counters.messages_out += found->count;
    broker->counters.bytes_out += messages.size;
    send_answer(broker, pull, found, messages);
}

/* What is there cannot be read here. */
static void refuse(struct broker *broker, const struct pull *pull, enum status status)
{
    if (!pulls_send_home(&broker->pulls, pull)) {
        broker_reply_status(broker, &pull->to, status, NULL);
    }
}

static void on_messages_read(struct broker *broker, void *context, enum status status,
                             uint8_t *data, size_t size)
{
    struct reading *reading = context;
    const struct message_ref *first = &reading->found.first;
    bool cut = first->entry.position < machine_cut_done(broker->machine).position;
    if (status == STATUS_NOT_FOUND && cut) {
        // It went while it was being read. Asked once more, the queue begins behind it.
        reading->found.code = PULL_RETRY_IMMEDIATELY;
        reading->found.offset_next = first->queue_offset;
        reading->found.position = 0;
        send_answer(broker, &reading->pull, &reading->found, slice_of(NULL, 0));
    } else if (status == STATUS_OK) {
        send_messages(broker, &reading->pull, &reading->found, slice_of(data, size));
    } else {
        refuse(broker, &reading->pull, status);
    }
    free(reading);
}

static void count_delivered(struct broker *broker, const struct pull *pull,
                            const struct pull_found *found, const struct message_ref *refs)
{
    uint32_t count = found->code == PULL_FOUND ? found->count : 0;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        bytes += refs[i].entry.size;
    }
    delivered_count(broker, name_slice(&pull->group), name_slice(&pull->topic), count, bytes);
}

static void answer(struct broker *broker, const struct pull *pull, const struct pull_found *found,
                   const struct message_ref *refs)
{
    struct pull_found final = *found;
    if (final.code == PULL_NOT_FOUND && (pull->moved || pull->homeward)) {
        // The client must learn how far the filter has looked, or that the leader has more.
        final.code = PULL_RETRY_IMMEDIATELY;
    }
    count_delivered(broker, pull, &final, refs);
    if (final.code != PULL_FOUND) {
        send_answer(broker, pull, &final, slice_of(NULL, 0));
        return;
    }
    struct reading *reading = mem_alloc(sizeof *reading);
    reading->pull = *pull;
    reading->pull.filter = NULL;
    reading->found = final;
    read_messages(broker, refs, reading->found.count, on_messages_read, reading);
}

static void answer_sieved(struct broker *broker, const struct pull *pull, struct pull_found *found,
                          const struct sieved *sieved)
{
    if (sieved->status != STATUS_OK) {
        refuse(broker, pull, sieved->status);
        return;
    }
    found->code = sieved->count > 0 ? PULL_FOUND : PULL_RETRY_IMMEDIATELY;
    found->offset_next = sieved->offset_next;
    found->count = sieved->count;
    found->position = sieved->position;
    send_messages(broker, pull, found, sieved->messages);
}

/* One that has waited goes on waiting if nothing passed of all there is. */
static void on_sieved(struct broker *broker, void *context, const struct sieved *sieved)
{
    struct sieving *sieving = context;
    struct pull *pull = &sieving->pull;
    const struct queue *queue =
        machine_queue_find(broker->machine, name_slice(&pull->topic), pull->queue_id);
    bool at_end = queue != NULL && sieved->offset_next == queue->offset_next;
    bool nothing = sieved->status == STATUS_OK && sieved->count == 0;
    if (nothing && at_end && pull->parked && may_park(&broker->pulls, pull)) {
        pull->moved |= sieved->offset_next > pull->offset;
        pull->offset = sieved->offset_next;
        park(&broker->pulls, pull);
    } else {
        answer_sieved(broker, pull, &sieving->found, sieved);
        message_filter_release(pull->filter);
    }
    free(sieving);
}

/* --- Parking ------------------------------------------------------------------------------ */

static struct slice queue_key(struct slice topic, int32_t queue_id, uint8_t *key)
{
    be32_put(key, (uint32_t)queue_id);
    memcpy(key + 4, topic.data, topic.size);
    return slice_of(key, topic.size + 4);
}

/* Takes the pull. */
static void park(struct pulls *pulls, struct pull *pull)
{
    uint8_t key[NAME_MAX_SIZE + 4];
    struct channel *channel = channel_of(pulls, pull);
    if (channel == NULL) {
        message_filter_release(pull->filter);
        return;
    }
    struct slice wanted = queue_key(name_slice(&pull->topic), pull->queue_id, key);
    struct map_node *node = map_find(&pulls->queues, wanted);
    struct parked_queue *queue;
    if (node != NULL) {
        queue = CONTAINER_OF(node, struct parked_queue, node);
    } else {
        queue = mem_zalloc(sizeof *queue);
        list_init(&queue->parked);
        memcpy(queue->key, wanted.data, wanted.size);
        map_put(&pulls->queues, &queue->node, slice_of(queue->key, wanted.size));
    }
    struct parked *parked = mem_zalloc(sizeof *parked);
    parked->pull = *pull;
    parked->queue = queue;
    parked->round = queue->round; // It has just been looked at.
    list_append(&queue->parked, &parked->at_queue);
    list_append(&channel->held, &parked->at_channel);
    heap_put(&pulls->due, &parked->timer, pull->deadline_ms, pulls->next_tie++);
    pulls->count++;
    pulls->broker->counters.pulls_held += pull->parked ? 0 : 1;
    parked->pull.parked = true;
}

/* Unlink and free. Gives the pull back. */
static struct pull unpark(struct pulls *pulls, struct parked *parked)
{
    struct pull pull = parked->pull;
    struct parked_queue *queue = parked->queue;
    list_remove(&parked->at_queue);
    list_remove(&parked->at_channel);
    list_remove(&parked->left);
    heap_remove(&pulls->due, &parked->timer);
    pulls->count--;
    if (list_empty(&queue->parked)) {
        list_remove(&queue->woken);
        map_remove(&pulls->queues, &queue->node);
        free(queue);
    }
    free(parked);
    return pull;
}

void pulls_on_queue_grown(struct pulls *pulls, const struct queue *queue)
{
    uint8_t key[NAME_MAX_SIZE + 4];
    if (pulls->queues.count == 0) {
        return; // Nobody waits: spare it the key.
    }
    struct map_node *node =
        map_find(&pulls->queues, queue_key(name_slice(&queue->topic->name), queue->id, key));
    if (node != NULL) {
        struct parked_queue *parked = CONTAINER_OF(node, struct parked_queue, node);
        parked->round++;
        if (!list_linked(&parked->woken)) {
            list_append(&pulls->woken, &parked->woken);
        }
    }
}

/* Look at it again once its connection has taken what waits there. */
static void leave(struct pulls *pulls, struct parked *parked)
{
    struct channel *channel = channel_of(pulls, &parked->pull);
    struct channel *carrier = channel->via != NULL ? channel->via : channel;
    list_append(&carrier->left_pulls, &parked->left);
    if (!list_linked(&carrier->full)) {
        list_append(&pulls->full, &carrier->full);
    }
}

/* Answer if there is something now; otherwise it stays, with its offset moved on. */
static void try_again(struct pulls *pulls, struct parked *parked)
{
    struct pull_found found;
    struct message_ref refs[READ_MESSAGES_MAX];
    if (is_stuck(pulls, &parked->pull)) {
        leave(pulls, parked);
        return;
    }
    pull_look(pulls->broker, &parked->pull, &found, refs);
    while (found.code == PULL_RETRY_IMMEDIATELY && found.offset_next > parked->pull.offset) {
        parked->pull.offset = found.offset_next;
        parked->pull.moved = true;
        pull_look(pulls->broker, &parked->pull, &found, refs);
    }
    if (found.code == PULL_NOT_FOUND || found.code == PULL_RETRY_IMMEDIATELY) {
        return;
    }
    struct pull pull = unpark(pulls, parked);
    conclude(pulls, &pull, &found, refs);
}

/* Has a part of the turn that began at this count read all that it may? */
static bool has_read_enough(const struct pulls *pulls, uint64_t began)
{
    return pulls->broker->counters.bytes_read - began >= TURN_BYTES_MAX;
}

/* Those that were left for a connection, as long as it takes answers. */
static void try_left(struct pulls *pulls, struct channel *carrier, uint64_t began)
{
    const struct channels *channels = &pulls->broker->channels;
    while (!list_empty(&carrier->left_pulls) && channel_writable(channels, carrier) &&
           !has_read_enough(pulls, began)) {
        struct list *left = list_pop(&carrier->left_pulls);
        try_again(pulls, CONTAINER_OF(left, struct parked, left));
    }
}

/* Each connection once; the next turn begins with those that this one does not get to. */
static void look_at_full(struct pulls *pulls)
{
    uint64_t began = pulls->broker->counters.bytes_read;
    const struct list *last = pulls->full.prev;
    bool more = !list_empty(&pulls->full);
    while (more && !has_read_enough(pulls, began)) {
        struct list *node = list_pop(&pulls->full);
        struct channel *carrier = CONTAINER_OF(node, struct channel, full);
        more = node != last;
        try_left(pulls, carrier, began);
        if (!list_empty(&carrier->left_pulls)) {
            list_append(&pulls->full, node);
        }
    }
}

/* Of each queue those that have waited longest first. */
static void look_at_woken(struct pulls *pulls)
{
    uint64_t began = pulls->broker->counters.bytes_read;
    while (!list_empty(&pulls->woken) && !has_read_enough(pulls, began)) {
        struct parked_queue *queue = CONTAINER_OF(pulls->woken.next, struct parked_queue, woken);
        struct parked *parked = CONTAINER_OF(queue->parked.next, struct parked, at_queue);
        if (parked->round == queue->round) {
            list_remove(&queue->woken); // And so have all behind it been looked at.
            continue;
        }
        parked->round = queue->round;
        list_remove(&parked->at_queue);
        list_append(&queue->parked, &parked->at_queue);
        if (!list_linked(&parked->left)) {
            try_again(pulls, parked); // The last one to be answered frees the queue.
        }
    }
    if (!list_empty(&pulls->woken)) {
        list_append(&pulls->woken, list_pop(&pulls->woken)); // Next time another queue goes first.
        pulls->broker->ports->turn_again(pulls->broker->ports->context);
    }
}

void pulls_turn(struct pulls *pulls)
{
    for (struct list *link; (link = list_pop(&pulls->soon)) != NULL;) {
        struct soon *soon = CONTAINER_OF(link, struct soon, link);
        pulls_serve(pulls, &soon->pull);
        free(soon);
    }
    look_at_full(pulls);
    look_at_woken(pulls);
}

void pulls_tick(struct pulls *pulls, uint64_t now_ms)
{
    uint64_t began = pulls->broker->counters.bytes_read;
    struct heap_node *node;
    while ((node = heap_first(&pulls->due)) != NULL && node->due <= now_ms &&
           !has_read_enough(pulls, began)) {
        struct pull pull = unpark(pulls, CONTAINER_OF(node, struct parked, timer));
        pull.suspend = false;
        pulls_serve(pulls, &pull);
    }
}

void pulls_drop_channel(struct pulls *pulls, struct channel *channel)
{
    while (!list_empty(&channel->held)) {
        struct parked *parked = CONTAINER_OF(channel->held.next, struct parked, at_channel);
        struct pull pull = unpark(pulls, parked);
        message_filter_release(pull.filter);
    }
}
