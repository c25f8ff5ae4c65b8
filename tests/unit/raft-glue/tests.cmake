set(SIM_DISK ${CMAKE_SOURCE_DIR}/tests/sim/sim_disk.c)
raftmq_unit_test(raft-glue/segment_log LINK raftmq_glue SOURCES ${SIM_DISK})
raftmq_unit_test(raft-glue/log_entries LINK raftmq_glue)
raftmq_unit_test(raft-glue/log_summary LINK raftmq_glue SOURCES ${SIM_DISK})
raftmq_unit_test(raft-glue/log_scrub LINK raftmq_glue SOURCES ${SIM_DISK})
raftmq_unit_test(raft-glue/log_room LINK raftmq_glue SOURCES ${SIM_DISK})
raftmq_unit_test(raft-glue/log_window LINK raftmq_glue SOURCES ${SIM_DISK})
raftmq_unit_test(raft-glue/log_mark LINK raftmq_glue SOURCES ${SIM_DISK})
raftmq_unit_test(raft-glue/directory LINK raftmq_glue)
raftmq_unit_test(raft-glue/term_vote LINK raftmq_glue SOURCES ${SIM_DISK})
raftmq_unit_test(raft-glue/replica_host LINK raftmq_glue)
raftmq_unit_test(raft-glue/formats LINK raftmq_glue
                 SOURCES ${SIM_DISK} ${CMAKE_SOURCE_DIR}/tests/support/golden.c)
raftmq_unit_test(raft-glue/replica_rules LINK raftmq_glue
                 SOURCES ${SIM_DISK} ${CMAKE_CURRENT_LIST_DIR}/replica_fixture.c)
raftmq_unit_test(raft-glue/replica_shortfall LINK raftmq_glue
                 SOURCES ${SIM_DISK} ${CMAKE_CURRENT_LIST_DIR}/replica_fixture.c)
raftmq_unit_test(raft-glue/replica_transfer LINK raftmq_glue
                 SOURCES ${SIM_DISK} ${CMAKE_CURRENT_LIST_DIR}/replica_fixture.c)
raftmq_unit_test(raft-glue/replica_cut LINK raftmq_glue
                 SOURCES ${SIM_DISK} ${CMAKE_CURRENT_LIST_DIR}/replica_fixture.c)
raftmq_unit_test(raft-glue/replica_admission LINK raftmq_glue)
raftmq_unit_test(raft-glue/replica_full LINK raftmq_glue
                 SOURCES ${SIM_DISK} ${CMAKE_CURRENT_LIST_DIR}/replica_fixture.c)
raftmq_unit_test(raft-glue/fetch LINK raftmq_glue)
raftmq_unit_test(raft-glue/replica_figures LINK raftmq_glue
                 SOURCES ${SIM_DISK} ${CMAKE_CURRENT_LIST_DIR}/replica_fixture.c)
