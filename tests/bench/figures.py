#!/usr/bin/env python3
"""The figures of docs/performance.md that one command can take: three nodes of the release build,
the load and the nameserver on this machine, each figure on a new cluster.

    tests/bench/figures.py                  all, a few minutes
    tests/bench/figures.py idle queues      only these
"""

import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
os.environ.setdefault("RAFTMQ_BIN", os.path.join(ROOT, "build", "release", "bin"))
sys.path.insert(0, os.path.join(ROOT, "tests", "integration"))

from cluster import BINARIES, Cluster, NotInTime, wait_for  # noqa: E402

QUEUE_TOPICS = 10  # Of a thousand queues each.
START_SECONDS_MAX = 30


def resident_mb(cluster, node):
    """Resident memory of a node's process, in units of 10^6 bytes."""
    with open(f"/proc/{cluster.processes[f'node-{node}'].pid}/status", encoding="ascii") as text:
        return int(re.search(r"VmRSS:\s+(\d+) kB", text.read()).group(1)) * 1024 / 1e6


def started_ms(cluster, node):
    """Milliseconds from the start of a node's process until all its groups accept connections."""
    begun = time.monotonic()
    cluster.start(node)

    def accepts():
        for group in cluster.group_names:
            host, port = cluster.address(node, group).split(":")
            socket.create_connection((host, int(port)), timeout=1).close()
        return True

    while time.monotonic() < begun + START_SECONDS_MAX:
        try:
            accepts()
            return (time.monotonic() - begun) * 1000
        except OSError:
            time.sleep(0.001)  # wait_for() looks too rarely for this.
    raise NotInTime(f"node {node} does not listen {START_SECONDS_MAX} s after its start")


def begin(cluster, verb, topic, connections, depth, seconds, warm_up=2):
    """Start a benchmark; its result comes from result()."""
    return subprocess.Popen(
        [os.path.join(BINARIES, "raftmq"), "bench", verb, "-n", cluster.namesrv, "-o", "json",
         "-T", topic, "-c", str(connections), "-d", str(depth), "-s", str(seconds),
         "-w", str(warm_up)], stdout=subprocess.PIPE, text=True)


def result(process):
    """What a benchmark measured."""
    text = process.communicate()[0]
    if process.returncode != 0:
        raise RuntimeError(f"raftmq bench ended with {process.returncode}")
    return json.loads(text)


def say(what, measured):
    latency = measured["latencyMs"]
    print(f"{what}: {measured['messagesPerSecond']:,.0f}/s; p50 {latency['p50']:.2f} ms, "
          f"p99 {latency['p99']:.2f} ms, max {latency['max']:.1f} ms", flush=True)


def figure_idle(_):
    """A node with three empty groups."""
    with Cluster(groups=3) as cluster:
        cluster.wait_ready()
        time.sleep(5)  # What a start took is given back, or is not.
        memory = [resident_mb(cluster, node) for node in cluster.nodes]
        starts = []
        for _ in range(5):
            cluster.stop(3)
            starts.append(started_ms(cluster, 3))
            cluster.wait_ready()
    print(f"idle: {max(memory):.0f} MB resident at most; all three groups of a node listen "
          f"{statistics.median(starts):.0f} ms after its start ({max(starts):.0f} ms at most)",
          flush=True)


def figure_sends(options):
    """Sends to three groups, to one, and to one one at a time."""
    with Cluster(groups=3) as cluster:
        cluster.wait_ready()
        cluster.cli("topic", "create", "bench")
        cluster.cli("topic", "create", "one", "-b", "broker-a")
        say("sends, 9 x 128, three groups",
            result(begin(cluster, "send", "bench", 3, 128, options.seconds)))
        say("sends, 8 x 128, one group",
            result(begin(cluster, "send", "one", 8, 128, options.seconds)))
        say("sends, one at a time, one group",
            result(begin(cluster, "send", "one", 1, 1, options.seconds)))


def written_bytes(cluster):
    """Log bytes of all groups, as one replica counts them."""
    return sum(cluster.status(1, group)["writtenBytes"] for group in cluster.group_names)


def figure_transactions(options):
    """Half messages and their commits, which the benchmark verifies at the brokers."""
    with Cluster(groups=3) as cluster:
        cluster.wait_ready()
        cluster.cli("topic", "create", "bench")
        before = written_bytes(cluster)
        measured = result(begin(cluster, "txn", "bench", 3, 128, options.seconds, 0))
        say("transactions, 9 x 128, three groups", measured)

        def level():
            statuses = [cluster.status(1, group) for group in cluster.group_names]
            return all(s["lastIndex"] == s["appliedIndex"] == s["commitIndex"] for s in statuses)

        wait_for("node 1 to have all", level)
        count = measured["messages"]
        print(f"log bytes of a transaction on a replica: "
              f"{(written_bytes(cluster) - before) / count:.0f}", flush=True)


def queues_rate(options, many):
    """Sends a second by ten processes, each to a topic of a thousand queues, or all to one of eight."""
    with Cluster(groups=1) as cluster:
        cluster.wait_ready()
        topics = ["eight"] * QUEUE_TOPICS
        if many:
            topics = [f"many-{number}" for number in range(QUEUE_TOPICS)]
        for topic in sorted(set(topics)):
            cluster.cli("topic", "create", topic, "-q", "1000" if many else "8")
        loads = [begin(cluster, "send", topic, 1, 102, options.queue_seconds) for topic in topics]
        rate = sum(result(load)["messagesPerSecond"] for load in loads)
        memory = max(resident_mb(cluster, node) for node in cluster.nodes)
    print(f"sends, 10 x 102, one group, {'ten thousand' if many else 'eight'} queues: "
          f"{rate:,.0f}/s, {memory:.0f} MB resident", flush=True)
    return rate


def figure_queues(options):
    """Ten thousand queues beside eight, in turns, for the disk is not the same for long."""
    rates = [[queues_rate(options, many) for many in (False, True)] for _ in range(options.turns)]
    medians = [statistics.median(column) for column in zip(*rates)]
    print(f"ten thousand queues take {medians[1] / medians[0]:.0%} of what eight take "
          f"(medians of {options.turns})", flush=True)


FIGURES = {"idle": figure_idle, "sends": figure_sends, "transactions": figure_transactions,
           "queues": figure_queues}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=", ".join(FIGURES))
    parser.add_argument("--seconds", type=int, default=8, help="that count, of each load (8)")
    parser.add_argument("--turns", type=int, default=5, help="of the comparison of queues (5),")
    parser.add_argument("--queue-seconds", type=int, default=20, help="each so long (20)")
    options = parser.parse_args()
    for name in options.figures or FIGURES:
        if name not in FIGURES:
            parser.error(f"no figure {name}; there are {', '.join(FIGURES)}")
        FIGURES[name](options)


if __name__ == "__main__":
    main()
