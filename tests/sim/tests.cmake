# The replica simulator: whole groups on one virtual clock, from one seed.
#   build/dev/tests/sim_replica --seed 42 --trace     replays one with all that happens
set(SIM ${CMAKE_SOURCE_DIR}/tests/sim)
file(GLOB SIM_REPLICA_SOURCES CONFIGURE_DEPENDS ${SIM}/replica/*.c)
add_executable(sim_replica ${SIM_REPLICA_SOURCES} ${SIM}/sim_disk.c)
target_compile_options(sim_replica PRIVATE ${RAFTMQ_WARNINGS})
target_link_libraries(sim_replica PRIVATE raftmq_glue)
set_target_properties(sim_replica PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
add_test(NAME sim/replica COMMAND sim_replica --seed 1 --count 150)
add_test(NAME sim/replica_changes COMMAND sim_replica --seed 1 --count 80 --changes)
set_tests_properties(sim/replica sim/replica_changes PROPERTIES TIMEOUT 120)

# Not a test: measures replica_host on this machine's disk (tests/bench/bench_replica.c).
add_executable(bench_replica EXCLUDE_FROM_ALL ${CMAKE_SOURCE_DIR}/tests/bench/bench_replica.c)
target_compile_options(bench_replica PRIVATE ${RAFTMQ_WARNINGS})
target_link_libraries(bench_replica PRIVATE raftmq_glue)
set_target_properties(bench_replica PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)

include(${CMAKE_CURRENT_LIST_DIR}/cluster.cmake)
