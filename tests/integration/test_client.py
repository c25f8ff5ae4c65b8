"""libraftmq's consumers in processes of their own (member.c), against a cluster whose leader dies."""

import collections
import json
import os
import shutil
import subprocess
import tempfile
import threading
import unittest

from cluster import BINARIES, NotInTime, wait_for
from one_cluster import OneCluster
from remoting import send_fields

SEND = 310
QUERY_OFFSET = 14
LEASE_S = 60  # lockMaxLiveTime
QUEUES = 4
MEMBER = os.path.join(BINARIES, "..", "tests", "client_member")

Event = collections.namedtuple("Event", "what ns broker queue offset times body")


class Member:
    """One process; what it prints is gathered as it comes."""

    def __init__(self, cluster, how, group, topic, *more):
        self.lines = []
        self.process = subprocess.Popen(
            [MEMBER, cluster.namesrv, how, group, topic, *more], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def events(self):
        found = []
        for line in list(self.lines):
            what, ns, broker, queue, offset, times, body = line.split(" ", 6)
            found.append(Event(what, int(ns), broker, int(queue), int(offset), int(times), body))
        return found

    def bodies(self, what="done"):
        return [event.body for event in self.events() if event.what == what]

    def say(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def stop(self):
        """An orderly end: it gives back what it holds."""
        if self.process.stdin:
            self.process.stdin.close()
            self.process.stdin = None
        status = self.process.wait(timeout=30)
        self.reader.join()
        self.process.stdout.close()
        return status


class Client(OneCluster):
    options = {"groups": 1}

    def setUp(self):
        self.members = []

    def tearDown(self):
        for member in self.members:
            self.assertEqual(member.stop(), 0)

    def start(self, how, group, topic, *more):
        self.members.append(Member(self.cluster, how, group, topic, *more))
        return self.members[-1]

    def send(self, topic, bodies):
        """To the queues in turn."""
        with self.cluster.connect("broker-a") as connection:
            for number, body in enumerate(bodies):
                connection.invoke(SEND, send_fields(topic, number % QUEUES, {}), body.encode())

    def offsets(self, group, topic):
        """The group's in each queue; 0 where it has none."""
        found = []
        with self.cluster.connect("broker-a") as connection:
            for queue in range(QUEUES):
                frame = connection.invoke(QUERY_OFFSET, {
                    "consumerGroup": group, "topic": topic, "queueId": str(queue),
                    "setZeroIfNotFound": "false"}, expect=None)
                found.append(int(frame.fields["offset"]) if frame.code == 0 else 0)
        return found

    def committed(self, group, topic):
        return sum(self.offsets(group, topic))

    def done(self):
        """How many different messages of the topic were done, by all members."""
        return len({(event.queue, event.offset) for member in self.members
                    for event in member.events() if event.what == "done"})

    def test_order_is_kept_over_members_and_leaders(self):
        self.cluster.create_topic("Steps", queues=QUEUES)
        count = 1200
        self.send("Steps", [f"{'once' if n % 97 == 0 else 'step'} {n}" for n in range(count)])
        self.start("orderly", "Walk", "Steps")
        wait_for("the first member to begin", lambda: self.done() > 50)
        self.start("orderly", "Walk", "Steps")
        wait_for("the second one to get its share", lambda: self.members[1].bodies())
        before = self.done()
        leader = self.cluster.wait_leader("broker-a")
        self.cluster.kill(leader)
        self.cluster.wait_leader("broker-a", other_than=leader)
        self.cluster.start(leader)
        wait_for("some more under the new leader", lambda: self.done() > before + 200)
        self.start("orderly", "Walk", "Steps")
        self.assertEqual(self.members[0].stop(), 0)
        wait_for("the third one to get its share", lambda: self.members[2].bodies())
        # Where the word of a member that left was lost with a leader, its locks end by themselves.
        wait_for("all to be done", lambda: self.done() == count, LEASE_S + 30)
        try:
            wait_for("the offsets", lambda: self.committed("Walk", "Steps") == count, LEASE_S + 30)
        except NotInTime:
            self.fail(f"the group's offsets are {self.offsets('Walk', 'Steps')}")
        self.assert_in_order()
        self.assertEqual({b for m in self.members for b in m.bodies("failed")},
                         {f"once {n}" for n in range(0, count, 97)})

    def assert_in_order(self):
        queues = collections.defaultdict(list)
        for number, member in enumerate(self.members):
            for event in member.events():
                queues[event.queue].append((event.ns, number, event))
        for events in queues.values():
            running = None
            expected = 0
            for _, number, event in sorted(events):
                if event.what == "begin":
                    self.assertIsNone(running, "two at once")
                    self.assertLessEqual(event.offset, expected, "one was passed over")
                    running = (number, event.offset)
                else:
                    self.assertEqual(running, (number, event.offset))
                    running = None
                    if event.what == "done":
                        expected = max(expected, event.offset + 1)

    def test_broadcasting_members_get_all_and_go_on_where_they_were(self):
        self.cluster.create_topic("News", queues=QUEUES)
        directories = [tempfile.mkdtemp(prefix="raftmq-test-") for _ in range(2)]
        try:
            first = [f"news {n}" for n in range(40)]
            then = [f"more {n}" for n in range(20)]
            self.send("News", first)
            members = [self.start("broadcasting", "Press", "News", path) for path in directories]
            for member in members:
                wait_for("all news", lambda m=member: sorted(m.bodies()) == sorted(first))
            self.assertEqual(members[0].stop(), 0)
            self.send("News", then)
            again = self.start("broadcasting", "Press", "News", directories[0])
            wait_for("what came since", lambda: sorted(again.bodies()) == sorted(then))
            wait_for("the same here", lambda: len(members[1].bodies()) == len(first + then))
            self.assertEqual(self.committed("Press", "News"), 0)
        finally:
            for member in self.members:
                member.stop()
            for path in directories:
                shutil.rmtree(path)

    def test_what_fails_comes_again_and_then_is_a_dead_letter(self):
        self.cluster.create_topic("Chores", queues=QUEUES)
        self.send("Chores", ["good", "once a", "bad b", "good too"])
        member = self.start("concurrent", "Work", "Chores")
        wait_for("the retries", lambda: sorted(member.bodies()) == ["good", "good too", "once a"]
                 and len(member.bodies("failed")) == 3)

        def letters():
            said = self.cluster.cli("dlq", "show", "Work", "-o", "json")
            return json.loads(said)

        self.assertEqual([row["body"] for row in wait_for("the dead letter", letters)], ["bad b"])
        self.assertEqual(letters()[0]["delivered"], 2)
        self.cluster.cli("dlq", "replay", "Work", "--all")
        wait_for("it to come, and with its retry before it", lambda:
                 [e.times for e in member.events() if e.what == "failed" and e.body == "bad b"]
                 == [0, 1, 0, 1])

    def test_a_running_group_goes_on_where_it_is_reset_to(self):
        self.cluster.create_topic("Days", queues=QUEUES)
        days = [f"day {n}" for n in range(40)]
        self.send("Days", days)
        for how in ("concurrent", "orderly"):
            member = self.start(how, f"Diary-{how}", "Days")
            wait_for("all days", lambda m=member: len(m.bodies()) == len(days))
            wait_for("their offsets", lambda h=how: self.committed(f"Diary-{h}", "Days") == 40)
            self.cluster.cli("offset", "reset", "-g", f"Diary-{how}", "-T", "Days", "--earliest")
            wait_for("all days again",
                     lambda m=member: sorted(m.bodies()) == sorted(2 * days))
            wait_for("their offsets", lambda h=how: self.committed(f"Diary-{h}", "Days") == 40)

    def test_requests_are_answered(self):
        self.cluster.create_topic("Ask", queues=QUEUES)
        self.start("answering", "Help", "Ask")
        asking = self.start("asking", "-", "Ask")
        texts = [f"what is {n}" for n in range(20)]
        for text in texts:
            asking.say(text)
        wait_for("all replies", lambda: len(asking.lines) == len(texts))
        self.assertEqual(asking.lines, [f"re: {text}" for text in texts])


if __name__ == "__main__":
    unittest.main()
