#!/usr/bin/env python3
"""Runs many seeds of the whole-cluster simulator, in as many processes as there are cores.

    seeds.py fresh BINARY [--count N] [--first N]   seeds nobody has run before
    seeds.py corpus BINARY                          the seeds that once failed (corpus/seeds.txt)
    seeds.py repeat BINARY [--count N]              each seed twice: must come out the same
    seeds.py long BINARY [--years Y] [--transactions N] [--faults N]
                                                    until all of these are reached

The last line says how many seeds ran and how many failed; a failed one is printed with the command
that shows it again. Exit status: 0 all promises held, 1 a seed failed or the sample was idle.
"""

import argparse
import concurrent.futures
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CORPUS = os.path.join(HERE, "corpus", "seeds.txt")
YEAR_SECONDS = 365.25 * 24 * 3600
CHUNK = 20
TIMEOUT_SECONDS = 900

# What a sample must contain, per seed on average, to be worth anything.
LEAST_PER_SEED = {
    "elections": 3,
    "faults": 4,
    "calls acknowledged": 200,
    "commits": 50,
    "delayed messages fired": 20,
    "messages sent back": 10,
    "rollbacks": 20,
    "check-backs answered": 20,
}
# And at all, in a sample of a hundred seeds or more: work was in flight when leaders changed.
LEAST_AT_ALL = ["recalls", "calls of unknown outcome", "halves sent again", "messages stored again",
                "decisions too late", "expirations", "nodes killed", "nodes cut from power",
                "nodes that gave up", "fault: disk lost", "fault: bits flipped", "copies",
                "stores set aside", "leadership declined",
                "segments cut", "members added", "members promoted", "members removed",
                "fault: node drained", "halves with a delay", "messages consumed in order",
                "messages recognised", "messages popped again", "popped messages acknowledged",
                "readers sent to followers", "readers kept by followers"]


def run(binary, arguments):
    """One process; its statistics, or None and what it complained of."""
    command = [binary, "--json"] + [str(a) for a in arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS,
                              check=False)
    except subprocess.TimeoutExpired:
        return None, "violation: time: " + " ".join(command) + " takes for ever"
    if done.returncode != 0:
        words = done.stderr.strip() or f"status {done.returncode}: " + " ".join(command)
        return None, words
    return json.loads(done.stdout.strip().split("\n")[-1]), done.stdout


class Totals:
    """Statistics summed up, and failures."""

    def __init__(self):
        self.sums = {}
        self.failures = []

    def add(self, result):
        statistics, words = result
        if statistics is None:
            self.failures.append(words)
            print(words, file=sys.stderr, flush=True)
            return
        for name, value in statistics.items():
            self.sums[name] = self.sums.get(name, 0) + value

    def get(self, name):
        return self.sums.get(name, 0)

    def decided(self):
        return self.get("commits") + self.get("rollbacks")

    def print(self):
        for name, value in self.sums.items():
            print(f"{name:28} {value:16,.0f}")


def run_chunks(binary, first, count, extra, totals):
    """Seeds first, first + 1, ... on all cores. A chunk that fails ends with its first failure, and
    is gone on with behind it."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        starts = range(first, first + count, CHUNK)
        jobs = [pool.submit(run, binary,
                            ["--seed", at, "--count", min(CHUNK, first + count - at)] + extra)
                for at in starts]
        for job in jobs:
            totals.add(job.result())


def idle(totals):
    """What the sample lacks."""
    seeds = totals.get("seeds")
    lacks = [f"{name}: {totals.get(name) / seeds:.1f} a seed, at least {least} are wanted"
             for name, least in LEAST_PER_SEED.items() if totals.get(name) < least * seeds]
    if seeds >= 100:
        lacks += [f"{name}: none" for name in LEAST_AT_ALL if totals.get(name) == 0]
    return lacks


def finish(totals, started):
    totals.print()
    for words in totals.failures:
        print(words)
    print(f"{totals.get('seeds')} seeds in {time.monotonic() - started:.0f} s, "
          f"{len(totals.failures)} failures")
    return 1 if totals.failures else 0


def fresh(options):
    started = time.monotonic()
    count = options.count or int(os.environ.get("RAFTMQ_SIM_SEEDS", "200"))
    # Seeds of a later second are other ones.
    first = options.first if options.first is not None else int(time.time()) * 100000
    print(f"seeds {first} to {first + count - 1}", flush=True)
    totals = Totals()
    run_chunks(options.binary, first, count, [], totals)
    status = finish(totals, started)
    lacks = idle(totals) if totals.get("seeds") >= 50 else []
    for words in lacks:
        print(f"idle: {words}")
    return 1 if lacks else status


def read_corpus():
    """Lines of "seed options... # why"."""
    with open(CORPUS, encoding="utf-8") as lines:
        entries = [line.split("#")[0].split() for line in lines]
    return [entry for entry in entries if entry]


def corpus(options):
    started = time.monotonic()
    totals = Totals()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = [pool.submit(run, options.binary, ["--seed"] + entry) for entry in read_corpus()]
        for job in jobs:
            totals.add(job.result())
    return finish(totals, started)


def repeat(options):
    started = time.monotonic()
    totals = Totals()
    first = options.first if options.first is not None else int(time.time()) * 100000
    count = options.count or 32
    print(f"seeds {first} to {first + count - 1}, each twice", flush=True)
    run_chunks(options.binary, first, count, ["--hash"], totals)
    return finish(totals, started)


def long_run(options):
    started = time.monotonic()
    totals = Totals()
    first = options.first if options.first is not None else int(time.time()) * 100000
    at = first
    batch = CHUNK * 4 * os.cpu_count()
    while not totals.failures and (
            totals.get("simulated seconds") < options.years * YEAR_SECONDS or
            totals.decided() < options.transactions or totals.get("faults") < options.faults):
        run_chunks(options.binary, at, batch, ["--glacial"], totals)
        at += batch
        print(f"{time.monotonic() - started:6.0f} s: {totals.get('seeds')} seeds, "
              f"{totals.get('simulated seconds') / YEAR_SECONDS:.3f} years, "
              f"{totals.decided():,} transactions decided, {totals.get('faults'):,} faults, "
              f"{len(totals.failures)} failures", flush=True)
    print(f"seeds {first} to {at - 1}")
    return finish(totals, started)


def main():
    modes = {"fresh": fresh, "corpus": corpus, "repeat": repeat, "long": long_run}
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=modes)
    parser.add_argument("binary", help="sim_cluster")
    parser.add_argument("--count", type=int, help="seeds")
    parser.add_argument("--first", type=int, help="the first seed; by default from the clock")
    parser.add_argument("--years", type=float, default=1, help="of simulated time")
    parser.add_argument("--transactions", type=int, default=1000000, help="decided")
    parser.add_argument("--faults", type=int, default=1000000, help="injected")
    options = parser.parse_args()
    return modes[options.mode](options)


if __name__ == "__main__":
    sys.exit(main())
