"""Members that lost data, or lag too far, become whole again by a copy of the leader's data."""

import glob
import os
import shutil
import struct
import threading
import unittest

from cluster import Cluster, wait_for
from remoting import Connection, RemotingError, pull, read_queue, send_fields

MIB = 1024 * 1024
SEGMENT = 64 * MIB


class Load:
    """Sends until told to stop; counts only what was acknowledged."""

    def __init__(self, cluster, size=100):
        self.cluster = cluster
        self.size = size
        self.sent = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        number = 0
        while not self.stopping.is_set():
            try:
                with self.cluster.connect("broker-a") as connection:
                    while not self.stopping.is_set():
                        number += 1
                        body = f"load-{number}-".encode().ljust(self.size, b".")
                        connection.invoke(310, send_fields("Load", 0, {}), body)
                        self.sent.append(body)
            except (OSError, RemotingError):
                continue  # Its leader went; what was not acknowledged does not count.

    def __enter__(self):
        self.thread.start()
        wait_for("some load", lambda: len(self.sent) > 10)
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()


def data(cluster, node, *below):
    return os.path.join(cluster.directory, f"node-{node}", "broker-a", *below)


def segments(cluster, node):
    return sorted(glob.glob(data(cluster, node, "log", "segment-*")))


def flip(path, offset):
    """Another bit in the byte there."""
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 0x01]))


def marked(cluster, node):
    """Up to which position the mark beside the log vouches for it; 0 without one."""
    try:
        with open(data(cluster, node, "log", "durable.1"), "rb") as file:
            return struct.unpack("<4sIQIIQQQ", file.read())[7]
    except (FileNotFoundError, struct.error):
        return 0


