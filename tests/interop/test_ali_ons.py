"""The ali-ons client for Node.js, unmodified."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "integration"))

from agent import ali_ons, ali_ons_built  # noqa: E402
from cluster import Cluster, wait_for  # noqa: E402


@unittest.skipUnless(ali_ons_built(), "Node.js or ali-ons could not be had")
class AliOns(unittest.TestCase):
    def test_send_and_consume(self):
        with Cluster() as cluster:
            cluster.wait_ready()
            cluster.create_topic("Orders")  # ali-ons does not fall back to TBW102.
            with ali_ons(cluster) as client:
                client("producer", "P")
                for i in range(12):
                    answer = client("send", "Orders", "even" if i % 2 == 0 else "odd", f"k{i}")
                    self.assertTrue(answer.startswith("SEND_OK"), answer)
                client("consumer", "AllOrders", "Orders", "*")
                wait_for("12 messages", lambda: client("total") == "12 12", 60)
                client("consumer", "OddOrders", "Orders", "odd")
                wait_for("6 more by tag", lambda: client("total") == "18 12", 60)
                client("send", "Orders", "odd", "late")
                wait_for("a message into a long poll", lambda: client.seen("late") == 2, 20)

    def test_send_after_the_leader_was_killed(self):
        with Cluster() as cluster:
            cluster.wait_ready()
            cluster.create_topic("Orders")  # ali-ons does not fall back to TBW102.
            with ali_ons(cluster) as client:
                client("producer", "P")
                client("send", "Orders", "t", "before")
                cluster.kill(1)
                cluster.wait_leader("broker-a", other_than=1)
                for i in range(6):
                    self.assertTrue(client("send", "Orders", "t", f"after{i}").startswith("SEND_OK"))


if __name__ == "__main__":
    unittest.main()
