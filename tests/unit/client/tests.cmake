set(FAKE_BROKER ${CMAKE_SOURCE_DIR}/tests/support/fake_broker.c
                ${CMAKE_SOURCE_DIR}/tests/support/fake_broker_consumer.c
                ${CMAKE_SOURCE_DIR}/tests/support/fake_broker_pop.c
                ${CMAKE_SOURCE_DIR}/tests/support/fake_broker_producer.c
                ${CMAKE_SOURCE_DIR}/tests/support/loop_peer.c)
raftmq_unit_test(client/parts LINK raftmq_client)
raftmq_unit_test(client/producer LINK raftmq_client SOURCES ${FAKE_BROKER})
raftmq_unit_test(client/consumer LINK raftmq_client SOURCES ${FAKE_BROKER})
raftmq_unit_test(client/orderly LINK raftmq_client SOURCES ${FAKE_BROKER})
raftmq_unit_test(client/broadcast LINK raftmq_client
                 SOURCES ${FAKE_BROKER} ${CMAKE_SOURCE_DIR}/tests/support/golden.c)
raftmq_unit_test(client/simple_consumer LINK raftmq_client SOURCES ${FAKE_BROKER})
raftmq_unit_test(client/request LINK raftmq_client SOURCES ${FAKE_BROKER})
raftmq_unit_test(client/admin LINK raftmq_client SOURCES ${FAKE_BROKER})
