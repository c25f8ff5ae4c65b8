# Run against Apache RocketMQ by tests/interop/test_apache.py.
add_executable(apache_client ${CMAKE_CURRENT_LIST_DIR}/client.c)
target_compile_options(apache_client PRIVATE ${RAFTMQ_WARNINGS})
target_link_libraries(apache_client PRIVATE raftmq_client)
set_target_properties(apache_client PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
