# The whole-cluster simulator: the product's own code, host and client library included, on a
# simulated operating system (tests/sim/os). libuv is not linked: what it would do is done there.
#
#   sim_cluster           optimised, without sanitizers: many seeds in little time
#   sim_cluster_checked   as preset dev builds, with ASan and UBSan, for fewer seeds
#
# RAFTMQ_SIM_RAFT_LIBRARY and RAFTMQ_SIM_RAFT_INCLUDE put another build of C-Raft below them.
set(RAFTMQ_SIM_RAFT_LIBRARY "" CACHE FILEPATH "libraft to link the simulator with; empty: the system's")
set(RAFTMQ_SIM_RAFT_INCLUDE "" CACHE PATH "Where the raft.h of that library is")

file(GLOB SIM_CLUSTER_SOURCES CONFIGURE_DEPENDS
     ${CMAKE_SOURCE_DIR}/tests/sim/os/*.c ${CMAKE_SOURCE_DIR}/tests/sim/cluster/*.c)
list(APPEND SIM_CLUSTER_SOURCES ${CMAKE_SOURCE_DIR}/tests/sim/sim_disk.c)

# Calls that the simulator wants to see, or to answer itself.
set(SIM_WRAPPED
    malloc calloc realloc posix_memalign free
    socket bind connect listen setsockopt getsockname close getpid mkdir statvfs
    log_write broker_apply broker_on_state channel_send_request suggest_broker
    segment_log_open fetch_run group_data_set_store_aside group_tell_drained)
list(TRANSFORM SIM_WRAPPED PREPEND "-Wl,--wrap=" OUTPUT_VARIABLE SIM_WRAP_OPTIONS)

set(SIM_RAFT_INCLUDE ${RAFT_INCLUDE_DIRS})
set(SIM_RAFT_LIBRARY raft)
if(RAFTMQ_SIM_RAFT_LIBRARY)
  set(SIM_RAFT_LIBRARY ${RAFTMQ_SIM_RAFT_LIBRARY})
  set(SIM_RAFT_INCLUDE ${RAFTMQ_SIM_RAFT_INCLUDE})
endif()

# raftmq_simulator(NAME archives...): link it over the product's archives. What the simulator
# defines itself is found first, so the archives' own versions of it stay out.
function(raftmq_simulator name)
  add_executable(${name} ${SIM_CLUSTER_SOURCES})
  target_compile_definitions(${name} PRIVATE RAFTMQ_TINY_LIMITS)
  target_include_directories(${name} SYSTEM BEFORE PRIVATE ${SIM_RAFT_INCLUDE} ${UV_INCLUDE_DIRS}
                             ${JANSSON_INCLUDE_DIRS})
  add_dependencies(${name} ${ARGN})
  foreach(archive ${ARGN})
    list(APPEND archives $<TARGET_FILE:${archive}>)
  endforeach()
  target_link_libraries(${name} PRIVATE
                        -Wl,--start-group ${archives} -Wl,--end-group
                        ${SIM_RAFT_LIBRARY} ${JANSSON_LINK_LIBRARIES} ZLIB::ZLIB ${MSGPACK_LIBRARY}
                        Threads::Threads)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endfunction()

set(SIM_FAST_OPTIONS -O2 -g ${RAFTMQ_WARNINGS})
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND SIM_FAST_OPTIONS -msse4.2)
endif()
file(GLOB SIM_PRODUCT_SOURCES CONFIGURE_DEPENDS
     ${CMAKE_SOURCE_DIR}/common/base/*.c ${CMAKE_SOURCE_DIR}/common/remoting/*.c
     ${CMAKE_SOURCE_DIR}/common/net/*.c ${CMAKE_SOURCE_DIR}/common/store/*.c
     ${CMAKE_SOURCE_DIR}/raft-glue/*.c ${CMAKE_SOURCE_DIR}/broker/machine/*.c
     ${CMAKE_SOURCE_DIR}/broker/filter/*.c ${CMAKE_SOURCE_DIR}/broker/core/*.c
     ${CMAKE_SOURCE_DIR}/broker/host/*.c
     ${CMAKE_SOURCE_DIR}/nameserver/*.c ${CMAKE_SOURCE_DIR}/client/*.c)
list(FILTER SIM_PRODUCT_SOURCES EXCLUDE REGEX "/(nameserver/main|kv_rocksdb|directory_posix|host/tree)\\.c$")
# raftmq_simulated_product(NAME): the product, with the limits of limits.h that suit a simulator.
function(raftmq_simulated_product name)
  add_library(${name} STATIC ${SIM_PRODUCT_SOURCES})
  target_compile_definitions(${name} PRIVATE RAFTMQ_TINY_LIMITS)
  target_include_directories(${name} SYSTEM BEFORE PRIVATE ${SIM_RAFT_INCLUDE} ${UV_INCLUDE_DIRS}
                             ${JANSSON_INCLUDE_DIRS})
endfunction()

raftmq_simulated_product(sim_product)
raftmq_simulator(sim_cluster sim_product)
set_target_properties(sim_product sim_cluster PROPERTIES COMPILE_OPTIONS "${SIM_FAST_OPTIONS}")
set_target_properties(sim_cluster PROPERTIES LINK_OPTIONS "${SIM_WRAP_OPTIONS}")

# Not under ThreadSanitizer, which cannot follow threads that are none.
if(RAFTMQ_SANITIZE MATCHES "address")
  raftmq_simulated_product(sim_product_checked)
  target_compile_options(sim_product_checked PRIVATE ${RAFTMQ_WARNINGS})
  raftmq_simulator(sim_cluster_checked sim_product_checked)
  target_compile_options(sim_cluster_checked PRIVATE ${RAFTMQ_WARNINGS})
  target_link_options(sim_cluster_checked PRIVATE ${SIM_WRAP_OPTIONS})
endif()

# RAFTMQ_SIM_SEEDS in the environment says how many fresh seeds (tests/run: 2000).
find_package(Python3 REQUIRED COMPONENTS Interpreter)
function(raftmq_sim_test name mode binary)
  add_test(NAME sim/${name} COMMAND Python3::Interpreter ${CMAKE_SOURCE_DIR}/tests/sim/seeds.py
           ${mode} $<TARGET_FILE:${binary}> ${ARGN})
  set_tests_properties(sim/${name} PROPERTIES LABELS sim PROCESSORS 2 TIMEOUT 3000)
endfunction()
raftmq_sim_test(cluster_corpus corpus sim_cluster)
raftmq_sim_test(cluster_repeats repeat sim_cluster --count 32)
raftmq_sim_test(cluster_fresh fresh sim_cluster)
if(TARGET sim_cluster_checked)
  raftmq_sim_test(cluster_checked repeat sim_cluster_checked --count 6)
endif()
