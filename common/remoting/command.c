#include "common/remoting/command.h"

#include "common/base/decimal.h"

#include <strings.h>

/* V5_3_3: clients that look at a broker's version find every feature they test for. */
enum { OWN_VERSION = 479 };

static void init(struct command *command, int32_t code, int32_t opaque, int32_t flag);

void command_init_response(struct command *response, const struct command *request, int32_t code)
{
    init(response, code, request->opaque, COMMAND_FLAG_RESPONSE);
    response->serialize_type = request->serialize_type;
}

void command_init_request(struct command *request, int32_t code, int32_t opaque)
{
    init(request, code, opaque, 0);
}

static void init(struct command *command, int32_t code, int32_t opaque, int32_t flag)
{
    // Member by member: the field array is large and need not be cleared.
    command->code = code;
    command->language = LANGUAGE_JAVA;
    command->version = OWN_VERSION;
    command->opaque = opaque;
    command->flag = flag;
    command->remark = (struct slice){0};
    command->serialize_type = SERIALIZE_JSON;
    command->field_count = 0;
    command->body = (struct slice){0};
}

bool command_find(const struct command *command, const char *name, struct slice *value)
{
    size_t size = strlen(name);
    ASSERT(size > 0);
    // From the end, as of equal names the last one counts. Most differ in size or first letter.
    for (uint32_t i = command->field_count; i > 0; i--) {
        const struct field *field = &command->fields[i - 1];
        if (field->name.size == size && field->name.data[0] == (uint8_t)name[0] &&
            memcmp(field->name.data, name, size) == 0) {
            *value = field->value;
            return true;
        }
    }
    return false;
}

void command_add(struct command *command, const char *name, struct slice value)
{
    ASSERT(command->field_count < HEADER_FIELDS_MAX);
    command->fields[command->field_count++] = (struct field){slice_text(name), value};
}

void command_add_i64(struct command *command, const char *name, int64_t value, struct buf *scratch)
{
    char text[DECIMAL_SIZE_MAX];
    size_t size = decimal_format(value, text);
    ASSERT(scratch->capacity - scratch->size >= size); // Growing would move what is borrowed.
    buf_put(scratch, text, size);
    command_add(command, name, slice_of(scratch->data + scratch->size - size, size));
}

enum status command_i64(const struct command *command, const char *name, bool required,
                        int64_t *out)
{
    struct slice value;
    if (!command_find(command, name, &value) || value.size == 0) {
        return required ? STATUS_FIELD_MISSING : STATUS_OK;
    }
    return decimal_parse(value, out) ? STATUS_OK : STATUS_FIELD_MISSING;
}

enum status command_i32(const struct command *command, const char *name, bool required,
                        int32_t *out)
{
    int64_t value = *out;
    enum status status = command_i64(command, name, required, &value);
    if (status == STATUS_OK && (value < INT32_MIN || value > INT32_MAX)) {
        return STATUS_FIELD_MISSING;
    }
    if (status == STATUS_OK) {
        *out = (int32_t)value;
    }
    return status;
}

enum status command_bool(const struct command *command, const char *name, bool *out)
{
    struct slice value;
    if (command_find(command, name, &value) && value.size > 0) {
        *out = value.size == 4 && strncasecmp((const char *)value.data, "true", 4) == 0;
    }
    return STATUS_OK;
}

enum status command_text(const struct command *command, const char *name, size_t size_max,
                         struct slice *out)
{
    struct slice value;
    if (!command_find(command, name, &value) || value.size > size_max) {
        return STATUS_FIELD_MISSING;
    }
    *out = value;
    return STATUS_OK;
}
