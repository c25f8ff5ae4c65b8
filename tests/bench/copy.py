#!/usr/bin/env python3
"""How fast a replica whose data was deleted is whole again under load, and what sends feel of it.

    tests/bench/copy.py --gigabytes 4 --rate 2000

Runs the release build.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
os.environ.setdefault("RAFTMQ_BIN", os.path.join(ROOT, "build", "release", "bin"))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

from cluster import BINARIES, Cluster, wait_for  # noqa: E402

GIB = 1024 ** 3


def bench(cluster, *arguments):
    """Start a benchmark; its result comes from finish()."""
    return subprocess.Popen(
        [os.path.join(BINARIES, "raftmq"), "bench", "send", "-n", cluster.namesrv, "-o", "json",
         *map(str, arguments)], stdout=subprocess.PIPE, text=True)


def finish(process):
    return json.loads(process.communicate()[0])


def p99(result):
    """Of the latency from the intended send time, in milliseconds."""
    return result["latencyMs"]["p99"]


def log_bytes(cluster, node):
    return cluster.status(node, "broker-a")["logEndPosition"]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=4)
    parser.add_argument("--rate", type=int, default=2000, help="sends a second meanwhile")
    parser.add_argument("--copy-rate", type=int, default=0, help="bytes a second; 0: the default")
    options = parser.parse_args()
    settings = {"copyBytesPerSecond": options.copy_rate} if options.copy_rate else {}
    with Cluster(groups=1, settings={"leaderBalanceDelayMs": 0, **settings}) as cluster:
        cluster.wait_ready()
        leader = cluster.wait_leader("broker-a")
        while log_bytes(cluster, leader) < options.gigabytes * GIB:
            finish(bench(cluster, "-S", 32768, "-c", 4, "-d", 32, "-s", 5, "-w", 0))
        before = finish(bench(cluster, "-r", options.rate, "-s", 10))
        node = next(n for n in cluster.nodes if n != leader)
        cluster.kill(node)
        shutil.rmtree(os.path.join(cluster.directory, f"node-{node}"))
        load = bench(cluster, "-r", options.rate, "-s", max(10, int(options.gigabytes * 8)), "-w", 1)
        time.sleep(2)
        size = log_bytes(cluster, leader)
        begun = time.monotonic()
        cluster.start(node)

        def whole():
            status = cluster.status(node, "broker-a")
            return status is not None and not status["abstaining"] and (
                status["appliedIndex"] >= cluster.status(leader, "broker-a")["commitIndex"] - 100)

        wait_for("the replica to be whole", whole, 600)
        seconds = time.monotonic() - begun
        during = finish(load)
        print(f"{size / 1e9:.1f} GB of log: whole after {seconds:.1f} s, "
              f"{size / 1e6 / seconds:.0f} MB/s")
        print(f"sends at {options.rate}/s, p99: {p99(before)} ms before, {p99(during)} ms meanwhile")


if __name__ == "__main__":
    main()
