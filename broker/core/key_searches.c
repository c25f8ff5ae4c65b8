#include "broker/core/key_searches.h"

#include "broker/core/broker.h"

void key_searches_init(struct key_searches *searches, struct broker *broker)
{
    *searches = (struct key_searches){.broker = broker};
    list_init(&searches->line);
}

static struct key_job *take_first(struct key_searches *searches)
{
    struct list *node = list_pop(&searches->line);
    if (node == NULL) {
        return NULL;
    }
    searches->count--;
    return CONTAINER_OF(node, struct key_job, line);
}

void key_searches_close(struct key_searches *searches)
{
    for (struct key_job *job; (job = take_first(searches)) != NULL;) {
        job->done(searches->broker, job, STATUS_SHUTTING_DOWN);
    }
}

/* One step; the job is over, or in line again. */
static void step(struct key_searches *searches, struct key_job *job)
{
    struct broker *broker = searches->broker;
    enum status status = STATUS_CONNECTION_LOST;
    if (channels_find(&broker->channels, job->channel_id) != NULL) {
        status = machine_key_search(broker->machine, &job->search);
    }
    if (status != STATUS_PENDING) {
        job->done(broker, job, status);
        return;
    }
    list_append(&searches->line, &job->line);
    searches->count++;
    broker->ports->turn_again(broker->ports->context);
}

enum status key_searches_start(struct key_searches *searches, struct slice topic, struct slice key,
                               struct key_job *job)
{
    if (searches->count >= KEY_SEARCHES_MAX) {
        return STATUS_OVERLOADED;
    }
    machine_key_search_begin(searches->broker->machine, topic, key, &job->search);
    step(searches, job);
    return STATUS_OK;
}

void key_searches_turn(struct key_searches *searches)
{
    struct key_job *job = take_first(searches);
    if (job != NULL) {
        step(searches, job);
    }
}
