# Run by tests/integration/test_client.py and test_pop.py.
add_executable(client_member ${CMAKE_CURRENT_LIST_DIR}/member.c)
target_compile_options(client_member PRIVATE ${RAFTMQ_WARNINGS})
target_link_libraries(client_member PRIVATE raftmq_client)
set_target_properties(client_member PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
