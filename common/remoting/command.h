/* One remoting command: a request, a response or a oneway, as it goes over the wire.
 *
 * Both header forms of the protocol (JSON and ROCKETMQ binary) decode into the same struct, which
 * borrows from the frame and from the scratch buffer it was decoded with. Lenient in (bare numbers
 * and booleans as field values, nulls, any key order), strict out (every field value a string).
 * Pure; any thread.
 * Source: RemotingCommand, RemotingSerializable, RocketMQSerializable (RocketMQ 4.9.8, 5.3.3). */
#ifndef COMMON_REMOTING_COMMAND_H
#define COMMON_REMOTING_COMMAND_H

#include "common/base/buf.h"
#include "common/base/limits.h"
#include "common/base/status.h"

enum serialize_type { SERIALIZE_JSON = 0, SERIALIZE_BINARY = 1 };

enum {
    COMMAND_FLAG_RESPONSE = 1,
    COMMAND_FLAG_ONEWAY = 2,
};

/* Ordinals of LanguageCode; LANGUAGE_UNKNOWN for anything else. */
enum language {
    LANGUAGE_JAVA = 0,
    LANGUAGE_CPP = 1,
    LANGUAGE_OTHER = 7,
    LANGUAGE_GO = 9,
    LANGUAGE_UNKNOWN = -1,
};

/* The name of LanguageCode with that ordinal ("JAVA"); "OTHER" if there is none. Static text. */
const char *language_name(int32_t language);

/* The ordinal of a name; LANGUAGE_UNKNOWN if it is none. */
int32_t language_parse(struct slice name);

struct field {
    struct slice name;
    struct slice
        value; /* The text of the value, unescaped; bare numbers and booleans as written. */
};

struct command {
    int32_t code;
    int32_t language; /* enum language, or another ordinal of LanguageCode. */
    int32_t version;  /* Ordinal of MQVersion.Version. */
    int32_t opaque;
    int32_t flag;
    struct slice remark; /* Empty if null or absent. */
    enum serialize_type serialize_type;
    uint32_t field_count;
    struct field fields[HEADER_FIELDS_MAX];
    struct slice body;
};

/* What a frame starts with: sizes, before anything is allocated for it.
 *
 * `bytes` holds at least FRAME_PREFIX_SIZE bytes. *frame_size is the size of the whole frame with
 * its length field.
 *
 * Errors: STATUS_MALFORMED  negative, short or oversize length, or a header longer than the frame:
 *                           the connection is to be closed. */
enum { FRAME_PREFIX_SIZE = 8 };
WARN_UNUSED enum status frame_measure(const uint8_t *bytes, size_t *frame_size);

/* Decode one whole frame (as measured).
 *
 * command borrows from frame and from scratch: both must stay as they are while it is used. Scratch
 * is appended to (unescaped text) and never larger than the header.
 *
 * Errors: STATUS_MALFORMED  as above, or a header that is neither JSON nor binary, has more than
 *                           HEADER_FIELDS_MAX fields, or lacks the code; command is undefined. */
WARN_UNUSED enum status command_decode(struct slice frame, struct buf *scratch,
                                       struct command *command);

/* Append the frame of a command, header form as in command->serialize_type. Copies everything. */
void command_encode(const struct command *command, struct buf *out);

/* Append everything of a frame but the body bytes, for which the caller appends (or sends after
 * it) exactly body_size bytes. */
void command_encode_head(const struct command *command, size_t body_size, struct buf *out);

/* Begin a response to a request: code, opaque, flag, form and our own version; no fields. */
void command_init_response(struct command *response, const struct command *request, int32_t code);

/* Begin a request of our own. */
void command_init_request(struct command *request, int32_t code, int32_t opaque);

/* The value of a header field, the last one of that name; false if absent. */
bool command_find(const struct command *command, const char *name, struct slice *value);

/* Add a field; borrows name and value until the command is encoded. Asserts that there is room. */
void command_add(struct command *command, const char *name, struct slice value);

/* Add a number; its text is appended to scratch (borrowed until the command is encoded: reserve
 * scratch large enough beforehand, it must not move). */
void command_add_i64(struct command *command, const char *name, int64_t value, struct buf *scratch);

/* Typed reads. `required` ones answer STATUS_FIELD_MISSING when absent or not a number/boolean in
 * range; optional ones leave *out as it is when absent.
 * An empty value of a number or boolean counts as absent (the binary form cannot tell them apart).
 * Booleans: true only for the text "true" in any case (Boolean.parseBoolean); never an error.
 * Texts: absent or longer than size_max is STATUS_FIELD_MISSING; empty is returned as it is. */
WARN_UNUSED enum status command_i64(const struct command *command, const char *name, bool required,
                                    int64_t *out);
WARN_UNUSED enum status command_i32(const struct command *command, const char *name, bool required,
                                    int32_t *out);
WARN_UNUSED enum status command_bool(const struct command *command, const char *name, bool *out);
WARN_UNUSED enum status command_text(const struct command *command, const char *name,
                                     size_t size_max, struct slice *out);

static inline bool command_is_response(const struct command *command)
{
    return (command->flag & COMMAND_FLAG_RESPONSE) != 0;
}

static inline bool command_is_oneway(const struct command *command)
{
    return (command->flag & COMMAND_FLAG_ONEWAY) != 0;
}

#endif
