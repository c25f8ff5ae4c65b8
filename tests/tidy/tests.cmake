# Layers, banned calls, lengths and formats.
find_program(PYTHON3 python3 REQUIRED)
add_test(NAME tidy/check COMMAND ${PYTHON3} ${CMAKE_SOURCE_DIR}/tests/tidy/check.py)
