#include "common/remoting/body_list.h"

#include "common/remoting/body_json.h"

static enum status names_decode(struct slice text, const char *member, struct body *body,
                                struct name_list *out);
static void put_names(struct json_writer *writer, const char *member, const struct name_list *list);
static void names_encode(const char *member, const struct name_list *list, struct buf *out);

enum status topic_list_decode(struct slice text, struct body *body, struct name_list *out)
{
    return names_decode(text, "topicList", body, out);
}

void topic_list_encode(const struct name_list *topics, struct slice broker_address, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    if (broker_address.size > 0) {
        json_member_text(&writer, "brokerAddr", broker_address);
    }
    put_names(&writer, "topicList", topics);
    json_end(&writer, '}');
}

enum status consumer_list_decode(struct slice text, struct body *body, struct name_list *out)
{
    return names_decode(text, "consumerIdList", body, out);
}

void consumer_list_encode(const struct name_list *client_ids, struct buf *out)
{
    names_encode("consumerIdList", client_ids, out);
}

enum status group_list_decode(struct slice text, struct body *body, struct name_list *out)
{
    return names_decode(text, "groupList", body, out);
}

void group_list_encode(const struct name_list *groups, struct buf *out)
{
    names_encode("groupList", groups, out);
}

static enum status names_decode(struct slice text, const char *member, struct body *body,
                                struct name_list *out)
{
    json_t *root;
    enum status status = body_parse(text, FRAME_SIZE_MAX, body, &root);
    if (status != STATUS_OK) {
        return status;
    }
    const json_t *array = json_object_get(root, member);
    struct slice *names = arena_array(&body->arena, json_array_size(array) + 1, sizeof *names);
    *out = (struct name_list){0, names};
    for (size_t i = 0; i < json_array_size(array); i++) {
        struct slice name = json_as_text(json_array_get(array, i));
        if (name.size > 0) {
            names[out->count++] = name;
        }
    }
    return STATUS_OK;
}

static void put_names(struct json_writer *writer, const char *member, const struct name_list *list)
{
    json_key(writer, member);
    json_begin(writer, '[');
    for (size_t i = 0; i < list->count; i++) {
        json_text(writer, list->names[i]);
    }
    json_end(writer, ']');
}

static void names_encode(const char *member, const struct name_list *list, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    put_names(&writer, member, list);
    json_end(&writer, '}');
}

enum status kv_table_decode(struct slice text, struct body *body, struct pair_table *out)
{
    json_t *root;
    enum status status = body_parse(text, FRAME_SIZE_MAX, body, &root);
    if (status != STATUS_OK) {
        return status;
    }
    *out = (struct pair_table){0};
    out->pairs = json_get_pairs(json_object_get(root, "table"), body, &out->count);
    return STATUS_OK;
}

void kv_table_encode(const struct pair_table *table, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    json_key(&writer, "table");
    json_pairs(&writer, table->pairs, table->count);
    json_end(&writer, '}');
}

enum status kv_config_decode(struct slice text, struct body *body,
                             const struct named_table **tables, size_t *count)
{
    json_t *root;
    const char *name;
    json_t *value;
    enum status status = body_parse(text, FRAME_SIZE_MAX, body, &root);
    if (status != STATUS_OK) {
        return status;
    }
    json_t *all = json_object_get(root, "configTable");
    struct named_table *read = arena_array(&body->arena, json_object_size(all) + 1, sizeof *read);
    *tables = read;
    *count = 0;
    json_object_foreach(all, name, value)
    {
        struct named_table *table = &read[(*count)++];
        table->name = slice_text(name);
        table->table.pairs = json_get_pairs(value, body, &table->table.count);
    }
    return STATUS_OK;
}

void kv_config_encode(const struct named_table *tables, size_t count, struct buf *out)
{
    struct json_writer writer = {.out = out};
    json_begin(&writer, '{');
    json_key(&writer, "configTable");
    json_begin(&writer, '{');
    for (size_t i = 0; i < count; i++) {
        json_key_slice(&writer, tables[i].name);
        json_pairs(&writer, tables[i].table.pairs, tables[i].table.count);
    }
    json_end(&writer, '}');
    json_end(&writer, '}');
}
