# Planted bugs: that each still has its place. Planting them takes too long for here, see run.
find_program(PYTHON3 python3 REQUIRED)
add_test(NAME mutants/check COMMAND ${PYTHON3} ${CMAKE_SOURCE_DIR}/tests/mutants/run --check)
