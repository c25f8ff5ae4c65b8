"""The faults, one class each: inject, hold, heal. A new one is a class in FAULTS and an option of
tests/faults/run by itself."""

import errno
import os
import shutil
import threading
import time

import checks
import damage
from cluster import NotInTime, wait_for
from remoting import send_fields


LARGE = 3 * 1024 * 1024
FILL_MAX = 256 * 1024 * 1024  # A segment and a spare one, and half as much again.


class Fault:
    """Runs under load, on a world in which all is well, and leaves it so."""

    name = ""  # Of the option and of the row in the table.
    help = ""

    def __init__(self, world, chance, ordinal):
        self.world = world
        self.chance = chance
        self.ordinal = ordinal  # Among those of its kind, in no order, from 0.
        self.told = ""  # What was done, for the trace.

    def some_node(self):
        return self.chance.choice(self.world.nodes)

    def hold(self, least, most):
        """Let the fault last: time passes on purpose."""
        time.sleep(self.chance.uniform(least, most))

    def restart(self, node):
        offset = self.world.log_size(node)
        self.world.start(node)
        if not self.world.wait_started(node, offset):
            tail = self.world.log_from(node, offset)[-600:]
            raise NotInTime(f"node {node} did not start again after: {self.told}\n{tail}")

    def catch_up(self, node):
        """A replica gets by itself to where its groups are now."""
        wanted = {g: (self.world.status(self.world.wait_leader(g), g) or {}).get("commitIndex", 0)
                  for g in self.world.group_names}

        def whole():
            views = {g: self.world.status(node, g) for g in wanted}
            return all(v and v["appliedIndex"] >= wanted[g] for g, v in views.items())

        wait_for(f"node {node} to be level after: {self.told}", whole, 90.0)

    def run(self):
        raise NotImplementedError


class Kill(Fault):
    name = "kills"
    help = "kill -9 of one node; each tenth of all at once"

    def run(self):
        nodes = self.world.nodes if self.ordinal % 10 == 1 else [self.some_node()]
        self.told = f"kill -9 of {nodes}"
        for node in nodes:
            self.world.kill(node)
        self.hold(0, 0.6)
        for node in nodes:
            self.restart(node)


class PowerCut(Fault):
    name = "power-cuts"
    help = "power cut of one node, each fifth of all at once: what was not synced is lost"

    def run(self):
        nodes = self.world.nodes if self.ordinal % 5 == 1 else [self.some_node()]
        for node in nodes:
            # So that it is likely to be waiting for a sync.
            self.world.controls[node].set(sync_delay_ms=self.chance.choice([0, 5, 20, 100]))
        self.hold(0.1, 0.5)
        if self.chance.random() < 0.3:
            self.live_again(nodes[0])
        lost = self.world.cut_power(nodes, self.chance)
        self.told += f"power cut of {nodes} ({'; '.join(lost)})"
        self.hold(0, 0.3)
        for node in nodes:
            self.world.controls[node].clear()
            self.restart(node)

    def live_again(self, node):
        """Killed and started before the power goes: what the first life left in the cache of the
        operating system, the second one reads; but it is not yet on the disk."""
        self.told = "after a kill, "
        self.world.kill(node)
        self.restart(node)
        self.hold(0, 0.3)


class Pause(Fault):
    name = "pauses"
    help = "SIGSTOP of one node for longer than the election timeout"

    def run(self):
        node = self.some_node()
        self.told = f"pause of {node}"
        self.world.pause(node)
        self.hold(0.5, 1.5)
        self.world.resume(node)


class Partition(Fault):
    name = "partitions"
    help = "links cut: one node off both ways or one way, a single link, or slow"

    def run(self):
        node = self.some_node()
        others = [n for n in self.world.nodes if n != node]
        away = [(node, other) for other in others]
        back = [(other, node) for other in others]
        kind = self.chance.choice(["off", "mute", "deaf", "one link", "one way", "slow"])
        block = {"off": away + back, "mute": away, "deaf": back, "one link": [away[0], back[0]],
                 "one way": [self.chance.choice(away + back)], "slow": []}[kind]
        delay = [(a, b, self.chance.randrange(20, 150)) for a, b in away + back]
        self.told = f"partition of {node}: {kind}"
        self.world.links.change(block=block, delay=delay if kind == "slow" else [])
        self.hold(0.8, 2.0)
        self.world.links.change(drop=self.chance.random() < 0.5)


