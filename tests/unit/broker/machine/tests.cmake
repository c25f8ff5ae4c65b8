set(MACHINE_DRIVER ${CMAKE_SOURCE_DIR}/tests/support/machine_driver.c)
raftmq_unit_test(broker/machine/replay LINK raftmq_machine SOURCES ${MACHINE_DRIVER})
