"""RocketMQ's Java client of the 5.x line, unmodified, told by the broker what to consume and how."""

import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "integration"))

from agent import java, java_built  # noqa: E402
from cluster import Cluster, wait_for  # noqa: E402
from features import shows  # noqa: E402


class JavaPop:
    """Mixed into a test case of one version."""

    version = ""

    @property
    def client_name(self):
        return f"Java {self.version}"

    @classmethod
    def setUpClass(cls):
        if not java_built(cls.version):
            raise unittest.SkipTest(f"Java or rocketmq-client {cls.version} could not be had")

    @shows("pop")
    def test_popping_and_pulling_as_the_broker_says(self):
        with Cluster() as cluster:
            cluster.wait_ready()
            cluster.create_topic("Pops")
            with java(self.version, cluster) as client:
                self.mode(cluster, client, "Popping", "POP")
                self.mode(cluster, client, "Pulling", "PULL")
                client("producer", "P")
                for i in range(30):
                    client("send", "Pops", "t", f"k{i}")
                client("send", "Pops", "bad", "bad")
                client("popper", "Popping", "Pops")
                client("popper", "Popping", "Pops")  # Both pop at every broker.
                wait_for("all, and one that failed", lambda: client("poptotal") == "31", 30)
                self.expect_popped(client, [f"k{i}" for i in range(30)])
                client("popper", "Pulling", "Pops")
                wait_for("all once more, pulled",
                         lambda: all("pulled" in client("popped", f"k{i}") for i in range(30)))
                self.failed_over(cluster, client)
                wait_for("the one that failed", lambda: self.times(client, "bad") == [0, 1], 20)
                wait_for("nothing left", lambda: self.left(cluster, client) == {"0"}, 30)

    def failed_over(self, cluster, client):
        """The leader of whichever group has what is held is killed before it is acknowledged. One
        that failed waits for its time meanwhile."""
        client("send", "Pops", "hold", "held")
        wait_for("one that is held", lambda: "popped" in client("popped", "held"))
        group = re.search(r"at (broker-\w)", client("popped", "held")).group(1)
        cluster.kill(cluster.leader(group))
        client("poprelease")  # Too late for the one that is dead, or for the invisible time.
        wait_for("it again", lambda: len(self.times(client, "held")) >= 2, 30)
        self.assertEqual(self.times(client, "held")[:2], [0, 1])

    def expect_popped(self, client, keys):
        for key in keys:
            self.assertRegex(client("popped", key), r"^Pops:0:popped at broker-\w$", key)

    @staticmethod
    def times(client, key):
        """How often each delivery by popping was tried before."""
        return [int(n) for n in re.findall(r"Pops:(\d+):popped", client("popped", key))]

    @staticmethod
    def mode(cluster, client, group, mode):
        client.mqadmin("updateSubGroup", "-c", "TestCluster", "-g", group, "-n", cluster.namesrv)
        said = client.mqadmin("setConsumeMode", "-c", "TestCluster", "-t", "Pops", "-g", group,
                              "-m", mode, "-n", cluster.namesrv)
        assert said.count("success") == 3, said

    @staticmethod
    def left(cluster, client):
        """How far the group is behind in its queues, and what it has in flight."""
        said = client.mqadmin("consumerProgress", "-g", "Popping", "-n", cluster.namesrv)
        rows = re.findall(r"(?m)^Pops +broker-\w +\d+ +\d+ +\d+ +(\d+) +(\d+)", said)
        return {number for row in rows for number in row}


class JavaPop533(JavaPop, unittest.TestCase):
    version = "5.3.3"


class JavaPop550(JavaPop, unittest.TestCase):
    version = "5.5.0"


if __name__ == "__main__":
    unittest.main()
