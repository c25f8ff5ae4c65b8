/* Simulated TCP: connections between hosts that keep order, hold bytes back, break, or fall silent.
 *
 * Each direction is a queue of segments that arrive one after the other. What cannot get through (a
 * cut direction, a host without power) is sent again and again, and after some seconds the sender's
 * end fails; the other end knows nothing of it. */
#ifndef TESTS_SIM_OS_SIM_SOCKET_H
#define TESTS_SIM_OS_SIM_SOCKET_H

#include "tests/sim/os/sim_loop.h"

struct sim_socket;

/* ---- For uv handles ---- */

/* No callback comes any more. */
void sim_socket_silence(struct sim_socket *socket);
/* End what is under way with UV_ECANCELED. */
void sim_socket_cancel_requests(struct sim_socket *socket);
/* Close in order: what was written still goes, then the end. */
void sim_socket_close(struct sim_socket *socket);
/* The process is gone: its connections end, or with `silent` just stop answering. */
void sim_sockets_orphan(struct sim_process *process, bool silent);

/* ---- The network ---- */

struct sim_network_options {
    uint64_t delay_us;  /* Least time between two hosts, */
    uint64_t jitter_us; /* and what chance adds. */
    uint32_t spike_of;  /* One segment in so many is much later; 0: none. */
    size_t window;      /* Bytes under way, or not yet read, in one direction. */
};

void sim_network_open(const struct sim_network_options *options);
void sim_network_close(void);
void sim_network_set(const struct sim_network_options *options);

/* Nothing gets from one host to another. */
void sim_network_cut(const struct sim_host *from, const struct sim_host *to, bool cut);
bool sim_network_is_cut(const struct sim_host *from, const struct sim_host *to);
/* All that leaves or reaches this host takes so much longer. */
void sim_network_slow(const struct sim_host *host, uint64_t extra_us);
/* All connections between two hosts break; how many there were. */
size_t sim_network_break(const struct sim_host *a, const struct sim_host *b);

#endif