def damage_tables(cluster, node):
    """The first half of each: what a start reads, a process that runs has read already."""
    for name in glob.glob(data(cluster, node, "store", "*.sst")):
        with open(name, "r+b") as table:
            table.write(b"\x5a" * (os.path.getsize(name) // 2))


def follower_of(cluster):
    leader = cluster.wait_leader("broker-a")
    return next(n for n in cluster.nodes if n != leader)


class Copies(unittest.TestCase):
    def wait_whole(self, cluster, node):
        """The member has all that the leader has committed, and may vote."""
        def whole():
            leader = cluster.leader("broker-a")
            status = cluster.status(node, "broker-a")
            if leader is None or status is None:
                return False
            committed = cluster.status(leader, "broker-a")["commitIndex"]
            return status["appliedIndex"] >= committed - 200 and not status["abstaining"]

        wait_for(f"node {node} to be whole", whole, 60)

    def check_everywhere(self, cluster, bodies):
        """All acknowledged messages are on every replica, at the same places."""
        def read(node):
            with cluster.connect("broker-a", node) as connection:
                return [(m.position, m.queue_offset, m.body)
                        for m in read_queue(connection, "Load", 0)]

        def equal():
            queues = [read(node) for node in cluster.nodes]
            return all(queue == queues[0] for queue in queues) and queues[0]

        queue = wait_for("equal queues on all replicas", equal, 60)
        self.assertEqual(set(bodies) - {body for _, _, body in queue}, set())

    def test_a_member_whose_disk_is_gone_is_whole_again_under_load(self):
        with Cluster(groups=1) as cluster:
            cluster.wait_ready()
            with Load(cluster) as load:
                for _ in range(2):
                    node = follower_of(cluster)
                    cluster.kill(node)
                    shutil.rmtree(data(cluster, node))
                    cluster.start(node)
                    self.wait_whole(cluster, node)
                    self.assertIn("this member's data is gone", cluster.log(node))
            self.check_everywhere(cluster, load.sent)

    def test_the_members_in_turn_lose_their_disks_and_nothing_is_lost(self):
        with Cluster(groups=1, settings={"leaderBalanceDelayMs": 0}) as cluster:
            cluster.wait_ready()
            with Load(cluster) as load:
                for node in cluster.nodes:
                    cluster.kill(node)
                    shutil.rmtree(data(cluster, node))
                    cluster.start(node)
                    self.wait_whole(cluster, node)
            self.check_everywhere(cluster, load.sent)

    def test_a_copy_that_is_killed_goes_on(self):
        settings = {"copyBytesPerSecond": 16 * MIB}
        with Cluster(groups=1, settings=settings) as cluster:
            cluster.wait_ready()
            with cluster.connect("broker-a") as connection:
                for i in range(96):
                    connection.send(send_fields("Load", 0, {}), bytes([i]) * MIB)
            node = follower_of(cluster)
            cluster.kill(node)
            shutil.rmtree(data(cluster, node))
            cluster.start(node)
            wait_for("part of a copy",
                     lambda: glob.glob(data(cluster, node, "copy", "log", "segment-*1")))
            cluster.kill(node)
            cluster.start(node)
            self.wait_whole(cluster, node)
            self.assertIn("going on with an interrupted copy", cluster.log(node))
            self.assertFalse(os.path.exists(data(cluster, node, "copy")))
            self.check_everywhere(cluster, [bytes([i]) * MIB for i in range(96)])

    def test_damage_where_the_log_was_synced_is_healed_from_the_others(self):
        with Cluster(groups=1) as cluster:
            cluster.wait_ready()
            with Load(cluster) as load:
                node = follower_of(cluster)
                wait_for("a log", lambda: len(load.sent) > 200)
                cluster.kill(node)
                with open(segments(cluster, node)[0], "r+b") as segment:
                    segment.seek(4000)
                    byte = segment.read(1)
                    segment.seek(4000)
                    segment.write(bytes([byte[0] ^ 0x10]))
                cluster.start(node)
                self.wait_whole(cluster, node)
                self.assertIn("this replica's data is damaged", cluster.log(node))
                self.assertTrue(os.path.exists(data(cluster, node, "damaged", "log")))
            self.check_everywhere(cluster, load.sent)

    def test_damage_at_the_end_of_a_log_that_rested_is_healed_from_the_others(self):
        with Cluster(groups=1) as cluster:
            cluster.wait_ready()
            with cluster.connect("broker-a") as connection:
                connection.send(send_fields("Load", 0, {}), b"kept")
            leader = cluster.wait_leader("broker-a")
            for node in (follower_of(cluster), leader):
                def rested():
                    end = cluster.status(node, "broker-a")["logEndPosition"]
                    return end if end == marked(cluster, node) else 0

                end = wait_for("the mark of a log at rest", rested)
                cluster.kill(node)
                with open(segments(cluster, node)[0], "r+b") as segment:
                    segment.seek(end - 20)
                    byte = segment.read(1)
                    segment.seek(end - 20)
                    segment.write(bytes([byte[0] ^ 0x10]))
                cluster.start(node)
                self.wait_whole(cluster, node)
                self.assertIn("this replica's data is damaged", cluster.log(node))
            self.check_everywhere(cluster, [b"kept"])

    def test_damage_that_only_the_scrub_sees_is_healed_while_the_node_runs(self):
        """A start takes complete segments from their summaries; the scrub reads them after it."""
        with Cluster(groups=1) as cluster:
            cluster.wait_ready()
            bodies = [bytes([i]) * MIB for i in range(140)]
            with cluster.connect("broker-a") as connection:
                for body in bodies:
                    connection.send(send_fields("Load", 0, {}), body)
            for node in (follower_of(cluster), cluster.wait_leader("broker-a")):
                wait_for("summaries", lambda: len(glob.glob(
                    data(cluster, node, "log", "summary-*"))) >= 2)
                cluster.kill(node)
                flip(segments(cluster, node)[0], 20 * MIB)
                cluster.start(node)
                wait_for("the scrub to see it", lambda: "damaged where it was synced"
                         in cluster.log(node))
                wait_for("it to be set aside",
                         lambda: os.path.exists(data(cluster, node, "damaged", "log")))
                self.wait_whole(cluster, node)
            self.check_everywhere(cluster, bodies)

    def test_damage_that_two_members_have_is_left_to_a_person(self):
        """Three nodes are configured, but without the damaged one the other is no majority."""
        with Cluster(groups=1) as cluster:
            cluster.wait_ready()
            with cluster.connect("broker-a") as connection:
                for i in range(140):
                    connection.send(send_fields("Load", 0, {}), bytes([i]) * MIB)
            leader = cluster.wait_leader("broker-a")
            node, third = [n for n in cluster.nodes if n != leader]
            cluster.cli_when_well("node", "remove", str(third))
            wait_for("summaries", lambda: len(glob.glob(
                data(cluster, node, "log", "summary-*"))) >= 2)
            cluster.stop(node)  # So that it has nothing of that to apply again.
            flip(segments(cluster, node)[0], 20 * MIB)
            cluster.start(node)
            wait_for("the scrub to see it", lambda: "damaged where it was synced"
                     in cluster.log(node))
            cluster.wait_ready()
            with cluster.connect("broker-a") as connection:
                connection.send(send_fields("Load", 0, {}), b"goes on")
            self.assertFalse(os.path.exists(data(cluster, node, "damaged")))

    def test_damage_that_nobody_needs_waits_until_the_others_are_up(self):
        """With one member down, the damaged one is what the leader has its majority with."""
        with Cluster(groups=1) as cluster:
            cluster.wait_ready()
            bodies = [bytes([i]) * MIB for i in range(140)]
            with cluster.connect("broker-a") as connection:
                for body in bodies:
                    connection.send(send_fields("Load", 0, {}), body)
            leader = cluster.wait_leader("broker-a")
            node, third = [n for n in cluster.nodes if n != leader]
            wait_for("summaries", lambda: len(glob.glob(
                data(cluster, node, "log", "summary-*"))) >= 2)
            cluster.stop(node)
            flip(segments(cluster, node)[0], 20 * MIB)
            cluster.kill(third)
            cluster.start(node)
            wait_for("the scrub to see it", lambda: "damaged where it was synced"
                     in cluster.log(node))
            wait_for("it to wait", lambda: "until all other voters are up" in cluster.log(node))
            wait_for("the whole one to lead", lambda: cluster.leader("broker-a") == leader)
            with cluster.connect("broker-a") as connection:
                connection.send(send_fields("Load", 0, {}), b"goes on")
            self.assertFalse(os.path.exists(data(cluster, node, "damaged")))
            cluster.start(third)
            wait_for("it to be set aside",
                     lambda: os.path.exists(data(cluster, node, "damaged", "log")))
            self.wait_whole(cluster, node)
            self.check_everywhere(cluster, bodies + [b"goes on"])

    def test_a_damaged_store_is_built_again_from_the_log(self):
        with Cluster(groups=1, settings={"checkpointIntervalMs": 100}) as cluster:
            cluster.wait_ready()
            with Load(cluster) as load:
                wait_for("a log", lambda: len(load.sent) > 200)
                node = follower_of(cluster)
                cluster.stop(node)
                for name in glob.glob(data(cluster, node, "store", "*.sst")) + glob.glob(
                        data(cluster, node, "store", "MANIFEST-*")):
                    with open(name, "r+b") as table:
                        table.write(b"garbage")
                cluster.start(node)
                self.wait_whole(cluster, node)
                self.assertIn("the state machine's store is damaged", cluster.log(node))
            self.check_everywhere(cluster, load.sent)

    def test_a_store_that_is_damaged_under_a_running_leader_is_built_again(self):
        """Nothing notices before something is read: then the leader hands over and begins anew."""
        settings = {"checkpointIntervalMs": 100, "leaderBalanceDelayMs": 0}
        with Cluster(groups=1, settings=settings) as cluster:
            cluster.wait_ready()
            with Load(cluster) as load:
                wait_for("a log", lambda: len(load.sent) > 1000)
                node = follower_of(cluster)
                cluster.stop(node)  # An orderly stop flushes: what is old is in tables,
                cluster.start(node)  # and after a start only there.
                self.wait_whole(cluster, node)
                cluster.cli("leader", "transfer", "broker-a", "-m", str(node))
                wait_for("it to lead", lambda: cluster.leader("broker-a") == node)
                damage_tables(cluster, node)

                def noticed():
                    """By a consumer's pull, which is refused and not told to ask again at once."""
                    try:
                        with cluster.connect("broker-a", node) as connection:
                            code = pull(connection, "Load", 0, 0).code
                    except (OSError, RemotingError):
                        return True
                    self.assertIn(code, (0, 1, 14))
                    return code != 0

                wait_for("a pull that cannot be served", noticed)
                wait_for("another leader", lambda: cluster.leader("broker-a") not in (None, node))
                wait_for("the store to be set aside",
                         lambda: os.path.exists(data(cluster, node, "damaged", "store")))
                self.wait_whole(cluster, node)
                self.assertIn("closing to build it again", cluster.log(node))
                self.assertTrue(cluster.running(node))
            self.check_everywhere(cluster, load.sent)

    def test_a_drained_replica_that_is_opened_anew_stays_drained(self):
        settings = {"checkpointIntervalMs": 100, "leaderBalanceDelayMs": 0}
        with Cluster(groups=1, settings=settings) as cluster:
            cluster.wait_ready()
            with Load(cluster) as load:
                wait_for("a log", lambda: len(load.sent) > 1000)
                node = follower_of(cluster)
                cluster.stop(node)
                cluster.start(node)
                self.wait_whole(cluster, node)
                cluster.cli("node", "drain", str(node))
                damage_tables(cluster, node)
                cluster.status(node, "broker-a", hash_too=True)  # Reads all of it.
                wait_for("the store to be set aside",
                         lambda: os.path.exists(data(cluster, node, "damaged", "store")))
                self.wait_whole(cluster, node)
                wait_for("the leader to hear of it", lambda: next(
                    m for m in cluster.status(cluster.wait_leader("broker-a"), "broker-a")[
                        "members"] if m["id"] == node)["draining"])

    def test_a_lone_replica_with_a_damaged_store_serves_what_it_can(self):
        """Nobody can lead meanwhile: a person says when it is built again, and loses nothing."""
        with Cluster(nodes=1, groups=1, settings={"checkpointIntervalMs": 100}) as cluster:
            cluster.wait_ready()
            bodies = [f"old-{i}".encode() for i in range(1000)]
            with cluster.connect("broker-a") as connection:
                for body in bodies:
                    connection.send(send_fields("Load", 0, {}), body)
            cluster.stop(1)
            cluster.start(1)
            cluster.wait_ready()
            damage_tables(cluster, 1)
            with cluster.connect("broker-a") as connection:
                self.assertEqual(pull(connection, "Load", 0, 0).code, 1)
                connection.send(send_fields("Load", 0, {}), b"new")
                self.assertEqual(pull(connection, "Load", 0, len(bodies)).code, 0)
            wait_for("a line for the operator", lambda: "is used on" in cluster.log(1))
            self.assertTrue(cluster.running(1))
            cluster.kill(1)  # As the line says, more or less.
            shutil.rmtree(data(cluster, 1, "store"))
            cluster.start(1)
            cluster.wait_ready()
            self.check_everywhere(cluster, bodies + [b"new"])

    def test_a_member_that_lags_behind_a_cut_log_gets_a_copy_while_it_runs(self):
        settings = {"logSizeMax": 2 * SEGMENT, "checkpointIntervalMs": 200}
        with Cluster(groups=1, settings=settings) as cluster:
            cluster.wait_ready()
            node = follower_of(cluster)
            cluster.kill(node)
            with cluster.connect("broker-a") as connection:
                for _ in range(6 * 62):
                    connection.send(send_fields("T", 0, {}), bytes(MIB))
            leader = cluster.wait_leader("broker-a")
            wait_for("a cut log", lambda: cluster.status(leader, "broker-a")
                     ["logFirstPosition"] >= 2 * SEGMENT)
            cluster.start(node)
            self.wait_whole(cluster, node)
            self.assertIn("too far behind", cluster.log(node))
            self.assertGreaterEqual(
                cluster.status(node, "broker-a")["logFirstPosition"], 2 * SEGMENT)
            # It is a full member: with it and one other, the group goes on.
            cluster.kill(leader)
            cluster.wait_leader("broker-a", other_than=leader)
            with cluster.connect("broker-a") as connection:
                connection.send(send_fields("T", 0, {}), b"after")

    def test_a_bare_majority_of_which_one_lags_behind_a_cut_log_goes_on(self):
        """Neither can lead without the other, and one is closed until it has a copy."""
        settings = {"logSizeMax": 2 * SEGMENT, "checkpointIntervalMs": 200,
                    "copyBytesPerSecond": 32 * MIB}
        with Cluster(groups=1, settings=settings) as cluster:
            cluster.wait_ready()
            late = follower_of(cluster)
            cluster.kill(late)
            others = [node for node in cluster.nodes if node != late]

            def cut(node):
                status = cluster.status(node, "broker-a")
                return status is not None and status["logFirstPosition"] >= 2 * SEGMENT

            with Load(cluster, MIB):
                wait_for("cut logs", lambda: all(cut(node) for node in others), 120)
            leader = cluster.wait_leader("broker-a")
            gone = next(node for node in others if node != leader)
            cluster.kill(gone)
            cluster.start(late)
            self.wait_whole(cluster, late)
            self.assertIn("too far behind", cluster.log(late))
            self.assertIn("no longer leader", cluster.log(leader))  # While it gave the copy.
            with cluster.connect("broker-a") as connection:
                connection.send(send_fields("T", 0, {}), b"after")

    def test_no_member_begins_anew_while_it_cannot_ask_the_others(self):
        with Cluster(groups=1) as cluster:
            cluster.wait_ready()
            with cluster.connect("broker-a") as connection:
                connection.send(send_fields("Load", 0, {}), b"kept")
            for node in cluster.nodes:
                cluster.stop(node)
            shutil.rmtree(data(cluster, 1))
            shutil.rmtree(data(cluster, 2))
            cluster.start(1)
            cluster.start(2)
            wait_for("a word on why it waits", lambda: "waiting for the other members"
                     in cluster.log(1))
            self.assertIsNone(cluster.leader("broker-a"))
            self.assertEqual(cluster.stop(1), 0)


if __name__ == "__main__":
    unittest.main()
