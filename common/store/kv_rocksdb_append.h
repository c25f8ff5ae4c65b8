/* kv_batch_append() as RocksDB's merge operator. Private to common/store. */
#ifndef COMMON_STORE_KV_ROCKSDB_APPEND_H
#define COMMON_STORE_KV_ROCKSDB_APPEND_H

#include <rocksdb/c.h>

/* For rocksdb_options_set_merge_operator(), which takes it. Its functions are pure: RocksDB calls
 * them in any of its threads. */
rocksdb_mergeoperator_t *kv_rocksdb_append_operator(void);

#endif
