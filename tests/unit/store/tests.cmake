raftmq_unit_test(store/kv LINK raftmq_store)
