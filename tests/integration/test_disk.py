"""A disk that fills up: messages are refused before anything breaks, decisions are still taken, and
everything goes on by itself when there is room again."""

import json
import os
import subprocess
import unittest

from cluster import Cluster, wait_for
from remoting import messages, pull, read_queue, send_fields
from test_failover import decide, send_half

MIB = 1024 * 1024


class SmallDisk:
    """A tmpfs; skips the test where it cannot be had."""

    def __init__(self, place, size):
        self.place = place
        os.mkdir(place)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", place],
                              capture_output=True, check=False)
        if done.returncode != 0:
            raise unittest.SkipTest("mounting a tmpfs needs root, and a system that lets it")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.place], check=True)

    def free(self):
        state = os.statvfs(self.place)
        return state.f_bavail * state.f_frsize

    def resize(self, size):
        subprocess.run(["mount", "-o", f"remount,size={size}", self.place], check=True)

    def fill(self):
        """Take whatever is left; returns the file to be removed."""
        ballast = os.path.join(self.place, "ballast")
        with open(ballast, "ab") as file:
            for step in (MIB, 4096):
                try:
                    while True:
                        os.write(file.fileno(), bytes(step))
                except OSError:
                    pass
        return ballast


class FullDisk(unittest.TestCase):
    def test_writes_stop_in_time_and_resume(self):
        reserve = 64 * MIB
        cluster = Cluster(nodes=1, groups=1, settings={"diskReserveSize": reserve})
        with SmallDisk(os.path.join(cluster.directory, "small"), "400m") as disk:
            cluster.settings["storePathRootDir"] = os.path.join(disk.place, "node")
            with cluster:
                cluster.wait_ready()
                with cluster.connect("broker-a") as connection:
                    self.fill_and_empty(cluster, connection, disk, reserve)
                cluster.stop(1)

    def fill_and_empty(self, cluster, connection, disk, reserve):
        connection.invoke(310, send_fields("T", 0, {}), b"before")
        half = send_half(connection, "U1", "T")
        wait_for_reserve(disk)
        ballast = os.path.join(disk.place, "ballast")
        with open(ballast, "wb") as file:
            file.write(bytes(disk.free() - reserve // 2))

        def refused():
            frame = connection.invoke(310, send_fields("T", 0, {}), b"x", expect=None)
            return frame.code == 14 and "disk" in frame.remark

        wait_for("sends to be refused with 14", refused)
        self.assertIn("disk nearly full", cluster.log(1))
        decide(connection, half, 8)  # What was begun can be ended.
        os.remove(ballast)

        def taken():
            return connection.invoke(
                310, send_fields("T", 0, {}), b"after", expect=None).code == 0

        wait_for("sends to be taken again", taken)
        bodies = [m.body for m in read_queue(connection, "T", 0)]
        self.assertEqual(bodies[0], b"before")
        self.assertIn(b"U1", bodies)
        self.assertEqual(bodies[-1], b"after")


class BrimfulDisk(unittest.TestCase):
    """Nothing is left at all: somebody else took it."""

    def test_decisions_go_on_from_the_reserve(self):
        settings = {"diskReserveSize": 64 * MIB, "checkpointSize": 65536}
        cluster = Cluster(nodes=1, groups=1, settings=settings)
        with SmallDisk(os.path.join(cluster.directory, "small"), "500m") as disk:
            cluster.settings["storePathRootDir"] = os.path.join(disk.place, "node")
            with cluster:
                cluster.wait_ready()
                with cluster.connect("broker-a") as connection:
                    self.decide_all(cluster, connection, disk)
                self.assertEqual(cluster.stop(1), 0)

    def decide_all(self, cluster, connection, disk):
        halves = [send_half(connection, f"U{i}", "T") for i in range(20)]
        put_topic(connection, "wide", 1, queues=1024)
        wait_for_reserve(disk)
        ballast = disk.fill()
        wait_for("sends to be refused", lambda: self.is_refused(connection))
        # Enough of state to make the store write to the disk: 8 KB for each group's offsets.
        for number in range(20000):
            connection.invoke(15, {"consumerGroup": f"g{number}", "topic": "wide",
                                   "queueId": "1023", "commitOffset": "1"})
            if number % 100 == 0 and "checkpoints wait" in cluster.log(1):
                break
        self.assertIn("checkpoints wait", cluster.log(1))
        for half in halves:
            decide(connection, half, 8)
        connection.invoke(215, {"topic": "wide"})
        bodies = [m.body for m in read_queue(connection, "T", 0)]
        self.assertEqual(bodies, [f"U{i}".encode() for i in range(20)])
        os.remove(ballast)
        wait_for("sends to be taken again", lambda: not self.is_refused(connection))
        wait_for("the store to have room", lambda: "store has room again" in cluster.log(1))

    def test_old_messages_make_room_for_new_ones(self):
        """Twice what the disk holds is sent to it."""
        settings = {"cleanFileForciblyEnable": "true", "diskSpaceCleanForciblyRatio": 60,
                    "diskReserveSize": 64 * MIB, "checkpointIntervalMs": 200}
        cluster = Cluster(nodes=1, groups=1, settings=settings)
        with SmallDisk(os.path.join(cluster.directory, "small"), "800m") as disk:
            cluster.settings["storePathRootDir"] = os.path.join(disk.place, "node")
            with cluster:
                cluster.wait_ready()
                with cluster.connect("broker-a") as connection:
                    for number in range(1600):
                        self.send_until_taken(connection, number)
                    self.assertGreater(disk.free(), 64 * MIB)
                    first = int(pull(connection, "T", 0, 0).fields["minOffset"])
                    self.assertGreater(first, 600)
                    for number in (first, 1599):
                        frame = pull(connection, "T", 0, number, count=1)
                        self.assertTrue(messages(frame.body)[0].body.startswith(
                            f"{number} ".encode()))
                self.assertEqual(cluster.stop(1), 0)
                cluster.start(1)
                cluster.wait_ready()
                with cluster.connect("broker-a") as connection:
                    self.assertGreaterEqual(
                        int(pull(connection, "T", 0, 0).fields["minOffset"]), first)

    def send_until_taken(self, connection, number):
        body = f"{number} ".encode().ljust(MIB)

        def taken():
            answer = connection.invoke(310, send_fields("T", 0, {}), body, expect=None)
            self.assertIn(answer.code, (0, 14), answer.remark)
            return answer.code == 0

        wait_for("a message to be taken", taken)

    def is_refused(self, connection):
        answer = connection.invoke(310, send_fields("V", 0, {}), b"x", expect=None)
        self.assertIn(answer.code, (0, 14))
        return answer.code == 14

    def test_a_follower_waits_for_room_and_catches_up(self):
        cluster = Cluster(groups=1, settings={"leaderBalanceDelayMs": 0})
        with SmallDisk(os.path.join(cluster.directory, "small"), "300m") as disk:
            cluster.node_settings[3] = {"storePathRootDir": os.path.join(disk.place, "node")}
            with cluster:
                cluster.wait_ready()
                if cluster.leader("broker-a") == 3:
                    cluster.transfer("broker-a", 1)
                    cluster.wait_leader("broker-a", other_than=3)
                with cluster.connect("broker-a") as connection:
                    for _ in range(400):
                        connection.send(send_fields("T", 0, {}), bytes(MIB))
                wait_for("the follower's log to wait for room",
                         lambda: self.room(cluster, 3) == "none")
                with cluster.connect("broker-a") as connection:
                    connection.send(send_fields("T", 0, {}), b"meanwhile")
                    # It still serves what it has.
                with cluster.connect("broker-a", 3) as connection:
                    self.assertEqual(pull(connection, "T", 0, 0).code, 0)
                disk.resize("2g")
                last = cluster.status(1, "broker-a")["commitIndex"]
                wait_for("the follower to catch up", lambda: self.applied(cluster, 3) >= last, 60)
                self.assertEqual(self.room(cluster, 3), "fine")

    def room(self, cluster, node):
        status = cluster.status(node, "broker-a")
        return status and status["logRoom"]

    def applied(self, cluster, node):
        status = cluster.status(node, "broker-a")
        return status["appliedIndex"] if status else 0

    def test_a_leader_without_any_room_hands_over(self):
        cluster = Cluster(groups=1, settings={"leaderBalanceDelayMs": 0})
        with SmallDisk(os.path.join(cluster.directory, "small"), "500m") as disk:
            cluster.node_settings[1] = {"storePathRootDir": os.path.join(disk.place, "node")}
            with cluster:
                cluster.wait_ready()
                if cluster.leader("broker-a") != 1:
                    cluster.transfer("broker-a", 1)
                    wait_for("node 1 to lead", lambda: cluster.leader("broker-a") == 1)
                with cluster.connect("broker-a", 1) as connection:
                    # Up to shortly before the end of the first segment, and no reserve.
                    for _ in range(63):
                        connection.send(send_fields("T", 0, {}), bytes(MIB - 4096))
                    os.remove(wait_for_reserve(disk))
                    disk.fill()
                    put = self.use_up_the_segment(cluster, connection)
                self.assertTrue(cluster.running(1))
                with cluster.connect("broker-a") as connection:
                    connection.send(send_fields("T", 0, {}), b"taken elsewhere")
                disk.resize("2g")
                last = cluster.status(cluster.leader("broker-a"), "broker-a")["commitIndex"]
                wait_for("node 1 to catch up", lambda: self.applied(cluster, 1) >= last, 60)
                found = [self.last_put(cluster, node) for node in cluster.nodes]
                self.assertEqual(len(set(found)), 1)
                self.assertGreaterEqual(found[0], put)

    def last_put(self, cluster, node):
        with cluster.connect("broker-a", node) as connection:
            config = json.loads(connection.invoke(351, {"topic": "more"}).body)
        return int(config["attributes"]["reserve.time"])

    def use_up_the_segment(self, cluster, connection):
        """Changes of a topic, 4 KB each, until node 1 leads no more; the last one acknowledged."""
        done = 0
        for number in range(1, 60000):
            answer = put_topic(connection, "more", number)
            if answer.code == 0:
                done = number
            elif cluster.leader("broker-a") not in (None, 1):
                return done
        raise AssertionError("node 1 never has to wait for room")


def wait_for_reserve(disk):
    """Space that the log keeps for itself, taken soon after the start."""
    reserve = os.path.join(disk.place, "node", "broker-a", "log", "reserve")
    wait_for("the reserve to be made", lambda: os.path.exists(reserve))
    return reserve


def put_topic(connection, name, number, queues=1):
    """With 4 KB of attributes, the last of which is the number."""
    long = "x" * 950
    fields = {"topic": name, "defaultTopic": "TBW102", "readQueueNums": str(queues),
              "writeQueueNums": str(queues), "perm": "6", "topicFilterType": "SINGLE_TAG", "order": "false",
              "attributes": f"+queue.type={long},+cleanup.policy={long},+message.type={long},"
                            f"+reserve.time={number:0950}"}
    return connection.invoke(17, fields, expect=None)


if __name__ == "__main__":
    unittest.main()
