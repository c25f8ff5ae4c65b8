#!/usr/bin/env python3
"""A pays B over a cluster whose leaders are killed, and A is killed too; then the books are audited.

Services A (bank-payer) and B (bank-payee) have a SQLite database each. All processes are started
here, on loopback, and only these are ever ended.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

from chaos import Chaos

GROUPS = ["broker-a", "broker-b", "broker-c"]
NODES = [1, 2, 3]
TOPIC = "Payments"
TTY = sys.stdout.isatty()


def free_runs(lengths):
    """First ports of runs of consecutive free ports."""
    found, port = [], 15000 + os.getpid() % 10000
    for length in lengths:
        while not all(is_free(port + i) for i in range(length)):
            port += 1
        found.append(port)
        port += length
    return found


def is_free(port):
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Demo:
    """Processes, kills and what is counted."""

    def __init__(self, options):
        self.options = options
        self.directory = tempfile.mkdtemp(prefix="raftmq-demo-")
        self.processes = {}
        self.leader_kills = 0
        self.payer_kills = 0
        # Nodes that are paused on purpose are not worth waiting for.
        self.patience = ["--timeout", "400"] if options.chaos else []
        self.chaos = None
        self.started = time.monotonic()
        self.nameserver, *self.ports = free_runs([1, 6, 6, 6])
        self.namesrv = f"127.0.0.1:{self.nameserver}"

    # --- Processes

    def spawn(self, name, program, *arguments):
        with open(os.path.join(self.directory, f"{name}.log"), "ab") as log:
            self.processes[name] = subprocess.Popen(
                [os.path.join(self.options.bin, program), *map(str, arguments)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def end(self, name, how=signal.SIGTERM):
        process = self.processes.pop(name, None)
        if process is not None:
            process.send_signal(how)
            process.wait()

    def end_all(self):
        for name in list(self.processes):
            self.end(name)

    def start_node(self, node):
        nodes = ";".join(f"{n}@127.0.0.1:{port}:{port + 3}" for n, port in zip(NODES, self.ports))
        settings = {
            "nodeId": node, "nodes": nodes, "groups": ";".join(GROUPS), "portStep": 1,
            "namesrvAddr": self.namesrv, "brokerClusterName": "Bank",
            "storePathRootDir": os.path.join(self.directory, f"node-{node}"),
            # So that check-backs, and what B failed at, come within seconds.
            "transactionTimeOut": 2000, "transactionCheckInterval": 2000,
            "messageDelayLevel": "1s 1s 1s 2s 3s 5s 10s",
        }
        arguments = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        self.spawn(f"node-{node}", "raftmq-broker", *arguments)

    def start_payer(self, die_after=0):
        self.spawn("payer", "bank-payer", "-n", self.namesrv, "-d", self.database("a"), "-t", TOPIC,
                   "-c", self.options.transfers, "-k", die_after, "-w", self.options.pause,
                   "-l", 60000)

    def start_payee(self):
        self.spawn("payee", "bank-payee", "-n", self.namesrv, "-d", self.database("b"), "-t", TOPIC)

    def database(self, name):
        return os.path.join(self.directory, f"{name}.db")

    # --- Looking

    def cli(self, *arguments):
        done = subprocess.run(
            [os.path.join(self.options.bin, "raftmq"), *arguments, "-n", self.namesrv, "-o", "json",
             *self.patience],
            capture_output=True, text=True, check=False, timeout=30)
        try:
            return json.loads(done.stdout)
        except ValueError:
            return []

    def counters(self):
        """Of the leaders; None while one is missing."""
        total = {}
        for group in self.cli("cluster", "status"):
            leaders = [r for r in group["replicas"] if r.get("role") == "leader"]
            if not leaders:
                return None
            for name, value in leaders[0]["status"]["counters"].items():
                total[name] = total.get(name, 0) + value
        return total or None

    def leader_node(self, group):
        for row in self.cli("leader", "show"):
            if row["group"] == group and row["leader"]:
                port = int(row["leader"].rsplit(":", 1)[1])
                return next(n for n, first in zip(NODES, self.ports) if first <= port < first + 3)
        return None

    def query(self, name, sql):
        try:
            with sqlite3.connect(f"file:{self.database(name)}?mode=ro", uri=True,
                                 timeout=10) as connection:
                return connection.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return []  # Not made yet.

    def number(self, name, sql):
        rows = self.query(name, sql)
        return rows[0][0] or 0 if rows else 0

    def done_transfers(self):
        return self.number("a", "SELECT count(*) FROM transfer")

    def paid(self):
        return self.number("a", "SELECT count(*) FROM transfer WHERE state = 'paid'")

    def credited(self):
        return self.number("b", "SELECT count(*) FROM credit")

    # --- Telling

    def elapsed(self):
        return time.monotonic() - self.started

    def say(self, text):
        clear = "\r\033[K" if TTY else ""
        print(f"{clear}[{self.elapsed():5.1f} s] {text}", flush=True)

    def progress(self):
        line = (f"[{time.monotonic() - self.started:5.1f} s] transfers "
                f"{self.done_transfers()}/{self.options.transfers}, credited {self.credited()}, "
                f"leaders killed {self.leader_kills}, A killed {self.payer_kills}")
        if TTY:
            print(f"\r\033[K{line}", end="", flush=True)
        else:
            print(line, flush=True)

    # --- The story

    def wait(self, what, condition, seconds):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise RuntimeError(f"not within {seconds} s: {what}")
            time.sleep(0.1)

    def start(self):
        self.spawn("nameserver", "raftmq-nameserver", "-p", self.nameserver, "--set",
                   "bindAddress=127.0.0.1", "--set",
                   f"kvConfigPath={os.path.join(self.directory, 'kv.json')}")
        for node in NODES:
            self.start_node(node)
        self.wait("three groups led", lambda: self.counters() is not None
                  and len(self.cli("leader", "show")) == len(GROUPS), 30)
        subprocess.run([os.path.join(self.options.bin, "raftmq"), "topic", "create", TOPIC, "-q",
                        "4", "-n", self.namesrv], check=True, stdout=subprocess.DEVNULL)
        self.say(f"cluster of {len(NODES)} nodes and {len(GROUPS)} broker groups is up, data in "
                 f"{self.directory}")

    def restart_payer_if_dead(self, points):
        payer = self.processes.get("payer")
        if payer is not None and payer.poll() == -signal.SIGKILL:
            self.processes.pop("payer")
            self.payer_kills += 1
            self.say("A was killed between its local commit and telling the broker; restarting it")
            self.start_payer(points.pop(0) if points else 0)
        for name in ("payer", "payee"):
            if name in self.processes and self.processes[name].poll() is not None:
                raise RuntimeError(f"{name} ended by itself, see {name}.log")

    def kill_a_leader(self, killed):
        group = GROUPS[self.leader_kills % len(GROUPS)]
        node = self.leader_node(group)
        if node is None or f"node-{node}" not in self.processes:
            return
        self.end(f"node-{node}", signal.SIGKILL)
        self.leader_kills += 1
        killed.append((time.monotonic() + 1.0, node))
        self.say(f"killed node {node}, leader of {group}, with SIGKILL")

    def run(self):
        count = self.options.transfers
        steps = self.options.payer_kills + 1
        # Paying transfers only: a refused one has nothing to lose between commit and END.
        points = [count * i // steps // 20 * 20 + 1 for i in range(1, steps)]
        every = count / (self.options.leader_kills + 1)
        killed = []
        self.start_payee()
        self.start_payer(points.pop(0) if points else 0)
        shown = 0.0
        deadline = time.monotonic() + self.options.limit
        while self.done_transfers() < count or self.leader_kills < self.options.leader_kills:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the transfers took longer than {self.options.limit} s")
            self.restart_payer_if_dead(points)
            if (self.leader_kills < self.options.leader_kills and not killed
                    and self.done_transfers() >= every * (self.leader_kills + 1)):
                self.kill_a_leader(killed)
            while killed and killed[0][0] <= time.monotonic():
                self.start_node(killed.pop(0)[1])
            if time.monotonic() - shown >= 1:
                shown = time.monotonic()
                self.progress()
            time.sleep(0.02)
        for _, node in killed:
            self.start_node(node)
        self.say("all transfers made; waiting until every one is decided and credited")

        def settled():
            self.restart_payer_if_dead(points)
            counters = self.counters()
            return (counters is not None and counters["pending"] == 0
                    and self.credited() >= self.paid())

        self.wait("every transfer decided and credited", settled, 60)

    def run_chaos(self):
        """Faults of all kinds until the transfers are made; then all is mended and settles."""
        seed = self.options.seed or int(time.time())
        self.say(f"chaos with --seed {seed}")
        self.chaos = Chaos(self, NODES, GROUPS, seed)
        self.start_payee()
        self.start_payer()
        drawn = 0.0
        deadline = time.monotonic() + 4 * self.options.chaos + 60
        while self.done_transfers() < self.options.transfers:
            if time.monotonic() > deadline:
                raise RuntimeError("the transfers took too long")
            self.chaos.step()
            if time.monotonic() - drawn >= 1:
                drawn = time.monotonic()
                self.chaos.draw()
            time.sleep(0.05)
        self.chaos.finish()
        self.say("all transfers made; waiting until every one is decided and credited")

        def settled():
            self.chaos.draw()
            counters = self.counters()
            return (counters is not None and counters["pending"] == 0
                    and self.credited() >= self.paid() and self.chaos.all_well())

        self.wait("every transfer decided and credited", settled, 120)

    # --- The audit

    def audit(self):
        self.end("payer")
        self.end("payee")
        counters = self.counters() or {}
        start = 1000000
        a = self.number("a", "SELECT balance FROM account")
        b = self.number("b", "SELECT balance FROM account")
        paid = dict(self.query("a", "SELECT id, amount FROM transfer WHERE state = 'paid'"))
        refused = {row[0] for row in self.query("a", "SELECT id FROM transfer WHERE "
                                                     "state = 'refused'")}
        credits = dict(self.query("b", "SELECT transfer, amount FROM credit"))
        counted = dict(self.query("b", "SELECT name, value FROM counter"))
        again = counted.get("duplicates", 0)
        checks = [
            ("sums conserved", a + b == start, f"A {a} + B {b} = {a + b}"),
            ("transfers all decided", len(paid) + len(refused) == self.options.transfers,
             f"{len(paid)} paid, {len(refused)} refused"),
            ("every paid one credited once", paid == credits, f"{len(credits)} credits"),
            ("no refused one credited", not refused & set(credits),
             f"{len(refused & set(credits))} of them"),
            ("nothing pending at the brokers", counters.get("pending") == 0
             and counters.get("expired") == 0,
             f"{counters.get('pending')} pending, {counters.get('expired')} expired"),
        ]
        if self.chaos is None:
            checks += [
                ("leaders killed", self.leader_kills >= self.options.leader_kills,
                 str(self.leader_kills)),
                ("A killed", self.payer_kills >= self.options.payer_kills, str(self.payer_kills)),
            ]
        else:
            faults = ", ".join(f"{count} {name}" for name, count in self.chaos.counts.items())
            checks.append(("faults", bool(faults), faults))
        print("\nAudit")
        for name, holds, detail in checks:
            print(f"  {'ok  ' if holds else 'FAIL'} {name}: {detail}")
        print(f"\n  Of interest: {counters.get('checks')} check-backs; B failed "
              f"{counted.get('failures', 0)} times on purpose and saw {again} deliveries again")
        print(f"  (B's own retries and redeliveries after a crash of a broker). The brokers count "
              f"{counters.get('commits')} commits for {len(paid)} paid transfers:")
        print(f"  {counters.get('commits', 0) - len(paid)} committed twice, by halves that A sent "
              "again after a lost answer or a crash; B knows them by their transfer id.")
        return all(holds for _, holds, _ in checks)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default="build/release/bin", help="where the programs are")
    parser.add_argument("--transfers", type=int, default=1000)
    parser.add_argument("--leader-kills", type=int, default=6)
    parser.add_argument("--payer-kills", type=int, default=3)
    parser.add_argument("--pause", type=int, default=25, help="between transfers, ms")
    parser.add_argument("--limit", type=int, default=180, help="seconds for the transfers")
    parser.add_argument("--chaos", type=int, nargs="?", const=60, default=0, metavar="SECONDS",
                        help="a random fault every few seconds, for about so long (60), with a "
                             "live view of leaders, terms and pending transactions")
    parser.add_argument("--seed", type=int, default=0, help="of the chaos; else the time")
    parser.add_argument("--keep", action="store_true", help="keep data and logs")
    options = parser.parse_args()
    if options.chaos:
        options.transfers = 25 * options.chaos
    demo = Demo(options)
    holds = False
    try:
        demo.start()
        if options.chaos:
            demo.run_chaos()
        else:
            demo.run()
        holds = demo.audit()
    except (RuntimeError, KeyboardInterrupt, subprocess.SubprocessError) as error:
        demo.say(f"failed: {error or 'interrupted'}")
    finally:
        demo.end_all()
    if holds and not demo.options.keep:
        shutil.rmtree(demo.directory, ignore_errors=True)
    else:
        print(f"logs and databases are in {demo.directory}")
    print(f"\n{'The audit holds.' if holds else 'The audit does NOT hold.'} "
          f"{time.monotonic() - demo.started:.0f} s")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
