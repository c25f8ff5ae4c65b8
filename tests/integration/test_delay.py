"""Delayed messages under leaders that are killed: each once, none early, none lost.

RAFTMQ_DELAYED says how many (1000). Each leader leads for as long as a tenth of the whole takes.
"""

import collections
import os
import random
import threading
import time
import unittest

from cluster import Cluster, wait_for
from remoting import Connection, RemotingError, read_queue, send_fields

RATE = 170  # A second: ten thousand take a minute.
LATE_MS = 200
ELECTION_MS = 1500  # From a kill until what became due meanwhile is expected to have fired.


class Sender(threading.Thread):
    """Sends messages that are due at random times, through whichever replica takes them."""

    def __init__(self, cluster, count):
        super().__init__()
        self.cluster = cluster
        self.count = count
        self.random = random.Random(count)
        self.due = {}  # Of what was acknowledged, by body.
        self.doubtful = {}  # Of what may have been stored.
        self.connection = None

    def run(self):
        start = time.time()
        number = 0
        while len(self.due) < self.count:
            time.sleep(max(0.0, start + len(self.due) / RATE - time.time()))
            self.send(f"d{number}".encode())
            number += 1
        self.disconnect()

    def send(self, body):
        due = int(time.time() * 1000) + self.random.randrange(500, 10000)
        try:
            if self.connection is None:
                self.connection = self.connect()
            self.connection.invoke(310, send_fields("Later", 0, {"TIMER_DELIVER_MS": due}), body)
            self.due[body] = due
        except RemotingError:
            self.doubtful[body] = due
        except OSError:
            self.doubtful[body] = due
            self.disconnect()

    def disconnect(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def connect(self):
        running = [node for node in self.cluster.nodes if self.cluster.running(node)]
        return Connection(self.cluster.address(self.random.choice(running), "broker-a"))


def waiting(cluster):
    leader = cluster.leader("broker-a")
    status = leader and cluster.status(leader, "broker-a")
    return status["counters"]["delayedWaiting"] if status else None


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(len(values) * part))] if values else 0


class Delay(unittest.TestCase):
    def test_each_fires_once_whoever_leads(self):
        count = int(os.environ.get("RAFTMQ_DELAYED", "1000"))
        period = count / RATE / 6
        kills = []
        with Cluster(groups=1) as cluster:
            cluster.wait_ready()
            sender = Sender(cluster, count)
            sender.start()
            while sender.is_alive():
                sender.join(period)
                leader = cluster.wait_leader("broker-a")
                kills.append(int(time.time() * 1000))
                cluster.kill(leader)
                cluster.wait_leader("broker-a", other_than=leader)
                cluster.start(leader)
            wait_for("all to have fired", lambda: waiting(cluster) == 0, 60)
            with cluster.connect("broker-a") as connection:
                found = read_queue(connection, "Later", 0)
        self.check(sender, found, kills)

    def check(self, sender, found, kills):
        times = collections.Counter(m.body for m in found)
        self.assertEqual([body for body in sender.due if times[body] != 1], [])
        self.assertEqual([body for body, n in times.items() if n != 1], [])
        late = {"quiet": [], "election": []}
        for message in found:
            due = sender.due.get(message.body) or sender.doubtful[message.body]
            self.assertGreaterEqual(message.store_ms, due)
            disturbed = any(at - LATE_MS <= due <= at + ELECTION_MS for at in kills)
            late["election" if disturbed else "quiet"].append(message.store_ms - due)
        print(f"\n  {len(found)} delayed messages, {len(kills)} leaders killed, "
              f"{len(sender.doubtful)} sends of unknown outcome; late by p50 "
              f"{percentile(late['quiet'], 0.5)}, p99 {percentile(late['quiet'], 0.99)} ms, after a "
              f"kill by p50 {percentile(late['election'], 0.5)}, at most "
              f"{max(late['election'], default=0)} ms")
        self.assertGreater(len(late["quiet"]), len(found) // 4)
        self.assertLessEqual(percentile(late["quiet"], 0.9), LATE_MS)


if __name__ == "__main__":
    unittest.main()
