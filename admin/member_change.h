/* Changing what a server is to a broker group: one step at a time, each awaited. */
#ifndef ADMIN_MEMBER_CHANGE_H
#define ADMIN_MEMBER_CHANGE_H

#include "admin/brokers.h"

enum member_step { STEP_ADD, STEP_PROMOTE, STEP_REMOVE };

/* Take the step and wait until it is committed, at most until deadline_ms (monotonic). Leadership
 * is handed over first, if the leader is to be removed. What is so already is fine. */
enum cli_exit member_step(struct cli *cli, const struct broker_data *group, int64_t id,
                          enum member_step step, uint64_t deadline_ms);

/* Tell a group's replica on the server to want no leadership, or to want it again. */
enum cli_exit member_drain(struct cli *cli, const struct broker_data *group, int64_t id, bool on);

#endif
