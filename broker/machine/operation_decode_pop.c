/* The operations of popped messages out of an entry; see operation_decode.c. */
#include "broker/machine/map_reader.h"
#include "broker/machine/operation_decode.h"
#include "broker/machine/operation_fields.h"

static uint64_t invisible_read(struct map_reader *reader)
{
    uint64_t invisible_ms = map_reader_u64(reader);
    if (invisible_ms > INVISIBLE_MAX_MS) {
        map_reader_fail(reader);
    }
    return invisible_ms;
}

static struct delivery delivery_read(struct map_reader *reader)
{
    struct delivery delivery;
    delivery.queue_id = map_reader_i32(reader);
    delivery.offset = map_reader_i64(reader);
    delivery.pop_ms = map_reader_u64(reader);
    return delivery;
}

enum status operation_pop_decode(struct slice body, struct operation_pop *pop)
{
    struct map_reader reader;
    map_reader_init(&reader, body);
    uint32_t key;
    while (map_reader_key(&reader, &key)) {
        switch (key) {
        case POP_GROUP:
            pop->group = map_reader_text(&reader, GROUP_NAME_MAX);
            break;
        case POP_TOPIC:
            pop->topic = map_reader_text(&reader, TOPIC_NAME_DERIVED_MAX);
            break;
        case POP_QUEUE:
            pop->queue_id = map_reader_i32(&reader);
            break;
        case POP_FROM:
            pop->from = map_reader_i64(&reader);
            break;
        case POP_NEXT:
            pop->next = map_reader_i64(&reader);
            break;
        case POP_INVISIBLE:
            pop->invisible_ms = invisible_read(&reader);
            break;
        case POP_OFFSETS:
            pop->count = map_reader_array(&reader, POP_OFFSETS_MAX);
            for (uint32_t i = 0; i < pop->count; i++) {
                pop->offsets[i] = map_reader_i64(&reader);
            }
            break;
        default:
            map_reader_fail(&reader);
        }
    }
    return map_reader_end(&reader, POP_FIELDS);
}

static void deliveries_read(struct map_reader *reader, struct operation_ack *ack)
{
    uint32_t places = map_reader_array(reader, ACKS_MAX * DELIVERY_PLACES);
    if (places % DELIVERY_PLACES != 0) {
        map_reader_fail(reader);
    }
    ack->count = places / DELIVERY_PLACES;
    for (uint32_t i = 0; i < ack->count; i++) {
        ack->deliveries[i] = delivery_read(reader);
    }
}

enum status operation_ack_decode(struct slice body, struct operation_ack *ack)
{
    struct map_reader reader;
    map_reader_init(&reader, body);
    uint32_t key;
    while (map_reader_key(&reader, &key)) {
        switch (key) {
        case ACK_GROUP:
            ack->group = map_reader_text(&reader, GROUP_NAME_MAX);
            break;
        case ACK_TOPIC:
            ack->topic = map_reader_text(&reader, TOPIC_NAME_DERIVED_MAX);
            break;
        case ACK_DELIVERIES:
            deliveries_read(&reader, ack);
            break;
        default:
            map_reader_fail(&reader);
        }
    }
    return map_reader_end(&reader, ACK_FIELDS);
}

enum status operation_invisible_decode(struct slice body, struct operation_invisible *invisible)
{
    struct map_reader reader;
    map_reader_init(&reader, body);
    uint32_t key;
    while (map_reader_key(&reader, &key)) {
        switch (key) {
        case INVISIBLE_GROUP:
            invisible->group = map_reader_text(&reader, GROUP_NAME_MAX);
            break;
        case INVISIBLE_TOPIC:
            invisible->topic = map_reader_text(&reader, TOPIC_NAME_DERIVED_MAX);
            break;
        case INVISIBLE_DELIVERY:
            if (map_reader_array(&reader, DELIVERY_PLACES) != DELIVERY_PLACES) {
                map_reader_fail(&reader);
            }
            invisible->delivery = delivery_read(&reader);
            break;
        case INVISIBLE_FOR:
            invisible->invisible_ms = invisible_read(&reader);
            break;
        default:
            map_reader_fail(&reader);
        }
    }
    return map_reader_end(&reader, INVISIBLE_FIELDS);
}

static enum request_mode mode_read(struct map_reader *reader)
{
    uint64_t mode = map_reader_u64(reader);
    if (mode != REQUEST_MODE_PULL && mode != REQUEST_MODE_POP) {
        map_reader_fail(reader);
    }
    return (enum request_mode)mode;
}

enum status operation_mode_put_decode(struct slice body, struct operation_mode_put *put)
{
    struct map_reader reader;
    map_reader_init(&reader, body);
    uint32_t key;
    while (map_reader_key(&reader, &key)) {
        switch (key) {
        case MODE_PUT_GROUP:
            put->group = map_reader_text(&reader, GROUP_NAME_MAX);
            break;
        case MODE_PUT_TOPIC:
            put->topic = map_reader_text(&reader, TOPIC_NAME_DERIVED_MAX);
            break;
        case MODE_PUT_MODE:
            put->mode = mode_read(&reader);
            break;
        case MODE_PUT_SHARE:
            put->share_count = map_reader_i32(&reader);
            break;
        default:
            map_reader_fail(&reader);
        }
    }
    return map_reader_end(&reader, MODE_PUT_FIELDS);
}