class DiskError(Fault):
    name = "disk-errors"
    help = "EIO of a node's writes or syncs: it must end, with one clear line"

    def run(self):
        node = self.some_node()
        field = self.chance.choice(["write_error", "sync_error"])
        self.told = f"{field} EIO at {node}"
        offset = self.world.log_size(node)
        self.world.controls[node].set(**{field: errno.EIO})
        self.expect_end(node, offset)
        self.world.controls[node].clear()
        self.restart(node)

    def expect_end(self, node, offset):
        status = self.world.wait_end(node)
        said = self.world.log_from(node, offset)
        if status != 70 or "FATAL" not in said:
            raise AssertionError(f"after {self.told} the node ended with {status}:\n{said[-600:]}")


class FullDisk(DiskError):
    name = "full-disks"
    help = "ENOSPC of writes of a node by which files grow: it waits for room, or ends in words"

    def run(self):
        node = self.some_node()
        group = self.chance.choice(self.world.group_names)
        offset = self.world.log_size(node)
        self.told = f"ENOSPC at {node}"
        self.world.controls[node].set(write_error=errno.ENOSPC)
        self.fill(group, lambda: not self.world.running(node) or any(
            text in self.world.log_from(node, offset) for text in ("disk full", "nearly full")))
        self.hold(0.2, 1.0)
        self.world.controls[node].clear()
        if not self.world.running(node):
            self.told += ", ended"
            self.expect_end(node, offset)
            self.restart(node)
        self.catch_up(node)

    def fill(self, group, noticed):
        """Large messages until the log needs a segment that it cannot have."""
        body = bytes(LARGE)
        for _ in range(FILL_MAX // LARGE):
            if noticed():
                return
            try:
                with self.world.connect(group) as connection:
                    connection.invoke(310, send_fields("Ballast", 0, {}), body, expect=None)
            except OSError:
                pass
        wait_for(f"it to be noticed: {self.told}", noticed, 30.0)


class SlowDisk(Fault):
    name = "slow-disks"
    help = "each sync of one node takes up to a second"

    def run(self):
        node = self.some_node()
        delay = self.chance.randrange(100, 1000)
        self.told = f"syncs of {node} take {delay} ms"
        self.world.controls[node].set(sync_delay_ms=delay)
        self.hold(1.0, 2.0)
        self.world.controls[node].clear()


class Flip(Fault):
    name = "flips"
    help = "a bit flipped in a file of one stopped node: it heals, or refuses with a clear line"

    def run(self):
        node = self.some_node()
        group = self.chance.choice(self.world.group_names)
        folder = os.path.join(self.world.path(node, "root"), group)
        self.world.kill(node)
        target = damage.choose(folder, self.chance)
        kept = self.world.path(node, "kept")
        shutil.copyfile(target.path, kept)
        damage.flip(target, self.chance)
        self.told = f"flip at {node}/{group}, {target}"
        offset = self.world.log_size(node)
        self.world.start(node)
        if self.world.wait_started(node, offset):
            self.wait_level(node, group, offset, target)
            return
        self.world.wait_end(node)
        said = self.world.log_from(node, offset)
        self.told += ", refused"
        if target.kind == "store" or "ERROR" not in said or not any(text in said for text in damage.REFUSALS):
            raise AssertionError(f"no clear line after {self.told}:\n{said[-600:]}")
        shutil.copyfile(kept, target.path)  # What an operator does.
        self.restart(node)

    def wait_level(self, node, group, offset, target):
        """It started: then it must catch up. Damage of the store is found when it is read."""
        leader = self.world.wait_leader(group)
        wanted = (self.world.status(leader, group) or {}).get("commitIndex", 0)

        def level():
            view = self.world.status(node, group)
            return not self.world.running(node) or (view and view["appliedIndex"] >= wanted)

        wait_for(f"node {node} to catch up after: {self.told}", level, 60.0)
        if target.kind == "store":
            self.read_store(node, group, offset)
        if target.kind == damage.COMPLETE:
            self.wait_scrub(node, offset)
        if not self.world.running(node):
            status = self.world.wait_end(node)
            said = self.world.log_from(node, offset)
            if status != 70 or "FATAL" not in said:
                raise AssertionError(f"ended with {status} after {self.told}:\n{said[-600:]}")
            self.told += ", found while running"
            self.restart(node)

    def read_store(self, node, group, offset):
        """Of a store only what is needed is read: have all of it read, or damage stays there. It
        builds itself again; only a CUT that needs what is damaged ends the process before."""
        def whole():
            status = self.world.status(node, group, hash_too=True)
            return status and int(status["stateHash"], 16) != 0

        wait_for(f"the store to be whole after: {self.told}",
                 lambda: not self.world.running(node) or whole(), 60.0)
        if "closing to build it again" in self.world.log_from(node, offset):
            self.told += ", built again"

    def wait_scrub(self, node, offset):
        """A start does not see it. Applying it, the replica does, or else the scrub: both ways it
        gets a copy."""
        wait_for(f"it to be found: {self.told}",
                 lambda: "getting a copy" in self.world.log_from(node, offset), 60.0)
        self.catch_up(node)


class LiveFlip(Flip):
    name = "live-flips"
    help = "a bit flipped in log or store of a running node: it is never served, and healed"

    def run(self):
        node = self.some_node()
        group = self.chance.choice(self.world.group_names)
        folder = os.path.join(self.world.path(node, "root"), group)
        offset = self.world.log_size(node)
        try:
            found = [t for t in damage.targets(folder, self.chance)
                     if t.kind == "below the durable mark" or t.path.endswith(".sst")]
            if not found:
                return
            target = self.chance.choice(found)
            self.told = f"flip at running {node}/{group}, {target}"
            damage.flip(target, self.chance)
        except FileNotFoundError:
            return  # A table that was merged into another one meanwhile.
        # Somebody reads all of it, at this replica, which closes to get a copy when it finds it.
        wait_for("all of it to be read", lambda: (
            checks.read_replica(self.world, self.world.history, node, group) or True), 60.0)
        if target.kind != "store":
            self.world.kill(node)
            self.restart(node)
        self.wait_level(node, group, offset, target)


class LostDisk(Fault):
    name = "lost-disks"
    help = "the data of one stopped node is deleted, of one group or all: it becomes whole again"

    def run(self):
        node = self.some_node()
        root = self.world.path(node, "root")
        everything = self.chance.random() < 0.3
        group = self.chance.choice(self.world.group_names)
        self.told = f"data of {node} lost, {'all' if everything else group}"
        self.world.kill(node)
        shutil.rmtree(root if everything else os.path.join(root, group))
        self.world.forget_unsynced(node)
        self.restart(node)
        self.catch_up(node)


class Membership(Fault):
    name = "membership"
    help = "a node replaced by a new one, or one added and another removed; often with a kill"

    def run(self):
        old = self.some_node()
        new = self.world.add_node()
        steps = self.chance.choice([[("replace", old, new)], [("add", new), ("remove", old)]])
        self.told = "; ".join(" ".join(map(str, step)) for step in steps)
        wait_for("the new node to be heard of",
                 lambda: all(self.world.status(new, g) for g in self.world.group_names))
        killer = self.kill_meanwhile()
        for verb, *nodes in steps:
            self.change(verb, nodes)
        if killer:
            killer.join()
        self.world.forget_node(old)

    def kill_meanwhile(self):
        if self.chance.random() < 0.5:
            return None
        victim = self.some_node()
        self.told += f", {victim} killed meanwhile"

        def kill():
            self.world.kill(victim)
            self.world.start(victim)

        killer = threading.Timer(self.chance.uniform(0.0, 1.0), kill)
        killer.start()
        return killer

    def change(self, verb, nodes):
        """Ask until it is done: a kill may have come between."""
        gone = {nodes[0]} if verb in ("replace", "remove") else set()
        come = {nodes[-1]} if verb in ("replace", "add") else set()

        def done():
            self.world.cli("node", verb, *map(str, nodes), "--within", "20", expect=None)
            members = [self.world.members(g) for g in self.world.group_names]
            return all(gone.isdisjoint(m) and come <= {n for n in m if m[n] == "voter"}
                       for m in members)

        wait_for(f"node {verb} to be done", done, 120.0)


FAULTS = [Kill, PowerCut, Pause, Partition, DiskError, FullDisk, SlowDisk, Flip, LiveFlip,
          LostDisk, Membership]
