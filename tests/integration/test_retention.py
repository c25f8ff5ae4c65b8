"""Retention with real processes: old messages go, on every replica the same, and stay gone."""

import os
import unittest

from cluster import Cluster, wait_for
from remoting import pull, send_fields

MIB = 1024 * 1024
SEGMENT = 64 * MIB
BODY = bytes(MIB)


def fill(cluster, count):
    with cluster.connect("broker-a") as connection:
        for _ in range(count):
            connection.send(send_fields("T", 0, {}), BODY)


class Retention(unittest.TestCase):
    def log_size(self, cluster, node):
        """Bytes on disk: two segments that stay, the reserve, and some in hand."""
        place = os.path.join(cluster.directory, f"node-{node}", "broker-a", "log")
        return sum(os.path.getsize(os.path.join(place, name)) for name in os.listdir(place))

    def first_offsets(self, cluster):
        """Of queue 0 on each replica; None for one that does not serve (yet)."""
        offsets = []
        for node in cluster.nodes:
            try:
                with cluster.connect("broker-a", node) as connection:
                    fields = pull(connection, "T", 0, 0).fields
                    offsets.append(int(fields["minOffset"]) if "minOffset" in fields else None)
            except OSError:
                offsets.append(None)
        return offsets

    def test_the_front_of_the_log_goes_on_all_replicas_and_stays_gone(self):
        settings = {"logSizeMax": 2 * SEGMENT, "checkpointIntervalMs": 200}
        with Cluster(groups=1, settings=settings) as cluster:
            cluster.wait_ready()
            fill(cluster, 5 * 62)

            def cut():
                statuses = [cluster.status(node, "broker-a") for node in cluster.nodes]
                return all(s and s["messagesFirstPosition"] >= 2 * SEGMENT for s in statuses)

            wait_for("messages to go on all replicas", cut)

            def dropped():
                statuses = [cluster.status(node, "broker-a") for node in cluster.nodes]
                return all(s and s["logFirstPosition"] >= 2 * SEGMENT for s in statuses)

            wait_for("their segments to leave the disk", dropped)
            wait_for("no more than stays to be there", lambda: all(
                self.log_size(cluster, node) <= 6 * SEGMENT + MIB for node in cluster.nodes))
            first = self.first_offsets(cluster)
            self.assertEqual(len(set(first)), 1)
            self.assertGreater(first[0], 100)
            with cluster.connect("broker-a") as connection:
                answer = pull(connection, "T", 0, 0)
                self.assertEqual(answer.code, 21)
                self.assertEqual(int(answer.fields["nextBeginOffset"]), first[0])
                self.assertEqual(pull(connection, "T", 0, first[0]).code, 0)
            for node in cluster.nodes:
                cluster.kill(node)
            for node in cluster.nodes:
                cluster.start(node)
            cluster.wait_leader("broker-a")
            wait_for("all replicas to say the same again",
                     lambda: self.first_offsets(cluster) == first)


if __name__ == "__main__":
    unittest.main()
