"""Clusters of real processes on loopback: started, killed, restarted and asked by tests.

Ports come from the kernel's free ones, data lives in a temporary directory, and only processes
that were started here are ever ended, by pid.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from ports import port_run
from remoting import Connection

BINARIES = os.environ.get("RAFTMQ_BIN", "build/dev/bin")
STATUS = 7100
TRANSFER = 7101


class NotInTime(AssertionError):
    """A condition did not come true before its deadline."""


def wait_for(what, condition, seconds=30.0):
    """Poll until `condition()` is true (and return that) or fail with what was waited for."""
    deadline = time.monotonic() + seconds
    last_error = None
    while time.monotonic() < deadline:
        try:
            value = condition()
            if value:
                return value
        except (OSError, ConnectionError) as error:
            last_error = error
        time.sleep(0.01)
    raise NotInTime(f"not within {seconds} s: {what} ({last_error})")


class Cluster:
    """Nameservers and nodes. Use as a context manager. Groups by number, or a list of names."""

    def __init__(self, nodes=3, groups=3, nameservers=1, settings=None):
        self.directory = tempfile.mkdtemp(prefix="raftmq-test-")
        self.settings = settings or {}
        self.node_settings = {}  # By node, above the others.
        if isinstance(groups, int):
            groups = [f"broker-{chr(ord('a') + i)}" for i in range(groups)]
        self.group_names = groups
        self.group_count = len(groups)
        self.processes = {}
        self.logs = []
        # A node's groups listen one above the other, so each node needs a run of free ports.
        self.nameserver_ports = [port_run(1) for _ in range(nameservers)]
        self.node_ports = {
            n: port_run(2 * self.group_count) for n in range(1, nodes + 1)
        }

    @property
    def namesrv(self):
        return ";".join(f"127.0.0.1:{port}" for port in self.nameserver_ports)

    @property
    def nodes(self):
        return sorted(self.node_ports)

    def address(self, node, group):
        """Client address of a group's replica on a node."""
        index = self.group_names.index(group)
        return f"127.0.0.1:{self.node_ports[node] + index}"

    def __enter__(self):
        for number in range(len(self.nameserver_ports)):
            self.start_nameserver(number)
        for node in self.nodes:
            self.start(node)
        return self

    def __exit__(self, failed, *_):
        for name in list(self.processes):
            self._end(name, signal.SIGTERM)
        if failed:
            print(f"\nlogs are kept in {self.directory}")
            for log in sorted(os.listdir(self.directory)):
                if log.endswith(".log"):
                    with open(os.path.join(self.directory, log), errors="replace") as text:
                        print(f"--- {log}\n" + "".join(text.readlines()[-40:]))
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def _spawn(self, name, arguments, environment=None):
        log = open(os.path.join(self.directory, f"{name}.log"), "ab")
        self.processes[name] = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        )
        log.close()

    def _end(self, name, how):
        process = self.processes.pop(name, None)
        if process is None:
            return None
        process.send_signal(how)
        try:
            return process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise NotInTime(f"{name} did not stop within 20 s") from None

    def start_nameserver(self, number):
        port = self.nameserver_ports[number]
        kv_file = os.path.join(self.directory, f"kv-{number}.json")
        self._spawn(
            f"nameserver-{number}",
            [os.path.join(BINARIES, "raftmq-nameserver"), "-p", str(port), "--set",
             "bindAddress=127.0.0.1", "--set", f"kvConfigPath={kv_file}"],
        )

    def node_arguments(self, node):
        members = ";".join(
            f"{n}@127.0.0.1:{port}:{port + self.group_count}"
            for n, port in self.node_ports.items()
        )
        settings = {
            "nodeId": node,
            "nodes": members,
            "groups": ";".join(self.group_names),
            "portStep": 1,
            "brokerClusterName": "TestCluster",
            "namesrvAddr": self.namesrv,
            "storePathRootDir": os.path.join(self.directory, f"node-{node}"),
            "diskReserveSize": 0,
            "cleanFileForciblyEnable": "false",  # Whatever else fills the disk of this machine.
            **self.settings,
            **self.node_settings.get(node, {}),
        }
        arguments = [os.path.join(BINARIES, "raftmq-broker")]
        for key, value in settings.items():
            arguments += ["--set", f"{key}={value}"]
        return arguments

    def start(self, node):
        self._spawn(f"node-{node}", self.node_arguments(node))

    def add_node(self):
        """Start one more node; the others are not told of it. Returns its number."""
        node = max(self.nodes) + 1
        self.node_ports[node] = port_run(2 * self.group_count)
        self.start(node)
        return node

    def cli(self, *arguments, expect=0, timeout=120):
        """Run the admin CLI; returns what it printed."""
        done = subprocess.run(
            [os.path.join(BINARIES, "raftmq"), *arguments, "-n", self.namesrv],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False,
        )
        if expect is not None and done.returncode != expect:
            raise AssertionError(f"raftmq {' '.join(arguments)}: {done.returncode}\n"
                                 f"{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def cli_when_well(self, *arguments):
        """The same, again while it is refused because some replica is not well and caught up: on a
        busy machine one may just be behind."""
        def done():
            try:
                return self.cli(*arguments) or "done"
            except AssertionError as refused:
                if "well and caught up" not in str(refused):
                    raise
                return None

        return wait_for(f"raftmq {' '.join(arguments)}", done)

    def kill(self, node):
        """kill -9."""
        self._end(f"node-{node}", signal.SIGKILL)

    def stop(self, node):
        """An orderly stop; returns the exit status."""
        return self._end(f"node-{node}", signal.SIGTERM)

    def running(self, node):
        process = self.processes.get(f"node-{node}")
        return process is not None and process.poll() is None

    def log(self, node):
        with open(os.path.join(self.directory, f"node-{node}.log"), errors="replace") as text:
            return text.read()

    def status(self, node, group, hash_too=False):
        """What a replica says of itself; None if it does not answer."""
        try:
            with Connection(self.address(node, group), timeout=2.0) as connection:
                fields = {"hash": "true"} if hash_too else {}
                return json.loads(connection.invoke(STATUS, fields).body)
        except OSError:
            return None

    def leader(self, group):
        """The node that leads a group and serves, or None."""
        for node in self.nodes:
            if self.running(node):
                status = self.status(node, group)
                if status is not None and status["role"] == "leader":
                    return node
        return None

    def wait_leader(self, group, other_than=None, seconds=30.0):
        def led():
            node = self.leader(group)
            return node if node is not None and node != other_than else None

        return wait_for(f"a leader of {group}", led, seconds)

    def wait_ready(self, seconds=30.0):
        """All groups are led, and by their preferred nodes if those run, and routed."""
        balanced = self.settings.get("leaderBalanceDelayMs") != 0

        def ready():
            for index, group in enumerate(self.group_names):
                leader = self.leader(group)
                preferred = self.nodes[index % len(self.nodes)]
                if leader is None:
                    return False
                if balanced and self.running(preferred) and leader != preferred:
                    return False
                if self.routed_leader(group) != self.address(leader, group):
                    return False
            return True

        wait_for("all groups led and routed", ready, seconds)

    def wait_spread(self, seconds=30.0):
        """Until each group is led by another node, as it is a moment after all nodes are there."""
        def spread():
            leaders = [self.leader(group) for group in self.group_names]
            return None not in leaders and len(set(leaders)) == len(leaders)

        wait_for("leaders on all nodes", spread, seconds)

    def routed_leader(self, group, number=0):
        """Whom a nameserver names as master of a group."""
        with Connection(f"127.0.0.1:{self.nameserver_ports[number]}") as connection:
            info = json.loads(connection.invoke(106).body)
        broker = info["brokerAddrTable"].get(group)
        return broker and broker["brokerAddrs"].get("0")

    def connect(self, group, node=None):
        """A connection to a group's replica; by default to its leader."""
        if node is None:
            node = self.wait_leader(group)
        return Connection(self.address(node, group))

    def create_topic(self, topic, queues=4):
        """Create a topic on all groups and wait until the nameserver routes it."""
        fields = {
            "topic": topic, "defaultTopic": "TBW102", "readQueueNums": str(queues),
            "writeQueueNums": str(queues), "perm": "6", "topicFilterType": "SINGLE_TAG",
            "order": "false",
        }
        for group in self.group_names:
            with self.connect(group) as connection:
                connection.invoke(17, fields)

        def routed():
            with Connection(f"127.0.0.1:{self.nameserver_ports[0]}") as connection:
                frame = connection.invoke(105, {"topic": topic}, expect=None)
            return frame.code == 0 and (
                len(json.loads(frame.body)["queueDatas"]) == len(self.group_names))

        wait_for(f"a route to {topic}", routed)

    def transfer(self, group, target=0):
        node = self.wait_leader(group)
        with self.connect(group, node) as connection:
            return connection.invoke(TRANSFER, {"target": str(target)})
