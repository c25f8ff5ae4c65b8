#!/usr/bin/env python3
"""How long a group takes no writes when its leader is killed: from kill -9 to the first acknowledged
send, tried every few milliseconds through whichever replicas live.

    tests/bench/failover.py --kills 50

Runs the release build.
"""

import argparse
import os
import statistics
import sys
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
os.environ.setdefault("RAFTMQ_BIN", os.path.join(ROOT, "build", "release", "bin"))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

from cluster import Cluster, wait_for  # noqa: E402
from remoting import Connection, RemotingError, send_fields  # noqa: E402


def first_send_ms(cluster, survivors, since):
    """Milliseconds until a send is acknowledged."""
    connections = [Connection(cluster.address(node, "broker-a"), timeout=5) for node in survivors]
    while True:
        for connection in connections:
            try:
                connection.invoke(310, send_fields("T", 0, {}), b"x")
                for one in connections:
                    one.close()
                return (time.monotonic() - since) * 1000
            except RemotingError:
                pass  # 14: no leader yet.


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    kills = parser.parse_args().kills
    # A request waits for a leader; short here, so that the figure is the cluster's own.
    settings = {"leaderBalanceDelayMs": 0, "leaderWaitMs": 10}
    times = []
    with Cluster(groups=1, settings=settings) as cluster:
        cluster.wait_ready()
        with cluster.connect("broker-a") as connection:
            connection.invoke(310, send_fields("T", 0, {}), b"x")
        for _ in range(kills):
            leader = cluster.wait_leader("broker-a")
            survivors = [node for node in cluster.nodes if node != leader]
            cluster.kill(leader)
            times.append(first_send_ms(cluster, survivors, time.monotonic()))
            cluster.start(leader)

            def caught_up(node=leader):
                status = cluster.status(node, "broker-a")
                return status is not None and status["leaderId"] not in (0, node) and (
                    status["appliedIndex"] >= status["lastIndex"] > 0)

            wait_for("the restarted node to catch up", caught_up)
    times.sort()
    print(f"{kills} kills: median {statistics.median(times):.0f} ms, "
          f"p90 {times[int(len(times) * 0.9)]:.0f} ms, max {times[-1]:.0f} ms")


if __name__ == "__main__":
    main()
