/* Entries of operations, as the log holds them and followers forward them.
 *
 * What decodes is encoded again and decodes to the same. Then two machines apply the entries that
 * decode as a whole (the input is cut at the text "|entry|"): one straight on, one that is closed
 * and loaded from its checkpoint between any two; they must agree. */
#include "broker/machine/machine.h"
#include "broker/machine/operation_fields.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

static const char separator[] = "|entry|";

static void encode(const struct operation *operation, struct buf *entry)
{
    size_t begin;
    switch (operation->type) {
    case OPERATION_MESSAGE:
    case OPERATION_HALF:
    case OPERATION_DELAYED:
    case OPERATION_HALF_DELAYED:
        begin = entry_operation_begin(entry, operation->type);
        buf_put_slice(entry, operation->body);
        entry_operation_end(entry, begin);
        return;
    case OPERATION_END:
        entry_put_end(entry, &operation->end);
        return;
    case OPERATION_CHECKED:
        entry_put_checked(entry, &operation->checked);
        return;
    case OPERATION_EXPIRE:
        entry_put_expire(entry, &operation->expire);
        return;
    case OPERATION_SETTLE:
        entry_put_settle(entry, &operation->settle);
        return;
    case OPERATION_OFFSETS:
        entry_put_offsets(entry, &operation->offsets);
        return;
    case OPERATION_TOPIC_PUT:
        entry_put_topic_put(entry, &operation->topic_put);
        return;
    case OPERATION_TOPIC_DELETE:
        entry_put_topic_delete(entry, operation->topic_delete);
        return;
    case OPERATION_GROUP_PUT:
        entry_put_group_put(entry, &operation->group_put);
        return;
    case OPERATION_GROUP_DELETE:
        entry_put_group_delete(entry, &operation->group_delete);
        return;
    case OPERATION_TICK:
        entry_put_tick(entry);
        return;
    case OPERATION_CUT:
        entry_put_cut(entry, &operation->cut);
        return;
    case OPERATION_LOCK:
        entry_put_lock(entry, &operation->lock);
        return;
    case OPERATION_FIRE:
        entry_put_fire(entry, &operation->fire);
        return;
    case OPERATION_RECALL:
        entry_put_recall(entry, &operation->recall);
        return;
    case OPERATION_POP:
        entry_put_pop(entry, &operation->pop);
        return;
    case OPERATION_ACK:
        entry_put_ack(entry, &operation->ack);
        return;
    case OPERATION_INVISIBLE:
        entry_put_invisible(entry, &operation->invisible);
        return;
    case OPERATION_MODE_PUT:
        entry_put_mode_put(entry, &operation->mode_put);
        return;
    }
    UNREACHABLE();
}

/* Append the entry encoded anew; false if it does not decode to its end. */
static bool encode_anew(struct slice payload, struct buf *out)
{
    struct entry_reader reader;
    struct operation operation;
    enum status status = entry_reader_init(&reader, payload);
    if (status != STATUS_OK) {
        return false;
    }
    entry_begin(out);
    while ((status = entry_reader_next(&reader, &operation)) == STATUS_OK) {
        encode(&operation, out);
    }
    entry_finish(out, reader.time_ms);
    return status == STATUS_NOT_FOUND;
}

struct replica {
    struct kv *kv;
    struct machine *machine;
};

static void replica_load(struct replica *replica)
{
    const struct machine_events events = {0};
    char *error = NULL;
    enum status status = machine_open(replica->kv, &events, &replica->machine, &error);
    ASSERT(status == STATUS_OK);
}

static void replica_reload(struct replica *replica)
{
    struct kv_batch *batch = machine_checkpoint(replica->machine);
    enum status status = kv_write(replica->kv, batch);
    ASSERT(status == STATUS_OK);
    kv_batch_free(batch);
    machine_checkpoint_written(replica->machine);
    machine_close(replica->machine);
    replica_load(replica);
}

static void apply(struct replica replicas[2], uint64_t index, uint64_t position,
                  struct slice payload)
{
    for (size_t i = 0; i < 2; i++) {
        machine_apply(replicas[i].machine, index, position, payload);
    }
    replica_reload(&replicas[1]);
    ASSERT(machine_hash(replicas[0].machine) == machine_hash(replicas[1].machine));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct replica replicas[2];
    struct slice rest = slice_of(data, size);
    uint64_t index = 0;
    for (size_t i = 0; i < 2; i++) {
        replicas[i].kv = kv_open_memory();
        replica_load(&replicas[i]);
    }
    while (rest.size > 0) {
        struct buf once = {0};
        struct buf twice = {0};
        const uint8_t *end = memmem(rest.data, rest.size, separator, sizeof separator - 1);
        struct slice payload = end == NULL ? rest : slice_of(rest.data, (size_t)(end - rest.data));
        if (encode_anew(payload, &once)) {
            bool again = encode_anew(buf_slice(&once), &twice);
            ASSERT(again && slice_equals(buf_slice(&once), buf_slice(&twice)));
            index++;
            // Positions as in a log: rising, so that a later entry can name an earlier half.
            apply(replicas, index, 4096 * index, payload);
        }
        rest =
            end == NULL ? (struct slice){0} : slice_from(rest, payload.size + sizeof separator - 1);
        buf_close(&once);
        buf_close(&twice);
    }
    for (size_t i = 0; i < 2; i++) {
        machine_close(replicas[i].machine);
        kv_close(replicas[i].kv);
    }
    return 0;
}
