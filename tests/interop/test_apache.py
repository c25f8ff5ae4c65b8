"""libraftmq and the command line against Apache RocketMQ's own nameserver and broker."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "integration"))

from apache import BROKER, Apache, is_built  # noqa: E402
from cluster import BINARIES, wait_for  # noqa: E402
from test_client import Member  # noqa: E402

REFUSED = 1
NOT_FOUND = 3
TRANSFERS = 200
TESTS = os.path.join(BINARIES, "..", "tests")


class ApacheRocketMQ:
    """One nameserver and one broker of each version below for all tests, which have topics of
    their own."""

    version = ""

    @classmethod
    def setUpClass(cls):
        if not is_built(cls.version):
            raise unittest.SkipTest(f"Java or Apache RocketMQ {cls.version} could not be had")
        cls.apache = Apache(cls.version)
        cls.apache.__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.apache.__exit__(None)

    def run_cli(self, *arguments, expect=0):
        done = subprocess.run(
            [os.path.join(BINARIES, "raftmq"), *arguments, "-n", self.apache.namesrv, "-o", "json"],
            capture_output=True, text=True, check=False, timeout=30)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        return json.loads(done.stdout) if expect == 0 and done.stdout else done.stderr

    def create_topic(self, topic, queues=4):
        self.run_cli("topic", "create", topic, "--queues", str(queues))
        wait_for(f"a route to {topic}", lambda: self.has_topic(topic))

    def has_topic(self, topic):
        return any(row["topic"] == topic and row["broker"] == BROKER
                   for row in self.run_cli("topic", "list"))

    def queues(self, topic):
        return self.run_cli("topic", "describe", topic)

    def test_the_library_does_what_its_header_says(self):
        done = subprocess.run([os.path.join(TESTS, "apache_client"), self.apache.namesrv],
                              capture_output=True, text=True, check=False, timeout=100)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_messages_by_command_line(self):
        self.create_topic("Orders")
        self.assertEqual([row["queue"] for row in self.queues("Orders")], [0, 1, 2, 3])
        sent = self.run_cli("message", "send", "Orders", "hello", "--tag", "new", "--keys", "k1")
        self.assertEqual(sent["broker"], BROKER)
        got = self.run_cli("message", "get", sent["offsetId"])
        self.assertEqual((got["body"], got["tag"], got["id"]), ("hello", "new", sent["id"]))

        def found(*what):
            try:
                return self.run_cli("message", "query", "Orders", *what)
            except AssertionError:  # The broker's index comes a little later.
                return None

        for what in (("k1",), (sent["id"], "--unique")):
            rows = wait_for("the message in the index", lambda: found(*what), 15)
            self.assertEqual([row["offsetId"] for row in rows], [sent["offsetId"]])
        self.assertEqual(self.stored("Orders"), 1)
        self.run_cli("topic", "delete", "Orders")
        self.assertFalse(self.has_topic("Orders"))
        self.run_cli("topic", "describe", "Orders", expect=NOT_FOUND)
        self.run_cli("group", "describe", "nobody", expect=NOT_FOUND)

    def test_messages_are_popped_and_acknowledged(self):
        self.create_topic("Notes")
        for number in range(3):
            self.run_cli("message", "send", "Notes", f"note {number}")
        if self.version.startswith("4"):
            self.assertIn("REQUEST_CODE_NOT_SUPPORTED",
                          self.run_cli("message", "pop", "Notes", "Read", expect=REFUSED))
            return
        rows = []
        while len(rows) < 3:
            found = self.run_cli("message", "pop", "Notes", "Read", "--wait-ms", "10000")
            self.assertTrue(found, rows)
            rows += found
        self.assertEqual(sorted(row["body"] for row in rows), ["note 0", "note 1", "note 2"])
        handles = [row["handle"] for row in rows]
        self.assertEqual(self.run_cli("message", "ack", "Notes", "Read", *handles),
                         {"acknowledged": 3, "over": 0})
        self.assertEqual(self.run_cli("message", "pop", "Notes", "Read"), [])

    def test_what_only_raftmq_has_is_refused_in_words(self):
        for command in (("txn", "list"), ("leader", "transfer", BROKER)):
            self.assertIn("REQUEST_CODE_NOT_SUPPORTED", self.run_cli(*command, expect=REFUSED))

    def test_bench_sends_commits_and_reads_all_of_it(self):
        self.create_topic("Load")
        common = ("--topic", "Load", "--seconds", "1")
        load = (*common, "--warmup", "1", "--rate", "100")
        for kind in ("send", "txn"):
            before = self.stored("Load")
            result = self.run_cli("bench", kind, *load)
            self.assertEqual(result["failed"], 0, result)
            self.assertGreaterEqual(result["messages"], 50, result)
            # Commits are sent without answer: the last ones may be on their way.
            wait_for(f"all of bench {kind}",
                     lambda: self.stored("Load") >= before + result["messages"])
        stored = self.stored("Load")
        result = self.run_cli("bench", "pull", *common)
        self.assertEqual(result["failed"], 0, result)
        self.assertGreaterEqual(result["messages"], stored)

    def member(self, how, group, topic, *more):
        member = Member(self.apache, how, group, topic, *more)
        self.addCleanup(member.stop)
        return member

    def failures(self, member):
        return [event.times for event in member.events() if event.what == "failed"]

    def test_dead_letters_are_replayed_once_and_purged(self):
        self.create_topic("Chores")
        member = self.member("concurrent", "Work", "Chores")
        self.run_cli("message", "send", "Chores", "bad b", "--keys", "k1")
        self.run_cli("message", "send", "Chores", "good", "--keys", "k2")

        def letters():
            return self.run_cli("dlq", "show", "Work")

        first = wait_for("the dead letter", letters, 60)
        self.assertEqual([(row["body"], row["keys"], row["originTopic"], row["delivered"])
                          for row in first], [("bad b", "k1", "Chores", 2)])
        self.assertEqual(self.run_cli("dlq", "list")[0]["letters"], 1)
        self.assertEqual(self.run_cli("dlq", "replay", "Work", "--key", "k1"),
                         {"replayed": 1, "settledBefore": 0})
        self.assertEqual(self.run_cli("dlq", "replay", "Work", first[0]["letter"]),
                         {"replayed": 0, "settledBefore": 1})
        wait_for("it to come, and its retry", lambda: self.failures(member) == [0, 1, 0, 1], 60)
        second = wait_for("it to be dead again", letters, 30)
        self.assertNotEqual(second[0]["letter"], first[0]["letter"])
        self.assertEqual(second[0]["delivered"], 2)
        self.run_cli("dlq", "purge", "Work", expect=REFUSED)
        self.run_cli("dlq", "purge", "Work", "--yes")
        self.assertEqual(letters(), [])
        self.assertEqual(self.run_cli("dlq", "list"), [])
        self.assertEqual(member.bodies(), ["good"])

    def test_a_running_consumer_is_reset(self):
        self.create_topic("Days")
        member = self.member("concurrent", "Diary", "Days")
        days = [f"day {number}" for number in range(6)]
        for day in days:
            self.run_cli("message", "send", "Days", day)
        wait_for("all days", lambda: sorted(member.bodies()) == days, 60)

        def reset():
            try:
                return self.run_cli("offset", "reset", "-g", "Diary", "-T", "Days", "--earliest")
            except AssertionError:  # 4.9 wants an offset of each queue first.
                return None

        rows = wait_for("the reset", reset)
        self.assertEqual({row["offset"] for row in rows}, {0})
        wait_for("all days again", lambda: sorted(member.bodies()) == sorted(2 * days), 60)

    def test_messages_are_delayed(self):
        self.create_topic("Late")
        member = self.member("concurrent", "Wait", "Late")
        self.run_cli("message", "send", "Late", "level", "--delay-level", "2")
        expected = ["level"]
        if self.version.startswith("5"):  # Times are its own.
            self.run_cli("message", "send", "Late", "after", "--delay-ms", "2000")
            gone = self.run_cli("message", "send", "Late", "gone", "--delay-ms", "15000")
            self.assertTrue(gone["recallHandle"])
            self.run_cli("message", "recall", "Late", gone["recallHandle"])
            expected = ["after", "level"]
        wait_for("them", lambda: sorted(member.bodies()) == expected, 60)

    def test_orderly_members_share_and_hand_over_queues(self):
        self.create_topic("Steps")
        members = [self.member("orderly", "Walk", "Steps")]
        for number in range(40):
            body = f"{'once' if number % 10 == 0 else 'step'} {number}"
            self.run_cli("message", "send", "Steps", body, "-q", str(number % 4))
        wait_for("the first member", lambda: len(members[0].bodies()) == 40, 60)
        members.append(self.member("orderly", "Walk", "Steps"))
        # Its locks are given back at once, not when their time is over.
        self.assertEqual(members[0].stop(), 0)
        for number in range(40, 60):
            self.run_cli("message", "send", "Steps", f"step {number}", "-q", str(number % 4))
        wait_for("the second one", lambda: len(members[0].bodies() + members[1].bodies()) == 60, 40)
        for queue in range(4):
            offsets = [event.offset for member in members for event in member.events()
                       if event.what == "done" and event.queue == queue]
            self.assertEqual(offsets, list(range(15)))

    def test_broadcasting_members_and_requests(self):
        self.create_topic("News")
        for name in "ab":
            os.makedirs(os.path.join(self.apache.directory, name))
        members = [self.member("broadcasting", "Press", "News",
                               os.path.join(self.apache.directory, name)) for name in "ab"]
        for number in range(5):
            self.run_cli("message", "send", "News", f"news {number}")
        for member in members:
            wait_for("all news", lambda m=member: len(m.bodies()) == 5, 60)
        self.create_topic("Ask")
        self.member("answering", "Help", "Ask")
        asking = self.member("asking", "-", "Ask")
        for number in range(5):
            asking.say(f"what is {number}")
        wait_for("replies", lambda: len(asking.lines) == 5, 60)
        self.assertEqual(asking.lines[-1], "re: what is 4")

    def stored(self, topic):
        return sum(row["messages"] for row in self.queues(topic))

    def test_the_bank_pays_every_transfer_once(self):
        self.create_topic("Bank")
        paths = {name: os.path.join(self.apache.directory, f"{name}.db") for name in "ab"}
        log = open(os.path.join(self.apache.directory, "bank.log"), "ab")
        self.addCleanup(log.close)

        def start(name, database, *arguments):
            process = subprocess.Popen(
                [os.path.join(BINARIES, name), "-n", self.apache.namesrv, "-d", paths[database],
                 "-t", "Bank", *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            return process

        def rows(database, query):
            try:
                with sqlite3.connect(f"file:{paths[database]}?mode=ro", uri=True) as connection:
                    return connection.execute(query).fetchall()
            except sqlite3.OperationalError:
                return []  # Not made yet.

        payee = start("bank-payee", "b")
        # It dies between a local commit and telling the broker, which asks the next one.
        payer = start("bank-payer", "a", "-c", str(TRANSFERS), "-k", "101")
        self.assertEqual(payer.wait(timeout=30), -signal.SIGKILL)
        payer = start("bank-payer", "a", "-c", str(TRANSFERS), "-l", "40000")
        wait_for("every transfer decided",
                 lambda: rows("a", "SELECT count(*) FROM transfer") == [(TRANSFERS,)])
        paid = rows("a", "SELECT id, amount FROM transfer WHERE state = 'paid' ORDER BY id")
        self.assertEqual(len(paid), TRANSFERS - TRANSFERS // 20)
        # The payee fails on purpose: the broker delivers again after 2 s.
        wait_for("every paid transfer credited",
                 lambda: rows("b", "SELECT * FROM credit ORDER BY transfer") == paid, 40)
        self.assertIsNone(payer.poll())
        self.assertEqual(len(self.run_cli("group", "describe", "bank-payee")["members"]), 1)
        payee.send_signal(signal.SIGTERM)
        self.assertEqual(payee.wait(timeout=20), 0)
        self.assertEqual(self.run_cli("group", "describe", "bank-payee")["lag"], 0)


class Apache533(ApacheRocketMQ, unittest.TestCase):
    version = "5.3.3"


class Apache494(ApacheRocketMQ, unittest.TestCase):
    version = "4.9.4"


if __name__ == "__main__":
    unittest.main()
