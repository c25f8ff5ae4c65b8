# Measuring programs: built with everything else, run by hand.
add_executable(bench_machine ${CMAKE_CURRENT_LIST_DIR}/bench_machine.c)
target_compile_options(bench_machine PRIVATE ${RAFTMQ_WARNINGS})
target_link_libraries(bench_machine PRIVATE raftmq_machine)
set_target_properties(bench_machine PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
add_executable(bench_cut ${CMAKE_CURRENT_LIST_DIR}/bench_cut.c)
target_compile_options(bench_cut PRIVATE ${RAFTMQ_WARNINGS})
target_link_libraries(bench_cut PRIVATE raftmq_machine)
set_target_properties(bench_cut PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
