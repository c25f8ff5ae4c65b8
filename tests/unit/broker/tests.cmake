
# The shell: broker cores without sockets, see tests/support/broker_harness.h.
set(HARNESS ${CMAKE_SOURCE_DIR}/tests/support/broker_harness.c)
raftmq_unit_test(broker/send_pull SOURCES ${HARNESS} LINK raftmq_core)
raftmq_unit_test(broker/suggestion SOURCES ${HARNESS} LINK raftmq_core)
raftmq_unit_test(broker/delay SOURCES ${HARNESS} LINK raftmq_core)
raftmq_unit_test(broker/recall SOURCES ${HARNESS} LINK raftmq_core)
raftmq_unit_test(broker/retry SOURCES ${HARNESS} LINK raftmq_core)
raftmq_unit_test(broker/transactions SOURCES ${HARNESS} LINK raftmq_core)
raftmq_unit_test(broker/hostile SOURCES ${HARNESS} LINK raftmq_core)
raftmq_unit_test(broker/locks SOURCES ${HARNESS} LINK raftmq_core)
raftmq_unit_test(broker/assignment SOURCES ${HARNESS} LINK raftmq_core)
raftmq_unit_test(broker/pop SOURCES ${HARNESS} LINK raftmq_core)
raftmq_unit_test(broker/pop_look SOURCES ${HARNESS} LINK raftmq_core)
raftmq_unit_test(broker/reset_offset SOURCES ${HARNESS} LINK raftmq_core)
raftmq_unit_test(broker/relay SOURCES ${HARNESS} LINK raftmq_core)
raftmq_unit_test(broker/rates LINK raftmq_core)
raftmq_unit_test(broker/tools SOURCES ${HARNESS} LINK raftmq_core)
raftmq_unit_test(broker/client_calls SOURCES ${HARNESS} LINK raftmq_core)
raftmq_unit_test(broker/admin_requests SOURCES ${HARNESS} LINK raftmq_core)
raftmq_unit_test(broker/parts SOURCES ${HARNESS} ${CMAKE_SOURCE_DIR}/tests/support/golden.c
                 LINK raftmq_core)
raftmq_unit_test(broker/retention SOURCES ${HARNESS} LINK raftmq_core)
raftmq_unit_test(broker/sql_filter LINK raftmq_filter)
raftmq_unit_test(broker/sql_pull SOURCES ${HARNESS} LINK raftmq_core)
raftmq_unit_test(broker/settings LINK raftmq_core)
raftmq_unit_test(broker/log_clock LINK raftmq_core)
if(TARGET raftmq_host)
  raftmq_unit_test(broker/group_readers LINK raftmq_host)
  raftmq_unit_test(broker/registrar
                   SOURCES ${HARNESS} ${CMAKE_SOURCE_DIR}/tests/support/loop_peer.c
                   LINK raftmq_host)
  raftmq_unit_test(broker/leader_link
                   SOURCES ${HARNESS} ${CMAKE_SOURCE_DIR}/tests/support/loop_peer.c
                   LINK raftmq_host)
  raftmq_unit_test(broker/checkpointer
                   SOURCES ${CMAKE_SOURCE_DIR}/tests/support/machine_driver.c LINK raftmq_host)
  raftmq_unit_test(broker/store_image
                   SOURCES ${CMAKE_SOURCE_DIR}/tests/support/machine_driver.c LINK raftmq_host)
endif()
raftmq_unit_test(broker/balancer SOURCES ${HARNESS} LINK raftmq_core)
raftmq_unit_test(broker/member_requests LINK raftmq_core SOURCES ${HARNESS})
