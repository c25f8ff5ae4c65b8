raftmq_unit_test(raft-glue/replica_host LINK raftmq_glue)
