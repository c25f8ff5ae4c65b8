#include "broker/machine/operation_decode.h"

#include "broker/machine/map_reader.h"
#include "broker/machine/operation_fields.h"

static enum status half_decode(struct operation *operation)
{
    struct slice body = operation->body;
    if (body.size <= HALF_PREFIX_SIZE || le32_get(body.data + 8) != 0) {
        return STATUS_MALFORMED;
    }
    operation->half.first_check_ms = le64_get(body.data);
    operation->half.delay = (struct delay){0};
    operation->half.message = slice_from(body, HALF_PREFIX_SIZE);
    return STATUS_OK;
}

/* False if it is none. */
static bool delay_decode(const uint8_t *bytes, struct delay *delay)
{
    uint32_t absolute = le32_get(bytes + 8);
    *delay = (struct delay){le64_get(bytes), absolute != 0};
    return delay->ms > 0 && absolute <= 1;
}

static enum status half_delayed_decode(struct operation *operation)
{
    struct slice body = operation->body;
    if (body.size <= HALF_DELAYED_PREFIX_SIZE ||
        !delay_decode(body.data + 8, &operation->half.delay)) {
        return STATUS_MALFORMED;
    }
    operation->half.first_check_ms = le64_get(body.data);
    operation->half.message = slice_from(body, HALF_DELAYED_PREFIX_SIZE);
    return STATUS_OK;
}

static enum status delayed_decode(struct operation *operation)
{
    struct slice body = operation->body;
    if (body.size <= DELAYED_PREFIX_SIZE || !delay_decode(body.data, &operation->delayed.delay)) {
        return STATUS_MALFORMED;
    }
    operation->delayed.message = slice_from(body, DELAYED_PREFIX_SIZE);
    return STATUS_OK;
}

static enum decision decision_read(struct map_reader *reader, bool recheck_allowed)
{
    uint64_t value = map_reader_u64(reader);
    if (value != DECISION_COMMIT && value != DECISION_ROLLBACK &&
        !(recheck_allowed && value == DECISION_RECHECK)) {
        map_reader_fail(reader);
        return DECISION_UNKNOWN;
    }
    return (enum decision)value;
}

static enum status end_decode(struct slice body, struct operation_end *end)
{
    struct map_reader reader;
    map_reader_init(&reader, body);
    uint32_t key;
    while (map_reader_key(&reader, &key)) {
        switch (key) {
        case END_POSITION:
            end->half_position = map_reader_u64(&reader);
            break;
        case END_OFFSET:
            end->half_offset = map_reader_i64(&reader);
            break;
        case END_DECISION:
            end->decision = decision_read(&reader, false);
            break;
        case END_FROM_CHECK:
            end->from_check = map_reader_bool(&reader);
            break;
        case END_GROUP:
            end->producer_group = map_reader_text(&reader, GROUP_NAME_MAX);
            break;
        default:
            map_reader_fail(&reader);
        }
    }
    return map_reader_end(&reader, END_FIELDS);
}

static enum status checked_decode(struct slice body, struct operation_checked *checked)
{
    struct map_reader reader;
    map_reader_init(&reader, body);
    uint32_t key;
    while (map_reader_key(&reader, &key)) {
        switch (key) {
        case CHECKED_NEXT_CHECK:
            checked->next_check_ms = map_reader_u64(&reader);
            break;
        case CHECKED_POSITIONS:
            checked->count = map_reader_array(&reader, CHECKED_MAX);
            for (uint32_t i = 0; i < checked->count; i++) {
                checked->half_positions[i] = map_reader_u64(&reader);
            }
            break;
        default:
            map_reader_fail(&reader);
        }
    }
    return map_reader_end(&reader, CHECKED_FIELDS);
}

static enum status expire_decode(struct slice body, struct operation_expire *expire)
{
    struct map_reader reader;
    map_reader_init(&reader, body);
    uint32_t key;
    while (map_reader_key(&reader, &key)) {
        switch (key) {
        case EXPIRE_POSITION:
            expire->half_position = map_reader_u64(&reader);
            break;
        case EXPIRE_AGE:
            expire->age = map_reader_bool(&reader);
            break;
        default:
            map_reader_fail(&reader);
        }
    }
    return map_reader_end(&reader, EXPIRE_FIELDS);
}

