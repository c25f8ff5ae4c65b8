"""Dead letters, resets and delays by the CLI, against real processes.

One node serves two broker groups: what is tested is what the CLI asks for and tells."""

import json
import os
import signal
import subprocess
import time
import unittest

from cluster import BINARIES, wait_for
from one_cluster import OneCluster
from remoting import message_position, messages, pull, read_queue, send_fields

SEND_BACK = 36
SEND = 310
QUERY_OFFSET = 14
LOCK = 41
USAGE = 2
REFUSED = 1
NOT_FOUND = 3


class Letters(OneCluster):
    options = {"nodes": 1, "groups": 2, "settings": {"recallMessageEnable": "true"}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.cluster.create_topic("Orders", queues=1)

    def json(self, *arguments, expect=0):
        said = self.cluster.cli(*arguments, "-o", "json", expect=expect)
        return json.loads(said[:said.rindex("]" if said.startswith("[") else "}") + 1])

    def kill_message(self, connection, group, body, key):
        """Send a message and send it back as hopeless: a dead letter."""
        sent = connection.invoke(
            SEND, send_fields("Orders", 0, {"UNIQ_KEY": f"U-{key}", "KEYS": key}), body)
        connection.invoke(SEND_BACK, {
            "offset": str(message_position(sent.fields["msgId"])), "group": group,
            "delayLevel": "-1", "originTopic": "Orders"})

    def retries(self, connection, group):
        return read_queue(connection, f"%RETRY%{group}", 0)

    def letters(self, group, *flags):
        return self.json("dlq", "show", group, *flags)

    def test_letters_are_shown_replayed_and_purged(self):
        with self.cluster.connect("broker-a") as a, self.cluster.connect("broker-b") as b:
            for number in range(3):
                self.kill_message(a, "Bill", f"bill {number}".encode(), f"k{number}")
            self.kill_message(b, "Bill", b"bill b", "kb")
            listed = [row for row in self.json("dlq", "list") if row["group"] == "Bill"]
            self.assertEqual([(row["letters"], row["exact"]) for row in listed], [(4, True)])
            self.assertGreaterEqual(listed[0]["ageMs"], 0)

            shown = self.letters("Bill")
            self.assertEqual([row["letter"] for row in shown],
                             ["broker-a:0:0", "broker-a:0:1", "broker-a:0:2", "broker-b:0:0"])
            self.assertEqual({row["originTopic"] for row in shown}, {"Orders"})
            self.assertEqual(shown[1]["id"], "U-k1")
            one = self.json("dlq", "show", "Bill", "broker-a:0:1")
            self.assertEqual((one["body"], one["keys"], one["delivered"]), ("bill 1", "k1", 1))

            # One in the middle: only the group gets it, as if it came for the first time.
            self.assertEqual(self.json("dlq", "replay", "Bill", "broker-a:0:1"),
                             {"replayed": 1, "settledBefore": 0})
            again = self.retries(a, "Bill")
            self.assertEqual([m.body for m in again], [b"bill 1"])
            self.assertEqual(again[0].properties["RETRY_TOPIC"], "Orders")
            self.assertEqual(again[0].properties["UNIQ_KEY"], "U-k1")
            self.assertNotIn("DELAY", again[0].properties)
            self.assertEqual(self.json("dlq", "replay", "Bill", "broker-a:0:1"),
                             {"replayed": 0, "settledBefore": 1})
            self.assertEqual([row["letter"] for row in self.letters("Bill")],
                             ["broker-a:0:0", "broker-a:0:2", "broker-b:0:0"])
            self.assertEqual({row["letter"]: row["state"] for row in self.letters("Bill", "-a")}
                             ["broker-a:0:1"], "replayed")

            # A selection, then all that is left.
            self.assertEqual(self.json("dlq", "replay", "Bill", "--key", "kb")["replayed"], 1)
            self.assertEqual(self.json("dlq", "replay", "Bill", "--all"),
                             {"replayed": 2, "settledBefore": 1})
            self.assertEqual(sorted(m.body for m in self.retries(a, "Bill")),
                             [b"bill 0", b"bill 1", b"bill 2"])
            self.assertEqual(self.letters("Bill"), [])
            self.assertEqual(self.mark(a, "Bill"), "3")
            self.assertNotIn("Bill", self.cluster.cli("dlq", "list"))

            # What dies again is a letter again, and only that one.
            back = self.retries(a, "Bill")[0]
            a.invoke(SEND_BACK, {"offset": str(back.position), "group": "Bill",
                                 "delayLevel": "-1", "originTopic": "Orders"})
            self.assertEqual([row["letter"] for row in self.letters("Bill")], ["broker-a:0:3"])
            self.assertEqual(self.json("dlq", "replay", "Bill", "--all")["replayed"], 1)

            self.kill_message(a, "Bill", b"unwanted", "k9")
            self.cluster.cli("dlq", "purge", "Bill", expect=REFUSED)
            self.assertEqual(len(self.letters("Bill")), 1)
            self.assertEqual(self.json("dlq", "purge", "Bill", "--older-than", "3600", "--yes"), [])
            self.assertEqual(self.json("dlq", "purge", "Bill", "--yes")[0]["letters"], 1)
            self.assertEqual(self.letters("Bill"), [])
            self.assertEqual(len(self.retries(a, "Bill")), 4)

    def mark(self, connection, group):
        return connection.invoke(QUERY_OFFSET, {
            "consumerGroup": "RAFTMQ_DEAD_LETTERS", "topic": f"%DLQ%{group}",
            "queueId": "0"}).fields["offset"]

    def test_a_replay_that_is_killed_goes_on_and_repeats_nothing(self):
        count = 150
        with self.cluster.connect("broker-a") as a:
            for number in range(count):
                self.kill_message(a, "Ship", str(number).encode(), f"s{number}")
            killed = 0
            for patience in (10, 40, 80):
                replay = subprocess.Popen(
                    [os.path.join(BINARIES, "raftmq"), "dlq", "replay", "Ship", "--all", "-n",
                     self.cluster.namesrv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                wait_for("some letters to be replayed",
                         lambda n=patience: self.retry_end(a, "Ship") >= n
                         or replay.poll() is not None)
                replay.send_signal(signal.SIGKILL)
                killed += replay.wait() == -signal.SIGKILL
            self.assertGreater(killed, 0)
            self.cluster.cli("dlq", "replay", "Ship", "--all")
            self.assertEqual(sorted(int(m.body) for m in self.retries(a, "Ship")),
                             list(range(count)))
            self.assertEqual(self.letters("Ship"), [])

    def retry_end(self, connection, group):
        frame = connection.invoke(30, {"topic": f"%RETRY%{group}", "queueId": "0"}, expect=None)
        return int(frame.fields["offset"]) if frame.code == 0 else 0

    def test_an_orderly_group_that_runs_is_told_and_loses_nothing(self):
        with self.cluster.connect("broker-a") as a:
            self.kill_message(a, "Row", b"in turn", "r")
            queue = {"topic": "Orders", "brokerName": "broker-a", "queueId": 0}
            body = json.dumps({"consumerGroup": "Row", "clientId": "c", "mqSet": [queue]}).encode()
            a.invoke(LOCK, {}, body)
            said = self.cluster.cli("dlq", "replay", "Row", "--all", expect=REFUSED)
            self.assertIn("holds queue locks", said)
            self.assertEqual([row["letter"] for row in self.letters("Row")], ["broker-a:0:1"])
            a.invoke(42, {}, body)
            self.cluster.cli("dlq", "replay", "Row", "--all")
            self.assertEqual([m.body for m in self.retries(a, "Row")], [b"in turn"])
            self.assertEqual(self.letters("Row"), [])

    def test_wrong_names_of_letters(self):
        with self.cluster.connect("broker-a") as a:
            self.kill_message(a, "Odd", b"x", "o")
        self.cluster.cli("dlq", "replay", "Odd", expect=USAGE)
        self.cluster.cli("dlq", "replay", "Odd", "--all", "--key", "o", expect=USAGE)
        self.cluster.cli("dlq", "replay", "Odd", "broker-a:0", expect=USAGE)
        self.cluster.cli("dlq", "replay", "Odd", "broker-a:0:7", expect=NOT_FOUND)
        self.cluster.cli("dlq", "show", "Odd", "broker-z:0:0", expect=NOT_FOUND)
        self.assertEqual(self.letters("Nobody"), [])

    def test_a_group_is_reset_and_its_consumer_told(self):
        self.cluster.create_topic("Days", queues=1)
        with self.cluster.connect("broker-a") as a:
            heartbeat = {"clientID": "c1", "producerDataSet": [], "consumerDataSet": [{
                "groupName": "Diary", "consumeType": "CONSUME_PASSIVELY",
                "messageModel": "CLUSTERING", "consumeFromWhere": "CONSUME_FROM_LAST_OFFSET",
                "subscriptionDataSet": [], "unitMode": False}]}
            a.invoke(34, {}, json.dumps(heartbeat).encode())
            for number in range(4):
                a.invoke(SEND, send_fields("Days", 0, {}), str(number).encode())
                time.sleep(0.01)  # So that each has a store time of its own.
            third = read_queue(a, "Days", 0)[2].store_ms
            place = {"consumerGroup": "Diary", "topic": "Days", "queueId": "0"}
            reset = ["offset", "reset", "-g", "Diary", "-T", "Days", "-b", "broker-a"]
            for how, offset in ((["--latest"], 4), (["--time", str(third)], 2),
                                (["--earliest"], 0), (["--offset", "3", "-q", "0"], 3)):
                rows = self.json(*reset, *how)
                self.assertEqual(rows, [{"broker": "broker-a", "queue": 0, "offset": offset}])
                self.assertEqual(a.invoke(14, place).fields["offset"], str(offset))
            moved = pull(a, "Days", 0, 0, group="Diary")
            self.assertEqual((moved.code, moved.fields["nextBeginOffset"]), (21, "3"))
        self.cluster.cli("offset", "reset", "-g", "Diary", "-T", "Days", expect=USAGE)
        self.cluster.cli(*reset, "--time", "yesterday", expect=USAGE)
        self.cluster.cli(*reset, "--offset", "99", "-q", "0", expect=REFUSED)
        self.cluster.cli("offset", "reset", "-g", "Diary", "-T", "Nights", "-e", expect=NOT_FOUND)

    def test_messages_are_delayed_and_recalled(self):
        self.cluster.create_topic("Late", queues=1)
        with self.cluster.connect("broker-a") as a:
            send = ["message", "send", "Late"]
            at = int(time.time() * 1000) + 400
            self.json(*send, "at", "--deliver-at", str(at), "-b", "broker-a")
            self.json(*send, "after", "--delay-ms", "300", "-b", "broker-a")
            gone = self.json(*send, "gone", "--delay-ms", "60000", "-b", "broker-a")
            self.cluster.cli("message", "recall", "Late", gone["recallHandle"])
            self.cluster.cli("message", "recall", "Late", gone["recallHandle"], expect=REFUSED)
            self.cluster.cli("message", "recall", "Late", "no handle", expect=USAGE)
            level = self.json(*send, "level", "--delay-level", "1", "-b", "broker-a")
            self.assertNotIn("recallHandle", level)
            wait_for("the delayed messages", lambda: len(read_queue(a, "Late", 0)) == 3)
            found = {m.body: m for m in messages(pull(a, "Late", 0, 0).body)}
            self.assertGreaterEqual(found[b"at"].store_ms, at)
            self.assertEqual(found[b"level"].properties["DELAY"], "1")
        self.cluster.cli(*send, "both", "--delay-ms", "1", "--delay-level", "1", expect=USAGE)


if __name__ == "__main__":
    unittest.main()
