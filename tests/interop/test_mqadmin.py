"""Apache RocketMQ's mqadmin, unmodified, against a cluster: every subcommand, and what it prints.

With COMPATIBILITY naming a file, what held is noted there for compatibility.py (features.py).
"""

import json
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "integration"))

from agent import java, java_built  # noqa: E402
from cluster import Cluster, wait_for  # noqa: E402

ALL = ("5.3.3", "4.9.8")
NEW = ("5.3.3",)
OLD = ("4.9.8",)

# Subcommand, versions that have it, arguments, what must be printed. Run in this order: some leave
# what others look at. {leader} is the address of broker-a's leader, {key} a message's unique key,
# {id} its offset message id.
WORKS = [
    ("updateTopic", ALL, "-c TestCluster -t T1 -r 4 -w 4", r"create topic to .* success"),
    ("updateTopicList", NEW, "-c TestCluster -f topics.json", r"submit batch .* success"),
    ("updateTopicPerm", ALL, "-c TestCluster -t T1 -p 4", r"perm from 6 to 4 in .* success"),
    ("topicList", ALL, "", r"(?m)^Orders$"),
    ("topicList", ALL, "-c", r"TestCluster +Orders +G\b"),
    ("topicRoute", ALL, "-t Orders", r'"brokerName":"broker-c"'),
    ("topicStatus", ALL, "-t Orders", r"broker-a +3 +0 +\d+ +20\d\d-"),
    ("topicClusterList", ALL, "-t Orders", r"TestCluster"),
    ("clusterList", ALL, "", r"broker-b +0 +127\.0\.0\.1:\d+ +raftmq"),
    ("clusterList", ALL, "-m", r"TestCluster +broker-a +\d+ +\d+ +\d+ +\d+"),
    ("brokerStatus", ALL, "-b {leader}", r"putTps +: \d"),
    ("brokerConsumeStats", ALL, "-b {leader}", r"Orders +G +broker-a +0"),
    ("updateSubGroup", ALL, "-c TestCluster -g G2 -s true",
     r"create subscription group to .* success"),
    ("updateSubGroupList", NEW, "-c TestCluster -f groups.json", r"submit batch .* success"),
    ("setConsumeMode", NEW, "-c TestCluster -t TL -g GL -m POP -q 2",
     r"set consume mode to .* success.*consume mode\[POP\] popShareQueueNum\[2\]"),
    ("getConsumerConfig", ALL, "-g G", r"retryMaxTimes += +16"),
    ("consumerProgress", ALL, "-g G", r"Orders +broker-a +0 +\d+ +\d+"),
    ("consumerProgress", ALL, "-g G -s true", r"Orders +broker-a +0 +\d+ +\d+ +\d+\.\d+\."),
    ("consumerProgress", ALL, "", r"(?m)^G +\d+ +V[45]_"),
    ("consumerStatus", ALL, "-g G", r"Rebalance OK"),
    ("consumerConnection", ALL, "-g G", r"ConsumeType: CONSUME_PASSIVELY"),
    ("producerConnection", ALL, "-g P -t Orders", r"@producer +127\.0\.0\.1:\d+ +JAVA"),
    ("producer", ALL, "-b {leader}", r"producer group \(P\) instance"),
    ("cloneGroupOffset", ALL, "-s G -d G2 -t Orders", r"clone group offset success"),
    ("queryMsgById", NEW, "-t Orders -i {id}", r"Queue Offset: +0"),
    ("queryMsgById", NEW, "-t Orders -i {id} -g G -d {client}", r"consumeResult=CR_SUCCESS"),
    ("queryMsgById", OLD, "-i {id}", r"Queue Offset: +0"),
    ("queryMsgById", OLD, "-i {id} -g G -d {client}", r"consumeResult=CR_SUCCESS"),
    ("queryMsgByKey", ALL, "-t Orders -k k3", r"\b[0-9A-F]{24,}\b"),
    ("queryMsgByUniqueKey", ALL, "-t Orders -i {key}", r"Keys: +\[?k0"),
    ("queryMsgByOffset", ALL, "-t Orders -b broker-a -i 0 -o 0", r"Queue Offset: +0"),
    ("printMsg", ALL, "-t Orders", r"MSGID: [0-9A-F]+"),
    ("printMsgByQueue", ALL, "-t Orders -a broker-a -i 0 -p true", r"MSGID: [0-9A-F]+"),
    ("consumeMessage", ALL, "-t Orders", r"Consume ok"),
    ("sendMessage", ALL, "-t Orders -p hello", r"SEND_OK"),
    ("sendMsgStatus", ALL, "-b broker-a -s 100 -c 2", r"sendStatus=SEND_OK"),
    ("checkMsgSendRT", ALL, "-t Orders -a 3 -s 100", r"Avg RT"),
    ("statsAll", ALL, "-t Orders", r"Orders +G +\d+ +\d"),
    ("resetOffsetByTime", ALL, "-g G -t Orders -s 0", r"broker-c +3 +0\b"),
    ("skipAccumulatedMessage", ALL, "-g G2 -t Orders", r"broker-c +3 +\d"),
    ("getBrokerConfig", ALL, "-b {leader}", r"brokerName += +broker-a"),
    ("wipeWritePerm", ALL, "-b broker-a", r"OK, \d+"),
    ("addWritePerm", ALL, "-b broker-a", r"OK, \d+"),
    ("cleanExpiredCQ", ALL, "-b {leader}", r"success"),
    ("cleanUnusedTopic", ALL, "-b {leader}", r"success"),
    ("deleteExpiredCommitLog", ALL, "-b {leader}", r"success"),
    ("updateKvConfig", ALL, "-s ns -k a -v 1", r"success"),
    ("deleteKvConfig", ALL, "-s ns -k a", r"success"),
    ("updateOrderConf", ALL, "-t Orders -v broker-a:4 -m put", r"success"),
    ("updateOrderConf", ALL, "-t Orders -m get", r"orderConf=\[broker-a:4\]"),
    ("updateOrderConf", ALL, "-t Orders -m delete", r"success"),
    ("getNamesrvConfig", ALL, "", r"listenPort"),
    ("updateNamesrvConfig", ALL, "-k logLevel -v info", r"success"),
    ("allocateMQ", ALL, "-t Orders -i a,b", r'"brokerName":"broker-a"'),
    ("queryCq", ALL, "-t Orders -q 0 -i 0 -c 2 -b {leader}", r"max: \d+, min: 0"),
    ("exportMetadata", ALL, "-c TestCluster -f {folder}", r"success"),
    ("exportConfigs", ALL, "-c TestCluster -f {folder}", r"success"),
    ("exportMetrics", ALL, "-c TestCluster -f {folder}", r"success"),
    ("deleteSubGroup", ALL, "-c TestCluster -g G2", r"delete subscription group .* success"),
    ("deleteTopic", ALL, "-c TestCluster -t T1", r"delete topic \[T1\] from NameServer success"),
]

