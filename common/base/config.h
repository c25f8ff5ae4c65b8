/* Configuration: key=value lines under a declared set of keys, as in RocketMQ's broker.conf.
 *
 * What is wrong is said once, through the log, with file and line, the key and what is allowed. A
 * key that nobody declared is a warning (files of RocketMQ have many that mean nothing here), a bad
 * value an error. Constant once loaded: any thread may read. */
#ifndef COMMON_BASE_CONFIG_H
#define COMMON_BASE_CONFIG_H

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/status.h"

enum { CONFIG_VALUE_MAX = 4096, CONFIG_FILE_MAX = 1024 * 1024 };

enum config_type { CONFIG_TEXT, CONFIG_INTEGER, CONFIG_BOOLEAN };

/* One key. All texts are borrowed for life. */
struct config_key {
    const char *name;
    enum config_type type;
    const char *fallback; /* The value if nothing sets it; of the right type. */
    int64_t min;          /* Of integers, inclusive. */
    int64_t max;
    const char *help; /* One line: meaning and unit. */
};

struct config;

/* All values at their fallbacks. Borrows keys and log. */
struct config *config_new(const struct config_key *keys, size_t count, const struct log *log);
void config_free(struct config *config);

/* Read a file: lines "key=value", blank ones, and comments (# or !). Spaces round key and value are
 * dropped; in values \\ \n \t \= \: \# are escapes. A later line overrides an earlier one.
 *
 * Errors (each trouble was logged; good lines are in force):
 *   STATUS_IO                cannot be read, or larger than CONFIG_FILE_MAX
 *   STATUS_INVALID_ARGUMENT  a line without '=', or a bad value */
WARN_UNUSED enum status config_load(struct config *config, const char *path);

/* The same from text; `origin` stands for the file's name in what is logged. */
WARN_UNUSED enum status config_load_text(struct config *config, const char *origin,
                                         struct slice text);

/* One "key=value" from the command line. Here an unknown key is an error.
 * Errors: STATUS_INVALID_ARGUMENT  logged; nothing changed. */
WARN_UNUSED enum status config_set(struct config *config, const char *assignment);

/* Is there such a key? */
bool config_knows(const struct config *config, struct slice name);

/* The value of a declared key of that type (asserted). Texts are valid until it is set anew. */
const char *config_text(const struct config *config, const char *name);
int64_t config_integer(const struct config *config, const char *name);
bool config_boolean(const struct config *config, const char *name);

/* Append "key=value" lines of all keys in declared order, escaped so that they can be read back. */
void config_print(const struct config *config, struct buf *out);

/* Append a page for people: each key with its help, bounds and fallback. */
void config_help(const struct config *config, struct buf *out);

#endif