static enum status settle_decode(struct slice body, struct operation_settle *settle)
{
    struct map_reader reader;
    map_reader_init(&reader, body);
    uint32_t key;
    while (map_reader_key(&reader, &key)) {
        switch (key) {
        case SETTLE_POSITION:
            settle->half_position = map_reader_u64(&reader);
            break;
        case SETTLE_DECISION:
            settle->decision = decision_read(&reader, true);
            break;
        default:
            map_reader_fail(&reader);
        }
    }
    return map_reader_end(&reader, SETTLE_FIELDS);
}

static void offset_commits_read(struct map_reader *reader, struct operation_offsets *offsets)
{
    uint32_t places = map_reader_array(reader, OFFSETS_MAX * OFFSET_COMMIT_PLACES);
    if (places % OFFSET_COMMIT_PLACES != 0) {
        map_reader_fail(reader);
    }
    offsets->count = places / OFFSET_COMMIT_PLACES;
    for (uint32_t i = 0; i < offsets->count; i++) {
        struct offset_commit *commit = &offsets->commits[i];
        commit->group = map_reader_text(reader, GROUP_NAME_MAX);
        commit->topic = map_reader_text(reader, TOPIC_NAME_DERIVED_MAX);
        commit->queue_id = map_reader_i32(reader);
        commit->offset = map_reader_i64(reader);
        commit->reset = map_reader_bool(reader);
    }
}

static enum status offsets_decode(struct slice body, struct operation_offsets *offsets)
{
    struct map_reader reader;
    map_reader_init(&reader, body);
    uint32_t key;
    while (map_reader_key(&reader, &key)) {
        if (key == OFFSETS_COMMITS) {
            offset_commits_read(&reader, offsets);
        } else {
            map_reader_fail(&reader);
        }
    }
    return map_reader_end(&reader, OFFSETS_FIELDS);
}

static enum status topic_put_decode(struct slice body, struct operation_topic_put *put)
{
    struct topic_spec *config = &put->config;
    struct map_reader reader;
    map_reader_init(&reader, body);
    uint32_t key;
    while (map_reader_key(&reader, &key)) {
        switch (key) {
        case TOPIC_PUT_NAME:
            config->name = map_reader_text(&reader, TOPIC_NAME_DERIVED_MAX);
            break;
        case TOPIC_PUT_READ_QUEUES:
            config->read_queue_count = map_reader_i32(&reader);
            break;
        case TOPIC_PUT_WRITE_QUEUES:
            config->write_queue_count = map_reader_i32(&reader);
            break;
        case TOPIC_PUT_PERM:
            config->perm = map_reader_i32(&reader);
            break;
        case TOPIC_PUT_SYS_FLAG:
            config->sys_flag = map_reader_i32(&reader);
            break;
        case TOPIC_PUT_ORDER:
            config->order = map_reader_bool(&reader);
            break;
        case TOPIC_PUT_MULTI_TAG:
            config->multi_tag = map_reader_bool(&reader);
            break;
        case TOPIC_PUT_ATTRIBUTES:
            config->attributes = map_reader_text(&reader, TOPIC_ATTRIBUTES_MAX);
            break;
        case TOPIC_PUT_CREATE_ONLY:
            put->create_only = map_reader_bool(&reader);
            break;
        case TOPIC_PUT_UNIQUE_WINDOW:
            config->unique_window_s = map_reader_i32(&reader);
            break;
        default:
            map_reader_fail(&reader);
        }
    }
    return map_reader_end(&reader, TOPIC_PUT_FIELDS);
}

static enum status topic_delete_decode(struct slice body, struct slice *name)
{
    struct map_reader reader;
    map_reader_init(&reader, body);
    uint32_t key;
    while (map_reader_key(&reader, &key)) {
        if (key == TOPIC_DELETE_NAME) {
            *name = map_reader_text(&reader, TOPIC_NAME_DERIVED_MAX);
        } else {
            map_reader_fail(&reader);
        }
    }
    return map_reader_end(&reader, TOPIC_DELETE_FIELDS);
}