# What there is nothing for in raftmq, and what to do instead.
REFUSED = [
    ("updateBrokerConfig", ALL, "-b {leader} -k traceOn -v false", r"CODE: 16 .*broker\.conf",
     "settings are read at the start: change broker.conf, restart the node"),
    ("haStatus", NEW, "-b {leader}", r"CODE: 3 ", "replicas are Raft's: `raftmq cluster status`"),
    ("getBrokerEpoch", NEW, "-b {leader}", r"^\s*$", "prints nothing; `raftmq cluster status` has the term"),
    ("resetMasterFlushOffset", NEW, "-b {leader} -o 0", r"CODE: 3 ", "there is no such offset"),
    ("createUser", NEW, "-b {leader} -u u -p p", r"CODE: 3 ", "no ACL yet"),
    ("listUser", NEW, "-b {leader}", r"CODE: 3 ", "no ACL yet"),
    ("createAcl", NEW, "-b {leader} -s User:u -r Topic:T -a Pub -d Allow", r"CODE: 3 ",
     "no ACL yet"),
    ("listAcl", NEW, "-b {leader}", r"CODE: 3 ", "no ACL yet"),
    ("updateAclConfig", OLD, "-b {leader} -a key123456 -s secret123", r"CODE: 3 ", "no ACL yet"),
    ("clusterAclConfigVersion", OLD, "-b {leader}", r"CODE: 3 ", "no ACL yet"),
    ("updateGlobalWhiteAddr", OLD, "-b {leader} -g 10.0.0.1", r"CODE: 3 ", "no ACL yet"),
    ("getColdDataFlowCtrInfo", NEW, "-b {leader}", r"CODE: 3 ", "reads are not slowed by age"),
    ("setCommitLogReadAheadMode", NEW, "-b {leader} -m 0", r"CODE: 3 ",
     "the kernel decides"),
    ("exportPopRecord", NEW, "-b {leader}", r"CODE: 3 ", "there is no revive topic to export"),
    ("checkRocksdbCqWriteProgress", NEW, "-c TestCluster -n {names}", r"CODE: 3 ",
     "there are no consume queue files"),
]


