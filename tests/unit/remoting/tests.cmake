raftmq_unit_test(remoting/command LINK raftmq_remoting SOURCES ${CMAKE_SOURCE_DIR}/tests/support/golden.c)
raftmq_unit_test(remoting/message LINK raftmq_remoting SOURCES ${CMAKE_SOURCE_DIR}/tests/support/golden.c)
raftmq_unit_test(remoting/properties LINK raftmq_remoting)
