"""Ports for servers under test."""

import os
import socket

# Two lanes of tests that run at a time have ranges of their own: a killed node's ports look free.
PORTS_IN_LANE = 6500
_next_run = 0


def port_run(length):
    """`length` consecutive free ports, below the range from which the kernel gives ports to whoever
    connects: it may give one away between this and the server's start."""
    global _next_run
    first = 12000 + PORTS_IN_LANE * int(os.environ.get("RAFTMQ_LANE", "0"))
    for attempt in range(2000):
        step = os.getpid() * 131 + _next_run + attempt * length
        start = first + step % (PORTS_IN_LANE - length)
        if all(_is_free(start + i) for i in range(length)):
            _next_run += (attempt + 1) * length
            return start
    raise RuntimeError("no free ports")


def _is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
