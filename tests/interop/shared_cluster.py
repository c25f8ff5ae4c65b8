"""One cluster for all versions of the Java client: for tests that do not need one to themselves.

A module with such tests takes setUpModule and tearDownModule from here.
"""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "integration"))

from agent import java, java_built  # noqa: E402
from cluster import Cluster  # noqa: E402
from remoting import send_fields  # noqa: E402

VERSIONS = ("5.5.0", "5.3.3", "4.9.8")
MIB = 1024 * 1024
SEGMENT = 64 * MIB
BODY_MAX = 4 * MIB
BROKERS = ("east@broker-a", "west@broker-b", "west@broker-c")
# A topic of which the first message is gone, on one broker.
CUT_BROKER = BROKERS[2]
SETTINGS = {
    "logSizeMax": SEGMENT,
    "checkpointIntervalMs": 200,
    # Leadership stays where a test has put it, also on a busy machine.
    "leaderBalanceDelayMs": 0,
    "electionTimeoutMs": 1000,
}
OFTEN = ["-Drocketmq.client.rebalance.waitInterval=1000"]


class Shared:
    """The cluster of all classes; whether a test of them failed, so that its logs are kept."""

    cluster = None
    failed = False


def setUpModule():
    if not any(java_built(version) for version in VERSIONS):
        raise unittest.SkipTest("Java or rocketmq-client could not be had")
    Shared.cluster = Cluster(groups=list(BROKERS), settings=SETTINGS)
    try:
        Shared.cluster.__enter__()
        Shared.cluster.wait_ready()
        lose_the_first_message_of_cut(Shared.cluster)
    except BaseException:
        Shared.cluster.__exit__(True)
        raise


def tearDownModule():
    if Shared.cluster is not None:
        Shared.cluster.__exit__(Shared.failed)


def lose_the_first_message_of_cut(cluster):
    """Message "lost", so much else that its segment goes, and message "kept"."""
    with cluster.connect(CUT_BROKER) as connection:
        for topic in ("Cut", "Filling"):
            connection.invoke(17, {
                "topic": topic, "defaultTopic": "TBW102", "readQueueNums": "1",
                "writeQueueNums": "1", "perm": "6", "topicFilterType": "SINGLE_TAG",
                "order": "false"})
        connection.send(send_fields("Cut", 0, {"KEYS": "lost"}), b"lost")
        for _ in range(2 * SEGMENT // BODY_MAX + 2):
            connection.send(send_fields("Filling", 0, {}), bytes(BODY_MAX))
        connection.send(send_fields("Cut", 0, {"KEYS": "kept"}), b"kept")


class SharedCluster:
    """Mixed into a test case of one version, which finds its client in `client`."""

    version = ""

    @classmethod
    def setUpClass(cls):
        if not java_built(cls.version):
            raise unittest.SkipTest(f"Java or rocketmq-client {cls.version} could not be had")
        cls.cluster = Shared.cluster
        cls.tag = cls.version.replace(".", "")  # Topics and groups of this version end so.
        cls.client = java(cls.version, cls.cluster, name=cls.tag, options=OFTEN)
        cls.addClassCleanup(cls.client.__exit__)
        cls.client("sender", f"Sender{cls.tag}")
        cls.client("puller", f"Puller{cls.tag}")

    def run(self, result=None):
        before = result and len(result.failures) + len(result.errors)
        super().run(result)
        if result and len(result.failures) + len(result.errors) > before:
            Shared.failed = True

    @property
    def client_name(self):
        return f"Java {self.version}"

    def topic(self, name, queues=2):
        """A topic of this version on all brokers."""
        topic = name + self.tag
        self.cluster.create_topic(topic, queues)
        return topic

    @staticmethod
    def queues(count):
        """All queues of a topic that has so many on each broker."""
        return [(broker, number) for broker in BROKERS for number in range(count)]

    def sent(self, topic, queue, key):
        """Sends a message; returns its offset and its offset message id."""
        status, place, offset, message_id, _ = self.client("sendto", topic, queue, key).split()
        self.assertEqual((status, place), ("SEND_OK", queue))
        return int(offset), message_id

    def stored_offset(self, group, topic, queue):
        """As the broker has it: the client reports it without waiting for an answer."""
        broker, number = queue.split(":")
        with self.cluster.connect(broker) as connection:
            frame = connection.invoke(14, {
                "consumerGroup": group, "topic": topic, "queueId": number,
                "setZeroIfNotFound": "false"}, expect=None)
        return frame.fields.get("offset")
