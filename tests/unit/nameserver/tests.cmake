raftmq_unit_test(nameserver/route_table LINK raftmq_nameserver)
raftmq_unit_test(nameserver/kv_config LINK raftmq_nameserver)
raftmq_unit_test(nameserver/nameserver LINK raftmq_nameserver SOURCES ${CMAKE_SOURCE_DIR}/tests/support/sync_call.c)