static bool group_switch_read(struct map_reader *reader, uint32_t key, struct group_spec *config)
{
    switch (key) {
    case GROUP_PUT_CONSUME_ENABLE:
        config->consume_enable = map_reader_bool(reader);
        return true;
    case GROUP_PUT_FROM_MIN_ENABLE:
        config->consume_from_min_enable = map_reader_bool(reader);
        return true;
    case GROUP_PUT_BROADCAST_ENABLE:
        config->consume_broadcast_enable = map_reader_bool(reader);
        return true;
    case GROUP_PUT_ORDERLY:
        config->consume_orderly = map_reader_bool(reader);
        return true;
    case GROUP_PUT_NOTIFY_CHANGES:
        config->notify_changes = map_reader_bool(reader);
        return true;
    default:
        return false;
    }
}

static enum status group_put_decode(struct slice body, struct operation_group_put *put)
{
    struct group_spec *config = &put->config;
    struct map_reader reader;
    map_reader_init(&reader, body);
    uint32_t key;
    while (map_reader_key(&reader, &key)) {
        if (group_switch_read(&reader, key, config)) {
            continue;
        }
        switch (key) {
        case GROUP_PUT_NAME:
            config->name = map_reader_text(&reader, GROUP_NAME_MAX);
            break;
        case GROUP_PUT_RETRY_QUEUES:
            config->retry_queue_count = map_reader_i32(&reader);
            break;
        case GROUP_PUT_RETRY_MAX:
            config->retry_max_times = map_reader_i32(&reader);
            break;
        case GROUP_PUT_BROKER_ID:
            config->broker_id = map_reader_i64(&reader);
            break;
        case GROUP_PUT_BROKER_ID_WHEN_SLOW:
            config->broker_id_when_slow = map_reader_i64(&reader);
            break;
        case GROUP_PUT_SYS_FLAG:
            config->sys_flag = map_reader_i32(&reader);
            break;
        case GROUP_PUT_TIMEOUT:
            config->consume_timeout_minutes = map_reader_i32(&reader);
            break;
        case GROUP_PUT_CREATE_ONLY:
            put->create_only = map_reader_bool(&reader);
            break;
        default:
            map_reader_fail(&reader);
        }
    }
    return map_reader_end(&reader, GROUP_PUT_FIELDS);
}

static enum status group_delete_decode(struct slice body, struct operation_group_delete *del)
{
    struct map_reader reader;
    map_reader_init(&reader, body);
    uint32_t key;
    while (map_reader_key(&reader, &key)) {
        switch (key) {
        case GROUP_DELETE_NAME:
            del->name = map_reader_text(&reader, GROUP_NAME_MAX);
            break;
        case GROUP_DELETE_CLEAN:
            del->clean_offsets = map_reader_bool(&reader);
            break;
        default:
            map_reader_fail(&reader);
        }
    }
    return map_reader_end(&reader, GROUP_DELETE_FIELDS);
}

static enum status cut_decode(struct slice body, struct operation_cut *cut)
{
    struct map_reader reader;
    map_reader_init(&reader, body);
    uint32_t key;
    while (map_reader_key(&reader, &key)) {
        if (key == CUT_POSITION) {
            cut->position = map_reader_u64(&reader);
        } else {
            map_reader_fail(&reader);
        }
    }
    return map_reader_end(&reader, CUT_FIELDS);
}

static void lock_places_read(struct map_reader *reader, struct operation_lock *lock)
{
    uint32_t places = map_reader_array(reader, LOCK_PLACES_MAX * LOCK_PLACE_PLACES);
    if (places % LOCK_PLACE_PLACES != 0) {
        map_reader_fail(reader);
    }
    lock->count = places / LOCK_PLACE_PLACES;
    for (uint32_t i = 0; i < lock->count; i++) {
        lock->places[i].topic = map_reader_text(reader, TOPIC_NAME_DERIVED_MAX);
        lock->places[i].queue_id = map_reader_i32(reader);
    }
}

static enum lock_action lock_action_read(struct map_reader *reader)
{
    uint64_t action = map_reader_u64(reader);
    if (action < LOCK_TAKE || action > LOCK_EXTEND) {
        map_reader_fail(reader);
    }
    return (enum lock_action)action;
}

static uint32_t lease_read(struct map_reader *reader)
{
    uint64_t lease_ms = map_reader_u64(reader);
    if (lease_ms > LOCK_LEASE_MAX_MS) {
        map_reader_fail(reader);
    }
    return (uint32_t)lease_ms;
}

