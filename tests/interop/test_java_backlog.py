"""RocketMQ's Java client, unmodified, reads a backlog for which it is sent to followers."""

import json
import os
import struct
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "integration"))

from agent import java, java_built  # noqa: E402
from cluster import Cluster, wait_for  # noqa: E402
from remoting import properties, send_fields  # noqa: E402

SEND_BATCH = 320
RUNTIME_INFO = 28
CONSUMER_CONNECTIONS = 203
QUEUES = 4
BATCH = 64
MESSAGES = 20 * QUEUES * BATCH
SETTINGS = {
    "slaveReadEnable": "true",
    "slaveReadLagSize": 100000,  # Of a backlog of some 2 MB. By default it takes gigabytes.
    "maxTransferCountOnMessageInMemory": 1,  # So that the backlog lasts for seconds.
}


def batch_item(key):
    """size, magic, crc, flag, body with its size, properties with theirs"""
    body = b"x" * 200
    named = properties({"UNIQ_KEY": key, "KEYS": key}).encode()
    rest = struct.pack(">IIII", 0, 0, 0, len(body)) + body + struct.pack(">H", len(named)) + named
    return struct.pack(">I", 4 + len(rest)) + rest


def write_backlog(cluster):
    """As many messages in each queue of Old; their keys are m0, m1, …"""
    with cluster.connect("broker-a") as leader:
        for first in range(0, MESSAGES, BATCH):
            body = b"".join(batch_item(f"m{n}") for n in range(first, first + BATCH))
            fields = send_fields("Old", first // BATCH % QUEUES, {})
            leader.invoke(SEND_BATCH, {**fields, "m": "true"}, body)


def given(cluster, node):
    """How many messages this replica has given to consumers."""
    with cluster.connect("broker-a", node) as replica:
        table = json.loads(replica.invoke(RUNTIME_INFO).body)["table"]
    return int(table["msgGetTotalTodayNow"])


class Backlog:
    version = ""

    @classmethod
    def setUpClass(cls):
        if not java_built(cls.version):
            raise unittest.SkipTest(f"Java or rocketmq-client {cls.version} could not be had")

    @staticmethod
    def begin(cluster, client):
        """A consumer begins with a backlog. Returns the leader and the followers."""
        cluster.create_topic("Old", QUEUES)
        client("consumer", "G", "Old", "*")
        with cluster.connect("broker-a") as leader:
            def connections():
                known = leader.invoke(CONSUMER_CONNECTIONS, {"consumerGroup": "G"}, expect=None)
                return known.code == 0 and len(json.loads(known.body)["connectionSet"])

            # The leader sends nobody to a follower that has no heartbeat of its client.
            wait_for("all replicas to know the consumer", lambda: connections() == 3)
        write_backlog(cluster)
        leader = cluster.wait_leader("broker-a")
        return leader, [node for node in cluster.nodes if node != leader]

    def wait_served(self, cluster, client, followers):
        """Until a follower serves, and has more to serve; returns it."""
        def serving():
            return next((node for node in followers if given(cluster, node) > 50), None)

        follower = wait_for("a follower to serve", serving)
        self.assertLess(int(client("total").split(" ")[1]), MESSAGES)
        return follower

    def expect_all(self, client):
        wait_for("each message", lambda: client("total").split(" ")[1] == str(MESSAGES), 90)

    def test_a_backlog_is_read_from_followers(self):
        calm = {"electionTimeoutMs": 3000}  # Roles stay as they are, however busy the machine is.
        with Cluster(groups=1, settings={**SETTINGS, **calm}) as cluster:
            cluster.wait_ready()
            with java(self.version, cluster) as client:
                _, followers = self.begin(cluster, client)
                self.expect_all(client)
                # Queues take turns at the followers.
                self.assertGreater(min(given(cluster, node) for node in followers), 100)
                before = [given(cluster, node) for node in followers]
                client("producer", "P")
                for n in range(20):  # Who does not lag is at the leader.
                    client("send", "Old", "t", f"new{n}")
                    wait_for("a new one", lambda key=f"new{n}": client.seen(key) == 1)
                self.assertEqual(before, [given(cluster, node) for node in followers])
                self.assertEqual(client("total"), f"{MESSAGES + 20} {MESSAGES + 20}")

    def test_a_follower_is_killed_meanwhile(self):
        with Cluster(groups=1, settings=SETTINGS) as cluster:
            cluster.wait_ready()
            with java(self.version, cluster) as client:
                _, followers = self.begin(cluster, client)
                cluster.kill(self.wait_served(cluster, client, followers))
                self.expect_all(client)

    def test_the_leader_is_killed_meanwhile(self):
        with Cluster(groups=1, settings=SETTINGS) as cluster:
            cluster.wait_ready()
            with java(self.version, cluster) as client:
                leader, followers = self.begin(cluster, client)
                self.wait_served(cluster, client, followers)
                cluster.kill(leader)
                cluster.wait_leader("broker-a", other_than=leader)
                self.expect_all(client)


class Java533(Backlog, unittest.TestCase):
    version = "5.3.3"


class Java498(Backlog, unittest.TestCase):
    version = "4.9.8"


if __name__ == "__main__":
    unittest.main()
