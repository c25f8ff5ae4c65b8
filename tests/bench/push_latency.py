#!/usr/bin/env python3
"""Push latency from the intended send time to the listener, by RocketMQ's own Java client.

    tests/bench/push_latency.py                 three nodes of raftmq (the release build)
    tests/bench/push_latency.py --apache 5.3.3  Apache RocketMQ's own broker: one, without replicas

Needs what `tests/run interop` fetches (build/interop) and, for raftmq, the release build.
"""

import argparse
import os
import sys

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
os.environ.setdefault("RAFTMQ_BIN", os.path.join(ROOT, "build", "release", "bin"))
os.environ.setdefault("RAFTMQ_INTEROP", os.path.join(ROOT, "build", "interop"))
sys.path[:0] = [os.path.join(ROOT, "tests", "integration"), os.path.join(ROOT, "tests", "interop")]

from agent import java  # noqa: E402
from apache import Apache  # noqa: E402
from cluster import Cluster  # noqa: E402


def measure(options, cluster):
    with java("5.3.3", cluster, fast=False) as client:
        client("producer", "P")
        client("send", "Latency", "t", "first")  # So that the topic is there.
        count, p50, p99, most = client("latency", "Latency", options.rate, options.seconds,
                                       seconds=options.seconds + 120).split()
    print(f"{count} messages at {options.rate}/s: p50 {int(p50) / 1000:.2f} ms, "
          f"p99 {int(p99) / 1000:.2f} ms, max {int(most) / 1000:.1f} ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--apache", metavar="VERSION", help="5.3.3 or 4.9.4")
    parser.add_argument("--rate", type=int, default=1000, help="messages a second (1000)")
    parser.add_argument("--seconds", type=int, default=30, help="that count (30)")
    options = parser.parse_args()
    if options.apache:
        with Apache(options.apache) as cluster:
            measure(options, cluster)
    else:
        with Cluster() as cluster:
            cluster.wait_ready()
            cluster.create_topic("Latency")
            measure(options, cluster)


if __name__ == "__main__":
    main()
