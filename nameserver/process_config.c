/* Key-value configuration (100-102, 219) and the nameserver's own (318, 319). */
#include "nameserver/nameserver_internal.h"

static enum status read_key(const struct command *command, struct slice *space, struct slice *key);

enum status nameserver_put_kv(struct request *request)
{
    struct slice space;
    struct slice key;
    struct slice value;
    enum status status = read_key(request->command, &space, &key);
    if (status == STATUS_OK) {
        status = command_text(request->command, "value", KV_VALUE_SIZE_MAX, &value);
    }
    return status == STATUS_OK ? kv_config_put(request->nameserver->kv, space, key, value) : status;
}

enum status nameserver_get_kv(struct request *request)
{
    struct slice space;
    struct slice key;
    struct slice value;
    enum status status = read_key(request->command, &space, &key);
    if (status != STATUS_OK) {
        return status;
    }
    if (!kv_config_get(request->nameserver->kv, space, key, &value)) {
        buf_printf(&request->nameserver->remark, "No config item, Namespace: %.*s Key: %.*s",
                   SLICE_ARGS(space), SLICE_ARGS(key));
        return STATUS_NOT_FOUND;
    }
    command_add(request->response, "value", value);
    return STATUS_OK;
}

enum status nameserver_delete_kv(struct request *request)
{
    struct slice space;
    struct slice key;
    enum status status = read_key(request->command, &space, &key);
    return status == STATUS_OK ? kv_config_delete(request->nameserver->kv, space, key) : status;
}

enum status nameserver_list_kv(struct request *request)
{
    struct slice space;
    enum status status = command_text(request->command, "namespace", NAME_MAX_SIZE, &space);
    if (status == STATUS_OK &&
        !kv_config_list(request->nameserver->kv, space, &request->nameserver->body)) {
        buf_printf(&request->nameserver->remark, "No config item, Namespace: %.*s",
                   SLICE_ARGS(space));
        return STATUS_NOT_FOUND;
    }
    return status;
}

static enum status read_key(const struct command *command, struct slice *space, struct slice *key)
{
    enum status status = command_text(command, "namespace", NAME_MAX_SIZE, space);
    return status == STATUS_OK ? command_text(command, "key", NAME_MAX_SIZE, key) : status;
}

/* May it be changed from afar? Paths and ports may not, as in RocketMQ (configBlackList). */
static bool is_changeable(struct slice name)
{
    static const char *const names[] = {"orderMessageEnable", "returnOrderTopicConfigToBroker",
                                        "deleteTopicWithBrokerRegistration", "logLevel"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (slice_equals_text(name, names[i])) {
            return true;
        }
    }
    return false;
}

/* Is every key=value line about something that may be changed? */
static bool all_changeable(struct slice text)
{
    while (text.size > 0) {
        const uint8_t *end = memchr(text.data, '\n', text.size);
        size_t size = end == NULL ? text.size : (size_t)(end - text.data);
        const uint8_t *split = size == 0 ? NULL : memchr(text.data, '=', size);
        if (size > 0 && text.data[0] != '#' &&
            (split == NULL || !is_changeable(slice_of(text.data, (size_t)(split - text.data))))) {
            return false;
        }
        text = slice_from(text, end == NULL ? size : size + 1);
    }
    return true;
}

enum status nameserver_update_config(struct request *request)
{
    struct nameserver *nameserver = request->nameserver;
    if (!all_changeable(request->command->body)) {
        buf_put_text(&nameserver->remark, "only orderMessageEnable, logLevel, "
                                          "returnOrderTopicConfigToBroker and "
                                          "deleteTopicWithBrokerRegistration can be changed");
        return STATUS_NO_PERMISSION;
    }
    enum status status = config_load_text(nameserver->options.settings, "UPDATE_NAMESRV_CONFIG",
                                          request->command->body);
    enum log_level level;
    if (log_level_parse(config_text(nameserver->options.settings, "logLevel"), &level)) {
        nameserver->options.log->level = level;
    }
    return status;
}

enum status nameserver_get_config(struct request *request)
{
    config_print(request->nameserver->options.settings, &request->nameserver->body);
    return STATUS_OK;
}