static enum status lock_decode(struct slice body, struct operation_lock *lock)
{
    struct map_reader reader;
    map_reader_init(&reader, body);
    uint32_t key;
    while (map_reader_key(&reader, &key)) {
        switch (key) {
        case LOCK_ACTION:
            lock->action = lock_action_read(&reader);
            break;
        case LOCK_GROUP:
            lock->group = map_reader_text(&reader, GROUP_NAME_MAX);
            break;
        case LOCK_CLIENT:
            lock->client = map_reader_text(&reader, CLIENT_ID_MAX);
            break;
        case LOCK_LEASE:
            lock->lease_ms = lease_read(&reader);
            break;
        case LOCK_SINCE:
            lock->since_ms = map_reader_u64(&reader);
            break;
        case LOCK_PLACES:
            lock_places_read(&reader, lock);
            break;
        default:
            map_reader_fail(&reader);
        }
    }
    return map_reader_end(&reader, LOCK_FIELDS);
}

static enum status fire_decode(struct slice body, struct operation_fire *fire)
{
    struct map_reader reader;
    map_reader_init(&reader, body);
    uint32_t key;
    while (map_reader_key(&reader, &key)) {
        if (key == FIRE_POSITION) {
            fire->position = map_reader_u64(&reader);
        } else {
            map_reader_fail(&reader);
        }
    }
    return map_reader_end(&reader, FIRE_FIELDS);
}

static enum status recall_decode(struct slice body, struct operation_recall *recall)
{
    struct map_reader reader;
    map_reader_init(&reader, body);
    uint32_t key;
    while (map_reader_key(&reader, &key)) {
        switch (key) {
        case RECALL_POSITION:
            recall->position = map_reader_u64(&reader);
            break;
        case RECALL_TOPIC:
            recall->topic = map_reader_text(&reader, TOPIC_NAME_DERIVED_MAX);
            break;
        case RECALL_UNIQUE_KEY:
            recall->unique_key = map_reader_text(&reader, KEY_SIZE_MAX);
            break;
        default:
            map_reader_fail(&reader);
        }
    }
    return map_reader_end(&reader, RECALL_FIELDS);
}

enum status operation_body_decode(struct operation *operation)
{
    struct slice body = operation->body;
    switch (operation->type) {
    case OPERATION_MESSAGE:
        return body.size > 0 ? STATUS_OK : STATUS_MALFORMED;
    case OPERATION_HALF:
        return half_decode(operation);
    case OPERATION_END:
        return end_decode(body, &operation->end);
    case OPERATION_CHECKED:
        return checked_decode(body, &operation->checked);
    case OPERATION_EXPIRE:
        return expire_decode(body, &operation->expire);
    case OPERATION_SETTLE:
        return settle_decode(body, &operation->settle);
    case OPERATION_OFFSETS:
        return offsets_decode(body, &operation->offsets);
    case OPERATION_TOPIC_PUT:
        return topic_put_decode(body, &operation->topic_put);
    case OPERATION_TOPIC_DELETE:
        return topic_delete_decode(body, &operation->topic_delete);
    case OPERATION_GROUP_PUT:
        return group_put_decode(body, &operation->group_put);
    case OPERATION_GROUP_DELETE:
        return group_delete_decode(body, &operation->group_delete);
    case OPERATION_TICK: {
        struct map_reader reader;
        map_reader_init(&reader, body);
        return map_reader_end(&reader, 0);
    }
    case OPERATION_CUT:
        return cut_decode(body, &operation->cut);
    case OPERATION_LOCK:
        return lock_decode(body, &operation->lock);
    case OPERATION_DELAYED:
        return delayed_decode(operation);
    case OPERATION_FIRE:
        return fire_decode(body, &operation->fire);
    case OPERATION_HALF_DELAYED:
        return half_delayed_decode(operation);
    case OPERATION_RECALL:
        return recall_decode(body, &operation->recall);
    case OPERATION_POP:
        return operation_pop_decode(body, &operation->pop);
    case OPERATION_ACK:
        return operation_ack_decode(body, &operation->ack);
    case OPERATION_INVISIBLE:
        return operation_invisible_decode(body, &operation->invisible);
    case OPERATION_MODE_PUT:
        return operation_mode_put_decode(body, &operation->mode_put);
    }
    return STATUS_MALFORMED;
}
