"""Clients of which only the core is asked for: two for Node.js."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "integration"))

from agent import node, node_built  # noqa: E402
from cluster import Cluster  # noqa: E402
from core import Core  # noqa: E402


@unittest.skipUnless(node_built("ali-ons"), "Node.js or ali-ons could not be had")
class AliOns(Core, unittest.TestCase):
    client_name = "ali-ons"

    def client(self, cluster, name):
        return node("ali-ons", cluster, name)

    def test_send_after_the_leader_was_killed(self):
        with Cluster() as cluster:
            cluster.wait_ready()
            cluster.create_topic("Orders")
            with self.client(cluster, "one") as client:
                client("producer", "P")
                client("send", "Orders", "t", "before")
                cluster.kill(1)
                cluster.wait_leader("broker-a", other_than=1)
                for i in range(6):
                    self.assertTrue(client("send", "Orders", "t", f"after{i}").startswith("SEND_OK"))


@unittest.skipUnless(node_built("rocketmq"), "Node.js or rocketmq could not be had")
class Rocketmq(Core, unittest.TestCase):
    client_name = "rocketmq"

    def client(self, cluster, name):
        return node("rocketmq", cluster, name)


if __name__ == "__main__":
    unittest.main()
