"""Nodes that come and go while the cluster serves: add, promote, remove, replace, drain."""

import json
import random
import shutil
import threading
import unittest

from cluster import Cluster, wait_for
from remoting import read_queue, send_fields
from test_copies import Load, data


def membership(cluster, group="broker-a"):
    """{node: voter or standby} as the group's leader says; without those that are none."""
    leader = cluster.wait_leader(group)
    status = cluster.status(leader, group)
    return {m["id"]: m["membership"] for m in status["members"] if m["membership"] != "none"}


class Members(unittest.TestCase):
    def check_load(self, cluster, load):
        with cluster.connect("broker-a") as connection:
            bodies = [m.body for m in read_queue(connection, "Load", 0)]
        self.assertEqual(set(load.sent) - set(bodies), set())

    def test_a_node_is_added_under_load_and_then_counts(self):
        with Cluster(groups=2) as cluster:
            cluster.wait_ready()
            with Load(cluster) as load:
                node = cluster.add_node()
                wait_for("the new node to be heard of", lambda: cluster.status(node, "broker-b"))
                out = cluster.cli("node", "add", str(node))
                self.assertIn(f"broker-a has node {node} as voter", out)
                for group in cluster.group_names:
                    self.assertEqual(membership(cluster, group),
                                     {1: "voter", 2: "voter", 3: "voter", node: "voter"})
                rows = json.loads(cluster.cli("node", "list", "-o", "json"))
                self.assertEqual(len(rows), 2 * 4)
                # Four voters: any three of them are a majority.
                leader = cluster.wait_leader("broker-a")
                cluster.kill(next(n for n in cluster.nodes if n not in (leader, node)))
                before = len(load.sent)
                wait_for("more load", lambda: len(load.sent) > before + 100)
            self.check_load(cluster, load)

    def test_who_waits_to_be_added_is_not_told_that_it_was_removed(self):
        with Cluster(groups=1) as cluster:
            cluster.wait_ready()
            nodes = [cluster.add_node(), cluster.add_node()]
            for node in nodes:
                wait_for("it to be heard of", lambda: cluster.status(node, "broker-a"))
            for node in nodes:
                cluster.cli_when_well("node", "add", str(node))
            second = nodes[1]
            self.assertNotIn("was removed", cluster.log(second))
            self.assertFalse(cluster.status(second, "broker-a")["removed"])
            cluster.transfer("broker-a", second)
            wait_for("nameservers to know it",
                     lambda: cluster.routed_leader("broker-a") == cluster.address(
                         second, "broker-a"))

    def test_the_leader_itself_is_removed_and_told_so(self):
        with Cluster(groups=1) as cluster:
            cluster.wait_ready()
            with Load(cluster) as load:
                leader = cluster.wait_leader("broker-a")
                cluster.cli_when_well("node", "remove", str(leader))
                members = membership(cluster)
                self.assertEqual(len(members), 2)
                self.assertNotIn(leader, members)
                self.assertNotEqual(cluster.wait_leader("broker-a"), leader)
                before = len(load.sent)
                wait_for("more load", lambda: len(load.sent) > before + 100)
            cluster.stop(leader)
            self.check_load(cluster, load)

    def test_a_node_is_replaced_by_another_one(self):
        with Cluster(groups=2) as cluster:
            cluster.wait_ready()
            with Load(cluster) as load:
                cluster.kill(3)
                node = cluster.add_node()
                cluster.cli("node", "replace", "3", str(node), "--within", "60")
                for group in cluster.group_names:
                    self.assertEqual(membership(cluster, group),
                                     {1: "voter", 2: "voter", node: "voter"})
                # The dead one comes back, learns that it is none any more, and disturbs nobody.
                cluster.start(3)
                wait_for("it to hear that it was removed",
                         lambda: "this replica was removed" in cluster.log(3))
                before = len(load.sent)
                wait_for("more load", lambda: len(load.sent) > before + 100)
            self.check_load(cluster, load)

    def test_what_would_end_the_majority_is_refused(self):
        with Cluster(groups=1) as cluster:
            cluster.wait_ready()
            leader = cluster.wait_leader("broker-a")
            others = [n for n in cluster.nodes if n != leader]
            cluster.kill(others[0])
            wait_for("the loss to be noticed", lambda: not next(
                m for m in cluster.status(leader, "broker-a")["members"]
                if m["id"] == others[0])["connected"])
            out = cluster.cli("node", "remove", str(others[1]), expect=1)
            self.assertIn("voters that would be left are well", out)
            out = cluster.cli("node", "drain", str(others[1]), expect=1)
            self.assertIn("cannot be spared", out)
            self.assertIn("no server of that id", cluster.cli("node", "add", "77", expect=3))
            self.assertEqual(len(membership(cluster)), 3)
            # The dead one can be spared, of course.
            cluster.cli_when_well("node", "remove", str(others[0]))
            self.assertEqual(len(membership(cluster)), 2)

    def test_a_drained_node_leads_nothing_until_it_may_again(self):
        with Cluster(groups=3) as cluster:
            cluster.wait_ready()
            cluster.cli("node", "drain", "1", "--wait")
            # It may be elected where another falls silent, and hands leadership on then.
            wait_for("it to lead nothing",
                     lambda: 1 not in [cluster.wait_leader(g) for g in cluster.group_names])
            with cluster.connect("broker-a") as connection:
                connection.send(send_fields("T", 0, {}), b"drained")
            cluster.cli("node", "drain", "1", "--undo")
            wait_for("leadership to go back", lambda: cluster.leader("broker-a") == 1)

    def test_a_lost_majority_is_given_up_only_when_told_to(self):
        with Cluster(groups=1) as cluster:
            cluster.wait_ready()
            with cluster.connect("broker-a") as connection:
                for i in range(20):
                    connection.invoke(310, send_fields("Load", 0, {}), b"kept-%d" % i)
                half = {"TRAN_MSG": "true", "PGROUP": "P", "UNIQ_KEY": "open-one"}
                connection.invoke(310, send_fields("Load", 0, half), b"half")
            wait_for("all replicas to have it", lambda: len({
                cluster.status(n, "broker-a")["appliedIndex"] for n in cluster.nodes}) == 1)
            out = cluster.cli("group", "unsafe-recover", "broker-a", expect=1)
            self.assertIn("has a leader", out)
            cluster.kill(1)
            cluster.kill(2)
            wait_for("leadership to end",
                     lambda: cluster.status(3, "broker-a")["leaderId"] == 0)
            out = cluster.cli("group", "unsafe-recover", "broker-a", expect=1)
            self.assertIn("Node 3 would become its only member", out)
            self.assertIn("open-one", out)
            self.assertIn("nothing was changed", out)
            self.assertIsNone(cluster.leader("broker-a"))
            cluster.cli("group", "unsafe-recover", "broker-a", "--yes-lose-data")
            self.assertEqual(membership(cluster), {3: "voter"})
            with cluster.connect("broker-a") as connection:
                self.assertEqual(len(read_queue(connection, "Load", 0)), 20)
                connection.send(send_fields("Load", 0, {}), b"after")
            # The others come back with empty disks and are added again.
            for node in (1, 2):
                shutil.rmtree(data(cluster, node))
                cluster.start(node)
                cluster.cli("node", "add", str(node))
            self.assertEqual(len(membership(cluster)), 3)
            cluster.kill(3)
            cluster.wait_leader("broker-a", other_than=3)
            with cluster.connect("broker-a") as connection:
                self.assertEqual(len(read_queue(connection, "Load", 0)), 21)

    def test_changes_under_kills_end_as_asked_and_lose_nothing(self):
        chance = random.Random(7)
        with Cluster(groups=1, settings={"leaderBalanceDelayMs": 0}) as cluster:
            cluster.wait_ready()
            with Load(cluster) as load:
                node = cluster.add_node()
                for _ in range(3):
                    for verb in ("add", "remove"):
                        self.change_under_kills(cluster, verb, node, chance)
                        self.assertEqual(node in membership(cluster), verb == "add")
            self.check_load(cluster, load)

    @staticmethod
    def change_under_kills(cluster, verb, node, chance):
        """One kill -9 of any node while the change is under way; it is asked for until done."""
        def kill():
            victim = chance.choice(cluster.nodes)
            cluster.kill(victim)
            cluster.start(victim)

        timer = threading.Timer(chance.uniform(0.0, 0.5), kill)
        timer.start()

        def done():
            return "took too long" not in cluster.cli(
                "node", verb, str(node), "--within", "20", expect=None) and (
                    (node in membership(cluster)) == (verb == "add"))

        wait_for(f"node {verb}", done, 90)
        timer.join()


if __name__ == "__main__":
    unittest.main()
