raftmq_unit_test(net/conn LINK raftmq_net)
