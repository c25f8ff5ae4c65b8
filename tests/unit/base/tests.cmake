raftmq_unit_test(base/crc32c LINK raftmq_base)
raftmq_unit_test(base/containers LINK raftmq_base)
raftmq_unit_test(base/buf LINK raftmq_base)
raftmq_unit_test(base/status LINK raftmq_base)
