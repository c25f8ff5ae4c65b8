/* Key-value configuration that operators keep at the nameserver, by namespace, in one JSON file.
 *
 * The file is replaced as a whole with every change: changes are rare and few. Loop thread only.
 * Source: KVConfigManager. */
#ifndef NAMESERVER_KV_CONFIG_H
#define NAMESERVER_KV_CONFIG_H

#include "common/base/buf.h"
#include "common/base/status.h"
#include "common/remoting/body_list.h"

#define NAMESPACE_ORDER_TOPIC "ORDER_TOPIC_CONFIG"

/* Sizes are those of the JSON, where a control character takes six bytes. */
enum {
    KV_ENTRIES_MAX = 65536,
    KV_VALUE_SIZE_MAX = 64 * 1024,
    KV_TOTAL_SIZE_MAX = 8 * 1024 * 1024, /* Of all namespaces, keys and values. */
};

struct kv_config;

/* Read what the file at path holds; no file is no entries. Copies path.
 * Errors: STATUS_IO, STATUS_CORRUPT  nothing was made; the operator must look at the file. */
WARN_UNUSED enum status kv_config_open(const char *path, struct kv_config **out);
void kv_config_free(struct kv_config *config);

/* Set a value, durably. Copies.
 * Errors (nothing changed): STATUS_INVALID_ARGUMENT  an empty or too long namespace or key,
 *                                                    or a NUL in any of the three;
 *                           STATUS_LIMIT             one of the maxima above;
 *                           STATUS_IO                the file could not be replaced. */
WARN_UNUSED enum status kv_config_put(struct kv_config *config, struct slice space,
                                      struct slice key, struct slice value);

/* Remove a value, durably; there being none is success. Errors: STATUS_IO  nothing changed. */
WARN_UNUSED enum status kv_config_delete(struct kv_config *config, struct slice space,
                                         struct slice key);

/* Borrows until the next change. */
bool kv_config_get(const struct kv_config *config, struct slice space, struct slice key,
                   struct slice *value);

/* Append the encoded KVTable of a namespace; false (nothing appended) if it has no entries. */
bool kv_config_list(const struct kv_config *config, struct slice space, struct buf *out);

#endif
