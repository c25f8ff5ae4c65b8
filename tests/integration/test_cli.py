"""The admin CLI against a real cluster: what it prints for programs, and its exit status."""

import json
import os
import subprocess
import unittest

from cluster import BINARIES, Cluster, wait_for
from one_cluster import OneCluster
from test_failover import send_half

NOT_FOUND = 3
UNREACHABLE = 4
DEGRADED = 5


class Cli(OneCluster):
    def run_cli(self, *arguments, expect=0, namesrv=None):
        done = subprocess.run(
            [os.path.join(BINARIES, "raftmq"), *arguments, "-n",
             namesrv or self.cluster.namesrv.split(";")[0]],
            capture_output=True, text=True, check=False, timeout=60,
        )
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return done.stdout

    def json(self, *arguments, expect=0):
        return json.loads(self.run_cli(*arguments, "-o", "json", expect=expect))

    def test_cluster_status(self):
        groups = self.json("cluster", "status")
        self.assertEqual({g["group"] for g in groups}, set(self.cluster.group_names))
        for group in groups:
            self.assertTrue(group["healthy"])
            self.assertEqual(len(group["replicas"]), 3)
        self.assertIn("HEALTH", self.run_cli("cluster", "status"))

    def test_topics(self):
        self.run_cli("topic", "create", "Cli", "-q", "3")
        wait_for("the topic in the list", lambda: "Cli" in self.run_cli("topic", "list"))
        queues = self.json("topic", "describe", "Cli")
        self.assertEqual(len(queues), 9)
        self.run_cli("topic", "delete", "Cli")
        wait_for("its route to be gone",
                 lambda: "Cli" not in json.dumps(self.json("topic", "list")))
        self.run_cli("topic", "describe", "Nowhere", expect=NOT_FOUND)

    def test_messages(self):
        self.run_cli("topic", "create", "Mail", "-q", "1")
        wait_for("a route", lambda: "Mail" in self.run_cli("topic", "list"))
        self.run_cli("message", "send", "Mail", "hello there", "--tag", "t", "--keys", "k1 k2")
        found = self.json("message", "query", "Mail", "k2")
        self.assertEqual(len(found), 1)
        self.assertIn("hello there", json.dumps(found))
        self.run_cli("message", "query", "Mail", "k3", expect=NOT_FOUND)

    def test_leaders(self):
        before = {row["group"]: row["leader"] for row in self.json("leader", "show")}
        self.assertEqual(len(set(before.values())), 3)
        self.run_cli("leader", "transfer", "broker-c")
        self.cluster.wait_ready()  # The balancer brings it back.

    def test_transactions(self):
        with self.cluster.connect("broker-a") as connection:
            half = send_half(connection, "CLI-1", "Paid")
            position = half["commitLogOffset"]
            listed = self.json("txn", "list", "-g", "P")
            self.assertIn("CLI-1", json.dumps(listed))
            shown = self.json("txn", "show", f"broker-a:{position}")
            self.assertIn("no producer", json.dumps(shown))
            self.run_cli("txn", "commit", f"broker-a:{position}")
            self.run_cli("txn", "rollback", f"broker-a:{position}", expect=1)
            offset = connection.invoke(30, {"topic": "Paid", "queueId": "0"}).fields["offset"]
            self.assertEqual(offset, "1")
        self.run_cli("txn", "show", "broker-a:999999999", expect=NOT_FOUND)

    def test_bench_verifies_its_commits(self):
        self.run_cli("topic", "create", "Bench", "-q", "4")
        wait_for("a route", lambda: "Bench" in self.run_cli("topic", "list"))
        said = self.run_cli("bench", "txn", "-T", "Bench", "-s", "1", "-w", "0", "-c", "1", "-d", "8")
        self.assertIn("verified: yes", said)

    def test_wrong_usage_and_nobody_there(self):
        for arguments in (["nonsense"], ["topic"], ["topic", "create"], ["txn", "show"]):
            done = subprocess.run([os.path.join(BINARIES, "raftmq"), *arguments],
                                  capture_output=True, check=False)
            self.assertEqual(done.returncode, 2, arguments)
        self.run_cli("cluster", "status", namesrv="127.0.0.1:1", expect=UNREACHABLE)


class Degraded(unittest.TestCase):
    def test_a_dead_replica_shows(self):
        with Cluster(groups=1) as cluster:
            cluster.wait_ready()
            cluster.kill(3)
            cluster.wait_leader("broker-a")

            def degraded():
                done = subprocess.run(
                    [os.path.join(BINARIES, "raftmq"), "cluster", "status", "-n", cluster.namesrv],
                    capture_output=True, text=True, check=False, timeout=60)
                return done.returncode == DEGRADED

            wait_for("the status to tell that a replica is missing", degraded)


if __name__ == "__main__":
    unittest.main()
