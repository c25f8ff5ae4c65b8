"""What RocketMQ's Java client can do beside the core (core.py), for one version after the other."""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "integration"))

from agent import AgentError, java, java_built  # noqa: E402
from cluster import Cluster, wait_for  # noqa: E402
from core import FAST_RETRIES, Core  # noqa: E402
from features import shows  # noqa: E402

# Shortened so that check-backs take seconds; the protocol is the same.
FAST_CHECKS = {
    "transactionTimeOut": 1000,
    "transactionCheckInterval": 1000,
    "transactionCheckMax": 5,
}


class JavaFeatures(Core):
    """Mixed into a test case of one version."""

    version = ""
    late_max_ms = 1500  # Machine, Java and long polls of a test included.

    @classmethod
    def setUpClass(cls):
        if not java_built(cls.version):
            raise unittest.SkipTest(f"Java or rocketmq-client {cls.version} could not be had")

    @property
    def client_name(self):
        return f"Java {self.version}"

    def client(self, cluster, name):
        return java(self.version, cluster, name=name)

    @shows("sql")
    def test_consumers_by_sql(self):
        with Cluster() as cluster:
            cluster.wait_ready()
            with java(self.version, cluster) as client:
                client("producer", "P")
                for i in range(30):
                    region = "eu" if i % 2 == 0 else "us"
                    client("send", "Orders", "t", f"k{i}", f"n={i}", f"region={region}")
                wanted = [f"k{i}" for i in range(10, 20, 2)]
                client("sqlconsumer", "Pushed", "Orders", "n BETWEEN 10 AND 19 AND region = 'eu'")
                wait_for("those that pass", lambda: client("total") == "5 5")
                client("sqlpuller", "Pulled", "Orders", "NOT (n < 10 OR n >= 20) AND region='eu'")
                wait_for("the same again", lambda: client("total") == "10 5")
                self.assertEqual([client.seen(key) for key in wanted], [2] * 5)
                for region in ("us", "eu"):  # While both wait in a long poll.
                    client("send", "Orders", "t", region, "n=11", f"region={region}")
                wait_for("one that passes, into a long poll", lambda: client.seen("eu") == 2, 5)
                for group, broken in (("Broken", "n = "), ("Unordered", "n > 'x'")):
                    with self.assertRaisesRegex(AgentError, "CODE: 23 .*at byte"):
                        client("sqlconsumer", group, "Orders", broken)
                cluster.kill(cluster.wait_leader("broker-a"))
                cluster.wait_leader("broker-a")
                for i in range(12):  # To all groups, under whatever leader.
                    client("send", "Orders", "t", f"after{i}", "n=12", "region=eu")
                wait_for("all that came after the failover",
                         lambda: all(client.seen(f"after{i}") >= 2 for i in range(12)), 60)
                self.assertEqual(client.seen("us"), 0)

    @shows("transactions")
    def test_transactions(self):
        with Cluster(settings=FAST_CHECKS) as cluster:
            cluster.wait_ready()
            with java(self.version, cluster) as client:
                client("txproducer", "TP")
                ids = {}
                for key, decision in (("c", "commit"), ("r", "rollback"), ("u", "unknown")):
                    status, ids[key], *_ = client("half", "Pay", "t", key, decision).split()
                    self.assertEqual(status, "SEND_OK")
                client("consumer", "G", "Pay", "*")
                wait_for("the committed one", lambda: client.seen("c") == 1)
                self.assertIn(ids["c"], client("seen", "c"))  # Its transaction id is there.
                wait_for("two checks of the unknown one", lambda: int(client("checks", "u")) >= 2)
                self.assertEqual(client.seen("u"), 0)
                client("decide", "u", "commit")
                wait_for("the checked one", lambda: client.seen("u") == 1)
                self.assertIn(ids["u"], client("seen", "u"))
                time.sleep(1.5)  # Nothing more may come: a whole check interval without effect.
                self.assertEqual([client.seen(k) for k in ("c", "r", "u")], [1, 0, 1])

    @shows("orderly")
    def test_orderly_consumers_share_a_topic(self):
        """Each queue has one consumer at a time, also while one joins and one leaves."""
        with Cluster(groups=1) as cluster:
            cluster.wait_ready()
            cluster.create_topic("Orders")
            with java(self.version, cluster) as client:
                client("producer", "P")
                client("orderly", "one", "G", "Orders")
                client("load", "Orders", "200")
                wait_for("the first to consume", lambda: self.ordered(client) > 100)
                client("orderly", "two", "G", "Orders")
                before = self.ordered(client)
                wait_for("both to consume", lambda: self.ordered(client) > before + 400)
                client("orderlystop", "one")
                sent = int(client("loadstop").split()[0])
                wait_for("all of it in order", lambda: self.ordered(client) == sent, 90)

    @shows("request")
    def test_a_request_gets_its_reply(self):
        with Cluster() as cluster:
            cluster.wait_ready()
            cluster.create_topic("Asked")
            with java(self.version, cluster) as client:
                client("replier", "R", "Asked")
                client("asker", "A")
                wait_for("the first reply", lambda: self.asked(client, "first"), 30)
                for i in range(20):
                    self.assertEqual(client("request", "Asked", f"q{i}"), f"to q{i}")

    def asked(self, client, text):
        try:
            return client("request", "Asked", text) == f"to {text}"
        except AgentError:
            return False  # The consumer has no queues yet.

    def ordered(self, client):
        """How many messages were consumed, all of them in order."""
        count, gaps, overlaps, _ = client("orderlyseen").split()
        self.assertEqual((gaps, overlaps), ("0", "0"))
        return int(count)

    @shows("delay")
    def test_delayed_messages_arrive_on_time(self):
        delays = {"1": 1000, "2": 5000, "3": 10000}
        with Cluster() as cluster:
            cluster.wait_ready()
            with java(self.version, cluster) as client:
                # A consumer looks only every 20 s whether a topic has new queues.
                cluster.create_topic("Later")
                client("producer", "P")
                client("consumer", "G", "Later", "*")
                for level in delays:
                    client("later", "Later", f"level-{level}", "DELAY", level)
                client("later", "Later", "timer", "TIMER_DELAY_MS", 2500)
                delays["timer"] = 2500
                for name, delay_ms in delays.items():
                    key = name if name == "timer" else f"level-{name}"
                    wait_for(key, lambda key=key: client.seen(key) == 1)
                    took_ms = int(client("delay", key))
                    self.assertGreaterEqual(took_ms, delay_ms)
                    self.assertLess(took_ms, delay_ms + self.late_max_ms)
                with self.assertRaisesRegex(AgentError, "CODE: 13"):
                    client("later", "Later", "never", "TIMER_DELAY_SEC", 4 * 24 * 3600)
                self.assertEqual(client("total"), "4 4")

    @shows("dead letter")
    def test_what_is_tried_too_often_is_a_dead_letter(self):
        with Cluster(settings=FAST_RETRIES) as cluster:
            cluster.wait_ready()
            with java(self.version, cluster) as client:
                cluster.create_topic("Work")
                client("producer", "P")
                client("flaky", "G", "Work", 100, 2)
                client("send", "Work", "t", "poison")
                wait_for("three deliveries", lambda: client.seen("poison") == 3, 60)
                client("consumer", "Undertaker", "%DLQ%G", "*")
                wait_for("the dead letter", lambda: client.seen("poison") == 4, 60)
                self.assertEqual(client("attempts", "poison"), "Work:0 Work:1 Work:2 %DLQ%G:3")
                self.assertIn("body of poison", client("seen", "poison"))

    def delayed(self, cluster, count):
        """Wait until the leader of broker-a has so many messages that wait."""

        def known():
            leader = cluster.leader("broker-a")
            status = leader and cluster.status(leader, "broker-a")
            return status and status["counters"]["delayedWaiting"] == count

        wait_for(f"{count} delayed messages", known, 60)

    def pending(self, cluster, count):
        """Wait until the leader of broker-a knows of so many undecided transactions."""

        def known():
            leader = cluster.leader("broker-a")
            status = leader and cluster.status(leader, "broker-a")
            return status and status["counters"]["pending"] == count

        wait_for(f"{count} pending transactions", known, 60)


class JavaRecalls:
    """Mixed in where the version can take back what is delayed."""

    @shows("recall")
    def test_a_timer_message_is_recalled(self):
        with Cluster(groups=1, settings={"recallMessageEnable": "true"}) as cluster:
            cluster.wait_ready()
            with java(self.version, cluster) as client:
                cluster.create_topic("Later")
                client("producer", "P")
                client("consumer", "G", "Later", "*")
                _, message_id, *_ = client("later", "Later", "gone", "TIMER_DELAY_SEC", 5).split()
                client("later", "Later", "kept", "TIMER_DELAY_SEC", 5)
                self.delayed(cluster, 2)
                self.assertEqual(client("recall", "Later", "gone"), message_id)
                with self.assertRaisesRegex(AgentError, "CODE: 604"):
                    client("recall", "Later", "gone")
                wait_for("the other one", lambda: client.seen("kept") == 1)
                with self.assertRaisesRegex(AgentError, "CODE: 604"):
                    client("recall", "Later", "kept")
                self.assertEqual(client("total"), "1 1")
