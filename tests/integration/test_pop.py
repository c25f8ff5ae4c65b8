"""libraftmq's simple consumer, and `raftmq message pop` and `ack`, against a cluster of three groups
whose leaders die between a pop and its acknowledgement."""

import json
import unittest

from cluster import NotInTime, wait_for
from one_cluster import OneCluster
from remoting import send_fields
from test_client import Member

SEND = 310
QUEUES = 4
FAILED = 1
NOT_FOUND = 3
HIDDEN_MS = 4000
LONG_MS = 120000
COUNT = 600


class Pop(OneCluster):
    def send(self, topic, bodies):
        """To all queues of all groups in turn."""
        names = self.cluster.group_names
        for place, group in enumerate(names):
            with self.cluster.connect(group) as connection:
                for number, body in enumerate(bodies[place::len(names)]):
                    connection.invoke(SEND, send_fields(topic, number % QUEUES, {}), body.encode())

    def pop(self, topic, group, *more):
        return json.loads(self.cluster.cli("message", "pop", topic, group, "-o", "json", *more))

    def pop_all(self, topic, group, hidden_ms):
        """Until there are none."""
        found = []
        while True:
            rows = self.pop(topic, group, "--invisible-ms", str(hidden_ms))
            if not rows:
                return found
            found += rows

    def ack(self, topic, group, handles, expect=0):
        said = self.cluster.cli("message", "ack", topic, group, *handles, "-o", "json",
                                expect=expect)
        return json.loads(said)

    def lag(self, group):
        """Of all queues: what was not popped, or was and is not acknowledged."""
        said = self.cluster.cli("group", "describe", group, "-o", "json")
        return json.loads(said)["lag"]

    def test_by_command_line(self):
        self.cluster.create_topic("Notes", queues=QUEUES)
        bodies = [f"note {n}" for n in range(24)]
        self.send("Notes", bodies)
        rows = self.pop_all("Notes", "Read", HIDDEN_MS)
        self.assertEqual(sorted(row["body"] for row in rows), sorted(bodies))
        self.assertEqual({row["attempt"] for row in rows}, {1})
        self.assertEqual({row["broker"] for row in rows}, set(self.cluster.group_names))
        done, left = rows[:20], rows[20:]
        handles = [row["handle"] for row in done]
        self.assertEqual(self.ack("Notes", "Read", handles), {"acknowledged": 20, "over": 0})
        self.assertEqual(self.ack("Notes", "Read", handles[:3], expect=FAILED),
                         {"acknowledged": 0, "over": 3})
        self.assertEqual(self.lag("Read"), 4)
        again = []
        while len(again) < len(left):  # Each waits for what is hidden to be visible again.
            found = self.pop("Notes", "Read", "--wait-ms", "20000", "--invisible-ms", str(LONG_MS))
            self.assertTrue(found)
            again += found
        self.assertEqual(sorted(row["body"] for row in again), sorted(row["body"] for row in left))
        self.assertEqual({row["attempt"] for row in again}, {2})
        self.ack("Notes", "Read", [left[0]["handle"]], expect=FAILED)  # Of the first delivery.
        self.ack("Notes", "Read", [row["handle"] for row in again])
        self.assertEqual(self.lag("Read"), 0)
        self.send("Notes", ["one more"])
        self.assertEqual([row["body"] for row in
                          self.pop("Notes", "Read", "--wait-ms", "20000", "--ack")], ["one more"])
        self.assertEqual(self.lag("Read"), 0)
        self.cluster.cli("message", "pop", "Nowhere", "Read", expect=NOT_FOUND)

    def test_handles_are_good_at_the_next_leader(self):
        self.cluster.create_topic("Orders", queues=QUEUES)
        self.send("Orders", [f"order {n}" for n in range(60)])
        rows = self.pop_all("Orders", "Ship", LONG_MS)
        self.assertEqual(len(rows), 60)
        leader = self.cluster.wait_leader("broker-b")
        self.cluster.kill(leader)
        try:
            self.cluster.wait_leader("broker-b", other_than=leader)
            self.assertEqual(
                self.ack("Orders", "Ship", [row["handle"] for row in rows]),
                {"acknowledged": 60, "over": 0})
            self.assertEqual(self.pop("Orders", "Ship"), [])
        finally:
            self.cluster.start(leader)
        self.cluster.wait_ready()
        self.assertEqual(self.lag("Ship"), 0)

    def test_nothing_is_lost_or_stuck_while_leaders_die(self):
        self.cluster.create_topic("Steps", queues=QUEUES)
        bodies = [f"{'once' if n % 50 == 0 else 'step'} {n}" for n in range(COUNT)]
        members = [Member(self.cluster, "popping", "Walk", "Steps") for _ in range(2)]
        try:
            self.send("Steps", bodies[:COUNT // 2])
            wait_for("some to be done", lambda: self.done(members) > 20)
            for group in ("broker-a", "broker-c"):
                leader = self.cluster.wait_leader(group)
                before = self.done(members)
                self.cluster.kill(leader)
                self.cluster.wait_leader(group, other_than=leader)
                self.cluster.start(leader)
                self.cluster.wait_ready(60)
                self.send("Steps", bodies[COUNT // 2:] if group == "broker-c" else ["extra"])
                wait_for("more to be done", lambda b=before: self.done(members) > b, 60)
            expected = sorted(bodies + ["extra"])

            def finished():
                return sorted(self.handled(members)) == expected and self.lag("Walk") == 0

            try:
                wait_for("all to be done", finished, 90)
            except NotInTime:
                missing = set(expected) - self.handled(members)
                self.fail(f"lag {self.lag('Walk')}, missing {sorted(missing)[:10]}")
            self.assertEqual({b for m in members for b in m.bodies("failed")},
                             {f"once {n}" for n in range(0, COUNT, 50)})
        finally:
            for member in members:
                self.assertEqual(member.stop(), 0)

    @staticmethod
    def handled(members):
        """Done, or told that another delivery or an answer that was lost had done it."""
        return {body for member in members for what in ("done", "over")
                for body in member.bodies(what)}

    @staticmethod
    def done(members):
        return sum(len(member.bodies()) for member in members)


if __name__ == "__main__":
    unittest.main()
