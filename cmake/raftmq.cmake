# Warnings, sanitizers and the few functions with which every folder declares its targets.

set(RAFTMQ_WARNINGS
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
    -Wvla -Wundef -Wpointer-arith -Wwrite-strings -Wno-format-zero-length)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  list(APPEND RAFTMQ_WARNINGS -Wno-format-truncation)
endif()
if(RAFTMQ_WERROR)
  list(APPEND RAFTMQ_WARNINGS -Werror)
endif()

# Records of the log carry CRC32C; the instruction for it is in every x86-64 of the last decade.
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  add_compile_options(-msse4.2)
endif()

if(RAFTMQ_SANITIZE)
  add_compile_options(-fsanitize=${RAFTMQ_SANITIZE} -fno-omit-frame-pointer
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${RAFTMQ_SANITIZE})
endif()

# raftmq_library(NAME SOURCES... [LINK targets...]): a static library of one folder.
function(raftmq_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  if(NOT ARG_SOURCES)
    message(STATUS "${name}: no sources yet")
    return()
  endif()
  add_library(${name} STATIC ${ARG_SOURCES})
  target_compile_options(${name} PRIVATE ${RAFTMQ_WARNINGS})
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
endfunction()

# raftmq_program(NAME SOURCES... LINK targets...): an executable, put into build/<preset>/bin.
function(raftmq_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_compile_options(${name} PRIVATE ${RAFTMQ_WARNINGS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
endfunction()

# raftmq_test_support(OBJECTS source LINK targets...): what several tests are made of, compiled once.
function(raftmq_test_support objects source)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  get_filename_component(name ${source} NAME_WE)
  if(NOT TARGET support_${name})
    add_library(support_${name} OBJECT ${source})
    target_compile_options(support_${name} PRIVATE ${RAFTMQ_WARNINGS})
    target_compile_definitions(support_${name} PRIVATE RAFTMQ_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    target_link_libraries(support_${name} PRIVATE ${ARG_LINK})
  endif()
  set(${objects} $<TARGET_OBJECTS:support_${name}> PARENT_SCOPE)
endfunction()

# raftmq_unit_test(PATH LINK targets... [SOURCES...]): tests/unit/<dir>/test_<module>.c, one program
# a module, registered with ctest as unit/<path>. The test's path mirrors the module's.
function(raftmq_unit_test path)
  cmake_parse_arguments(ARG "" "" "LINK;SOURCES" ${ARGN})
  get_filename_component(dir ${path} DIRECTORY)
  get_filename_component(module ${path} NAME)
  string(REPLACE "/" "_" target "test_${path}")
  add_executable(${target} ${CMAKE_SOURCE_DIR}/tests/unit/${dir}/test_${module}.c)
  foreach(source ${ARG_SOURCES})
    raftmq_test_support(objects ${source} LINK ${ARG_LINK})
    target_sources(${target} PRIVATE ${objects})
  endforeach()
  # What runs once is compiled faster than optimised.
  target_compile_options(${target} PRIVATE ${RAFTMQ_WARNINGS} $<$<CONFIG:Debug>:-O0>)
  target_link_libraries(${target} PRIVATE ${ARG_LINK} cmocka)
  target_compile_definitions(${target} PRIVATE RAFTMQ_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  add_test(NAME unit/${path} COMMAND ${target} WORKING_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  set_tests_properties(unit/${path} PROPERTIES TIMEOUT 120)
endfunction()
