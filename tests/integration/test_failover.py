"""Clusters whose nodes are killed: what was acknowledged is there, and nothing is decided twice."""

import os
import threading
import time
import unittest

from cluster import Cluster, wait_for
from remoting import Connection, RemotingError, message_position, pull, read_queue, send_fields

HALF = {"TRAN_MSG": "true", "PGROUP": "P"}


def send_half(connection, key, topic="T"):
    """A half message; returns what END_TRANSACTION needs."""
    frame = connection.invoke(
        310, send_fields(topic, 0, {**HALF, "UNIQ_KEY": key}), key.encode()
    )
    return {
        "producerGroup": "P",
        "tranStateTableOffset": frame.fields["queueOffset"],
        "commitLogOffset": str(message_position(frame.fields["msgId"])),
        "msgId": key,
    }


def decide(connection, half, decision, expect=0):
    return connection.invoke(37, {**half, "commitOrRollback": str(decision)}, expect=expect)


class Failover(unittest.TestCase):
    def test_acknowledged_messages_survive_the_leader(self):
        with Cluster(groups=1) as cluster:
            cluster.wait_ready()
            sent = []
            for round_number in range(4):
                leader = cluster.wait_leader("broker-a")
                with cluster.connect("broker-a", leader) as connection:
                    for i in range(50):
                        body = f"{round_number}-{i}".encode()
                        connection.invoke(310, send_fields("T", 0, {}), body)
                        sent.append(body)
                cluster.kill(leader)
                cluster.wait_leader("broker-a", other_than=leader)
                cluster.start(leader)
            with cluster.connect("broker-a") as connection:
                found = read_queue(connection, "T", 0)
            self.assertEqual([m.body for m in found], sent)
            self.assertEqual([m.queue_offset for m in found], list(range(len(sent))))

    def test_positions_and_bytes_are_the_same_on_every_replica(self):
        with Cluster(groups=1) as cluster:
            cluster.wait_ready()
            with cluster.connect("broker-a") as connection:
                for i in range(20):
                    connection.invoke(310, send_fields("T", 0, {}), f"m{i}".encode())

            def everywhere():
                seen = []
                for node in cluster.nodes:
                    with cluster.connect("broker-a", node) as connection:
                        seen.append(
                            [(m.position, m.queue_offset, m.body, m.store_ms)
                             for m in read_queue(connection, "T", 0)]
                        )
                return len(seen[0]) == 20 and seen[0] == seen[1] == seen[2]

            wait_for("equal queues on all replicas", everywhere)

    def test_followers_take_writes_and_decisions(self):
        with Cluster(groups=1) as cluster:
            cluster.wait_ready()
            leader = cluster.wait_leader("broker-a")
            follower = next(n for n in cluster.nodes if n != leader)
            with cluster.connect("broker-a", follower) as connection:
                connection.invoke(310, send_fields("T", 0, {}), b"plain")
                half = send_half(connection, "U1")
                decide(connection, half, 8)
                self.assertEqual(int(connection.invoke(30, {"topic": "T", "queueId": "0"})
                                     .fields["offset"]), 2)

    def test_a_pending_half_can_be_decided_under_the_next_leader(self):
        with Cluster(groups=1) as cluster:
            cluster.wait_ready()
            leader = cluster.wait_leader("broker-a")
            with cluster.connect("broker-a", leader) as connection:
                halves = [send_half(connection, f"U{i}") for i in range(6)]
            cluster.kill(leader)
            following = cluster.wait_leader("broker-a", other_than=leader)
            with cluster.connect("broker-a", following) as connection:
                for i, half in enumerate(halves):
                    decide(connection, half, 8 if i % 2 == 0 else 12)
                    decide(connection, half, 12 if i % 2 == 0 else 8, expect=1)
                bodies = [m.body for m in read_queue(connection, "T", 0)]
            self.assertEqual(bodies, [b"U0", b"U2", b"U4"])

    def test_a_cluster_killed_at_once_has_everything_that_it_acknowledged(self):
        """kill -9 of all nodes under load, several rounds: messages, halves and outcomes."""
        with Cluster(groups=1) as cluster:
            cluster.wait_ready()
            sent, committed, rolled_back = [], [], []
            for round_number in range(int(os.environ.get("RAFTMQ_POWER_CUTS", "5"))):
                stop = threading.Event()
                worker = threading.Thread(
                    target=self.load, args=(cluster, round_number, stop, sent, committed,
                                            rolled_back)
                )
                worker.start()
                time.sleep(0.7)
                for node in cluster.nodes:
                    cluster.kill(node)
                stop.set()
                worker.join()
                for node in cluster.nodes:
                    cluster.start(node)
                cluster.wait_leader("broker-a")
            with cluster.connect("broker-a") as connection:
                plain = [m.body for m in read_queue(connection, "Plain", 0)]
                paid = [m.body for m in read_queue(connection, "Paid", 0)]
            self.assertGreater(len(sent), 20)
            self.assertEqual(set(sent) - set(plain), set())
            self.assertEqual(set(committed) - set(paid), set())
            self.assertEqual(len(paid), len(set(paid)))
            self.assertEqual(set(rolled_back) & set(paid), set())

    @staticmethod
    def load(cluster, round_number, stop, sent, committed, rolled_back):
        """Only what was answered with 0 counts as done."""
        try:
            with cluster.connect("broker-a") as connection:
                number = 0
                while not stop.is_set():
                    number += 1
                    key = f"{round_number}-{number}"
                    connection.invoke(310, send_fields("Plain", 0, {}), key.encode())
                    sent.append(key.encode())
                    half = send_half(connection, key, "Paid")
                    decision = 8 if number % 3 else 12
                    decide(connection, half, decision)
                    (committed if decision == 8 else rolled_back).append(key.encode())
        except (OSError, RemotingError):
            pass

    def test_an_orderly_stop_hands_leadership_over(self):
        with Cluster(groups=1) as cluster:
            cluster.wait_ready()
            leader = cluster.wait_leader("broker-a")
            self.assertEqual(cluster.stop(leader), 0)
            cluster.wait_leader("broker-a", other_than=leader, seconds=5)
            self.assertIn("leadership", cluster.log(leader))

    def test_transfers_cost_no_request(self):
        with Cluster(groups=1, settings={"leaderBalanceDelayMs": 0}) as cluster:
            cluster.wait_ready()
            stop = threading.Event()
            failures, counts = [], [0]

            def load():
                # Always through the same node, whoever leads.
                with Connection(cluster.address(1, "broker-a")) as connection:
                    while not stop.is_set():
                        frame = connection.invoke(
                            310, send_fields("T", 0, {}), b"x", expect=None
                        )
                        counts[0] += 1
                        if frame.code != 0:
                            failures.append((frame.code, frame.remark))

            worker = threading.Thread(target=load)
            worker.start()
            for _ in range(5):
                leader = cluster.wait_leader("broker-a")
                target = leader % 3 + 1
                cluster.transfer("broker-a", target)
                wait_for("the target to lead", lambda: cluster.leader("broker-a") == target)
                seen = counts[0]
                wait_for("requests under the new leader", lambda: counts[0] >= seen + 5)
            stop.set()
            worker.join()
            self.assertEqual(failures, [])
            self.assertGreater(counts[0], 20)
            with cluster.connect("broker-a") as connection:
                self.assertEqual(len(read_queue(connection, "T", 0)), counts[0])

    def test_a_minority_accepts_nothing(self):
        with Cluster(groups=1) as cluster:
            cluster.wait_ready()
            leader = cluster.wait_leader("broker-a")
            for node in cluster.nodes:
                if node != leader:
                    cluster.kill(node)
            with cluster.connect("broker-a", leader) as connection:
                started = time.monotonic()
                frame = connection.invoke(310, send_fields("T", 0, {}), b"x", expect=None)
                self.assertEqual(frame.code, 14)
                self.assertLess(time.monotonic() - started, 2.9)  # A client's own timeout is 3 s.
                # Whether the topic exists, only a leader could say.
                self.assertEqual(pull(connection, "T", 0, 0).code, 14)

    def test_the_nameserver_follows_the_leader(self):
        with Cluster(groups=2, nameservers=2) as cluster:
            cluster.wait_ready()
            for _ in range(2):
                leader = cluster.wait_leader("broker-a")
                cluster.kill(leader)
                following = cluster.wait_leader("broker-a", other_than=leader)
                for number in range(2):
                    wait_for(
                        "the route to name the new leader",
                        lambda n=number, f=following: cluster.routed_leader("broker-a", n)
                        == cluster.address(f, "broker-a"),
                    )
                cluster.start(leader)
                cluster.wait_ready()


if __name__ == "__main__":
    unittest.main()