class Mqadmin:
    version = ""

    @classmethod
    def setUpClass(cls):
        if not java_built(cls.version):
            raise unittest.SkipTest(f"Java or rocketmq-tools {cls.version} could not be had")

    def test_every_subcommand(self):
        with Cluster() as cluster:
            cluster.wait_ready()
            cluster.create_topic("Orders")
            with java(self.version, cluster) as client:
                places = self.prepare(cluster, client)
                for name, versions, arguments, expected, *_ in WORKS + REFUSED:
                    if self.version in versions:
                        with self.subTest(name=name, arguments=arguments):
                            words = arguments.format(**places).split()
                            printed = client.mqadmin(name, *words, "-n", cluster.namesrv)
                            self.assertRegex(printed, re.compile(expected, re.S), name)
                            self.noted(name, expected)

    def prepare(self, cluster, client):
        """Messages, a producer and a consumer to ask about."""
        client("producer", "P")
        sent = [client("send", "Orders", "t", f"k{i}").split() for i in range(30)]
        client("consumer", "G", "Orders", "*")
        wait_for("all consumed", lambda: client("total") == "30 30", 60)
        wait_for("all committed", lambda: self.committed(cluster, client) == 12, 60)
        folder = cluster.directory
        with open(os.path.join(folder, "topics.json"), "w", encoding="ascii") as out:
            json.dump([{"topicName": "TL", "readQueueNums": 4, "writeQueueNums": 4, "perm": 6}], out)
        with open(os.path.join(folder, "groups.json"), "w", encoding="ascii") as out:
            json.dump([{"groupName": "GL", "consumeEnable": True}], out)
        leader = cluster.wait_leader("broker-a")
        shown = client.mqadmin("queryMsgByOffset", "-t", "Orders", "-b", "broker-a", "-i", "0",
                               "-o", "0", "-n", cluster.namesrv)
        connected = client.mqadmin("consumerConnection", "-g", "G", "-n", cluster.namesrv)
        return {
            "leader": cluster.address(leader, "broker-a"),
            "key": sent[0][1],
            "id": re.search(r"OffsetID: +(\w+)", shown).group(1),
            "client": re.search(r"(?m)^(\S+@\S+)", connected).group(1),
            "folder": folder,
            "names": cluster.namesrv,
        }

    @staticmethod
    def committed(cluster, client):
        """Queues whose consumer offset is that of the broker."""
        told = client.mqadmin("consumerProgress", "-g", "G", "-n", cluster.namesrv)
        return len(re.findall(r"(?m)^Orders +broker-\w +\d+ +(\d+) +\1 ", told))

    def noted(self, name, expected):
        """For the table: it did what was expected of it."""
        path = os.environ.get("COMPATIBILITY")
        if path:
            with open(path, "a", encoding="utf-8") as out:
                out.write(json.dumps([self.version, name, expected]) + "\n")


class Mqadmin533(Mqadmin, unittest.TestCase):
    version = "5.3.3"


class Mqadmin498(Mqadmin, unittest.TestCase):
    version = "4.9.8"


if __name__ == "__main__":
    unittest.main()
