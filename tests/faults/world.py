"""A cluster whose disks, links and processes can be made to fail."""

import json
import os
import shutil
import signal
import subprocess
import sys

import power
from cluster import Cluster, NotInTime, wait_for
from ports import port_run

HERE = os.path.dirname(os.path.abspath(__file__))
SETTINGS = {
    # Check-backs within seconds, and no half is ever given up.
    "transactionTimeOut": 1500,
    "transactionCheckInterval": 1000,
    "transactionCheckMax": 100000,
    # Checkpoints often, so that they meet faults.
    "checkpointIntervalMs": 1000,
    "leaderBalanceDelayMs": 500,
    # Damage in complete segments is found within a second.
    "logScrubRate": 200,
}


class Links:
    """The proxy process between the nodes."""

    def __init__(self, log):
        self.process = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "proxy.py")], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=log, text=True)

    def _say(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def add(self, links):
        """Listeners for (from, to, port); their ports."""
        return self._say({"links": links})

    def change(self, block=(), delay=(), drop=False):
        self._say({"block": list(block), "delay": list(delay), "drop": drop})

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.process.stdout.close()


class World(Cluster):
    """Nodes with the shim preloaded; every connection between two nodes goes through a proxy."""

    def __init__(self, shim, history, nodes=3, groups=3, settings=None):
        super().__init__(nodes=nodes, groups=groups, settings={**SETTINGS, **(settings or {})})
        self.shim = shim
        self.history = history
        self.ports = dict(self.node_ports)  # Of removed nodes too.
        self.controls = {}
        self.paused = set()
        self.proxy_log = open(os.path.join(self.directory, "proxy.log"), "w", encoding="utf-8")
        self.links = Links(self.proxy_log)
        for node in self.nodes:
            self.controls[node] = power.Control(self.path(node, "control"))
        self._link([(a, b) for a in self.nodes for b in self.nodes if a != b])

    def path(self, node, what):
        """Files of a node: "root" is its data."""
        name = f"node-{node}" if what == "root" else f"node-{node}-{what}"
        return os.path.join(self.directory, name)

    def address(self, node, group):
        return f"127.0.0.1:{self.ports[node] + self.group_names.index(group)}"

    def _link(self, pairs):
        """Lead connections from one node to another one through proxies, for all ports."""
        # Client ports and Raft ports follow each other (Cluster.node_arguments).
        links = [(a, b, self.ports[b] + i) for a, b in pairs for i in range(2 * self.group_count)]
        for (source, _, port), proxy in zip(links, self.links.add(links)):
            with open(self.path(source, "connect"), "a", encoding="ascii") as file:
                file.write(f"{port}:{proxy}\n")

    def add_node(self):
        """Start one more node, of which the others do not know yet."""
        node = max(self.ports) + 1
        others = self.nodes
        self.ports[node] = port_run(2 * self.group_count)
        self.controls[node] = power.Control(self.path(node, "control"))
        self._link([(node, other) for other in others] + [(other, node) for other in others])
        self.node_ports[node] = self.ports[node]
        self.start(node)
        return node

    def forget_node(self, node):
        """It was removed from all groups: nobody asks it any more."""
        self.node_ports.pop(node)
        if self.running(node):
            self.stop(node)
        shutil.rmtree(self.path(node, "root"))

    def members(self, group):
        """{node: voter or standby}, as the leader says."""
        view = self.status(self.wait_leader(group), group)
        return {m["id"]: m["membership"] for m in view["members"] if m["membership"] != "none"}

    def start(self, node):
        journal = self.path(node, "journal")
        power.compact(journal)
        environment = dict(os.environ)
        environment.update({
            "LD_PRELOAD": self.shim,
            "RAFTMQ_FAULT_ROOT": self.path(node, "root"),
            "RAFTMQ_FAULT_CONTROL": self.path(node, "control"),
            "RAFTMQ_FAULT_JOURNAL": journal,
            "RAFTMQ_FAULT_CONNECT": self.path(node, "connect"),
        })
        self._spawn(f"node-{node}", self.node_arguments(node), environment)

    def cut_power(self, nodes, chance, mood=None):
        """All of them at once; what they had not synced is lost. Returns what to tell."""
        for node in nodes:
            self.processes[f"node-{node}"].send_signal(signal.SIGKILL)
        for node in nodes:
            self.kill(node)
        return [power.cut(self.path(n, "root"), self.path(n, "journal"), chance, mood)
                for n in nodes]

    def forget_unsynced(self, node):
        """Its files are gone."""
        journal = self.path(node, "journal")
        with open(journal, "wb"):
            pass
        power.forget_files(journal)

    def pause(self, node):
        self.processes[f"node-{node}"].send_signal(signal.SIGSTOP)
        self.paused.add(node)

    def resume(self, node):
        self.paused.discard(node)
        if self.running(node):
            self.processes[f"node-{node}"].send_signal(signal.SIGCONT)

    def available(self):
        """Nodes that could answer."""
        return [n for n in self.nodes if self.running(n) and n not in self.paused]

    def wait_end(self, node, seconds=30.0):
        """The process ends by itself; its exit status."""
        process = self.processes[f"node-{node}"]
        try:
            status = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise NotInTime(f"node {node} did not end within {seconds} s") from None
        self.processes.pop(f"node-{node}")
        return status

    def log_size(self, node):
        path = os.path.join(self.directory, f"node-{node}.log")
        return os.path.getsize(path) if os.path.exists(path) else 0

    def log_from(self, node, offset):
        path = os.path.join(self.directory, f"node-{node}.log")
        with open(path, errors="replace", encoding="utf-8") as text:
            text.seek(offset)
            return text.read()

    def wait_started(self, node, offset, seconds=30.0):
        """True once a node says that it started; False if its process ended instead."""
        def decided():
            return "node started" in self.log_from(node, offset) or not self.running(node)

        wait_for(f"node {node} to start or to end", decided, seconds)
        return self.running(node)

    def wait_alive(self, seconds=60.0):
        """All nodes run, and all groups are led."""
        for node in self.nodes:
            if not self.running(node):
                raise NotInTime(f"node {node} is not running")
        wait_for("all groups led", lambda: all(self.leader(g) for g in self.group_names), seconds)

    def wait_level(self, seconds=90.0):
        """All replicas of each group have applied the same log, and nothing is pending."""
        def level():
            for group in self.group_names:
                views = [self.status(n, group) for n in self.nodes]
                if any(v is None for v in views):
                    return False
                ends = {(v["lastIndex"], v["appliedIndex"], v["logEndPosition"]) for v in views}
                if len(ends) != 1 or views[0]["lastIndex"] != views[0]["appliedIndex"]:
                    return False
                if any(v["counters"]["pending"] for v in views):
                    return False
            return True

        wait_for("all replicas level and nothing pending", level, seconds)

    def __exit__(self, failed, *details):
        for node in list(self.paused):
            self.resume(node)
        self.links.change()
        super().__exit__(failed, *details)
        self.links.close()
        self.proxy_log.close()
