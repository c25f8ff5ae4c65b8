"""A random fault every few seconds, one at a time, and a live view of what the cluster makes of it."""

import os
import random
import shutil
import signal
import sys
import time

TTY = sys.stdout.isatty()
RECENT = 6


class Chaos:
    """Strikes a demo's cluster. Between two faults everything is well again."""

    def __init__(self, demo, nodes, groups, seed):
        self.demo = demo
        self.nodes = nodes
        self.groups = groups
        self.chance = random.Random(seed)
        self.due = time.monotonic() + 3
        self.mending = []  # (when, what to do)
        self.recent = []
        self.counts = {}
        self.drawn = 0
        self.faults = [self.kill_node, self.kill_leader, self.pause_node, self.kill_all,
                       self.move_leader, self.lose_disk, self.kill_payer, self.drain_node]
        self.bag = []  # Each fault once, in random order, before any comes again.

    # --- Faults

    def tell(self, name, text):
        self.counts[name] = self.counts.get(name, 0) + 1
        self.recent = (self.recent + [f"{self.demo.elapsed():5.1f} s  {text}"])[-RECENT:]
        if not TTY:
            self.demo.say(text)

    def later(self, seconds, action, *arguments):
        self.mending.append((time.monotonic() + seconds, lambda: action(*arguments)))

    def kill_node(self, node=None):
        node = node or self.chance.choice(self.nodes)
        self.demo.end(f"node-{node}", signal.SIGKILL)
        self.tell("node killed", f"killed node {node}")
        self.later(self.chance.uniform(0.2, 2), self.demo.start_node, node)

    def kill_leader(self):
        node = self.demo.leader_node(self.chance.choice(self.groups))
        if node is not None:
            self.demo.leader_kills += 1
            self.kill_node(node)

    def kill_all(self):
        for node in self.nodes:
            self.demo.end(f"node-{node}", signal.SIGKILL)
        self.tell("all nodes killed", "killed all nodes at once")
        for node in self.nodes:
            self.later(self.chance.uniform(0.1, 1), self.demo.start_node, node)

    def pause_node(self):
        node = self.chance.choice(self.nodes)
        process = self.demo.processes[f"node-{node}"]
        process.send_signal(signal.SIGSTOP)
        self.tell("node paused", f"paused node {node}")
        self.later(self.chance.uniform(0.3, 2.5), process.send_signal, signal.SIGCONT)

    def lose_disk(self):
        node = self.chance.choice(self.nodes)
        self.demo.end(f"node-{node}", signal.SIGKILL)
        shutil.rmtree(os.path.join(self.demo.directory, f"node-{node}"))
        self.tell("disk lost", f"killed node {node} and deleted all of its data")
        self.later(0.5, self.demo.start_node, node)

    def move_leader(self):
        group = self.chance.choice(self.groups)
        self.demo.cli("leader", "transfer", group)
        self.tell("leader moved", f"moved the leadership of {group}")

    def drain_node(self):
        node = self.chance.choice(self.nodes)
        self.demo.cli("node", "drain", str(node))
        self.tell("node drained", f"drained node {node}")
        self.later(1.5, self.demo.cli, "node", "drain", str(node), "--undo")

    def kill_payer(self):
        self.demo.end("payer", signal.SIGKILL)
        self.demo.payer_kills += 1
        self.tell("A killed", "killed service A")
        self.later(0.5, self.demo.start_payer)

    # --- Time

    def all_well(self):
        """Every group is led, every replica is there and caught up."""
        groups = self.demo.cli("cluster", "status")
        return len(groups) == len(self.groups) and all(group["healthy"] for group in groups)

    def step(self):
        now = time.monotonic()
        for entry in [entry for entry in self.mending if entry[0] <= now]:
            self.mending.remove(entry)
            entry[1]()
        if not self.mending and now >= self.due and self.all_well():
            if not self.bag:
                self.bag = self.chance.sample(self.faults, len(self.faults))
            self.bag.pop()()
            self.due = time.monotonic() + self.chance.uniform(2, 5)

    def finish(self):
        """Mend what is broken; no more faults."""
        while self.mending:
            self.mending.pop(0)[1]()

    # --- The view

    def view(self):
        demo = self.demo
        lines = [f"{'GROUP':<10} {'LEADER':<8} {'TERM':>5} {'PENDING':>8}  HEALTH"]
        for group in demo.cli("cluster", "status"):
            leader = next((f"node {replica['memberId']}" for replica in group["replicas"]
                           if replica.get("address") == group.get("leader")), "none")
            lines.append(f"{group['group']:<10} {leader:<8} {group.get('term', '-'):>5} "
                         f"{group.get('pending', '-'):>8}  {group['health']}")
        lines += ["", f"transfers {demo.done_transfers()}/{demo.options.transfers}, credited "
                      f"{demo.credited()}, faults {sum(self.counts.values())}", ""]
        lines += self.recent + [""] * (RECENT - len(self.recent))
        return lines

    def draw(self):
        lines = self.view()
        if not TTY:
            print("; ".join(line for line in lines[1:-RECENT] if line), flush=True)
            return
        if self.drawn:
            print(f"\033[{self.drawn}A", end="")
        for line in lines:
            print(f"\r\033[K{line}")
        self.drawn = len(lines)
        sys.stdout.flush()
