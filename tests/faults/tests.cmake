# The shim that tests/faults preloads into brokers. Not with a sanitizer: its runtime must come first.
if(NOT RAFTMQ_SANITIZE)
  set(SHIM ${CMAKE_SOURCE_DIR}/tests/faults/shim)
  add_library(raftmq_fault SHARED ${SHIM}/shim_calls.c ${SHIM}/shim_journal.c)
  # ISO C knows no way from dlsym()'s pointer to a function.
  target_compile_options(raftmq_fault PRIVATE ${RAFTMQ_WARNINGS} -Wno-pedantic)
  target_link_libraries(raftmq_fault PRIVATE ${CMAKE_DL_LIBS} Threads::Threads)
  set_target_properties(raftmq_fault PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
endif()
