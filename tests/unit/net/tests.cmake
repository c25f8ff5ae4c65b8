raftmq_unit_test(net/conn LINK raftmq_net)
raftmq_unit_test(net/rpc LINK raftmq_net SOURCES ${CMAKE_SOURCE_DIR}/tests/support/loop_peer.c)
