"""RocketMQ's own Java client, unmodified: how members share a topic, consumers that pull, where a
group begins, all ways to send, traces, look-ups."""

import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "integration"))

from agent import AgentError, java  # noqa: E402
from allocation import STRATEGIES, configured  # noqa: E402
from cluster import wait_for  # noqa: E402
from features import note, shows  # noqa: E402
from shared_cluster import (  # noqa: E402, F401
    BODY_MAX, BROKERS, CUT_BROKER, SharedCluster, setUpModule, tearDownModule,
)

# A member shares anew when it is told that others came or went, or else after 20 s (Java's default).
# It must be told: but its thread may lose that it was, if that comes just as it begins to wait
# (ServiceThread.waitForRunning), so one such wait in all is excused.
TIMER = ["-Drocketmq.client.rebalance.waitInterval=20000",
         "-Drocketmq.client.rebalance.minInterval=50"]
TOLD_SECONDS = 10
TIMER_SECONDS = 30


def keys_seen(agent, group):
    """Of all that a group has consumed."""
    return set(agent("memberseen", group).partition(" ")[2].split(","))


class Group:
    """Members of one group, which share out a topic by a strategy."""

    def __init__(self, agent, strategy, tag, topic, queues):
        self.agent, self.strategy, self.topic, self.queues = agent, strategy, topic, queues
        self.name = f"{strategy}{tag}"
        self.late = 0  # How often it took the timer.

    def named(self, member):
        """Each member is a client of its own: one that leaves takes its connections with it."""
        room, number = member.split("-")
        return f"{room}-{self.name}-{number}"

    def join(self, member):
        more = "east,west"
        if self.strategy == "CONFIG":
            more = ",".join(f"{broker}:{n}" for broker, n in configured(self.queues, member))
        self.agent("member", self.named(member), self.name, self.topic, self.strategy, more)

    def leave(self, member):
        self.agent("memberstop", self.named(member))

    def keys(self):
        return keys_seen(self.agent, self.name)

    def wait_shared(self, *members):
        """Until each has what it should. No two shares overlap."""
        names = [self.named(member) for member in members]
        ids = {self.agent("memberid", name): name for name in names}
        shares = STRATEGIES[self.strategy](self.queues, sorted(ids), self.topic)
        all_shares = sum(shares.values(), [])
        assert len(set(all_shares)) == len(all_shares)

        def shared():
            return all(
                self.agent("memberqueues", name, self.topic)
                == ",".join(f"{broker}:{n}" for broker, n in sorted(shares[client_id]))
                for client_id, name in ids.items())

        begun = time.monotonic()
        wait_for(f"shares of {members} by {self.strategy}", shared, TIMER_SECONDS)
        self.late += time.monotonic() - begun > TOLD_SECONDS


class Consumers(SharedCluster):
    """Run for each version by the classes below."""

    # --- Members of a group ---

    def test_members_share_a_topic_as_their_strategy_says(self):
        topic = self.topic("Shared", 5)
        queues = self.queues(5)
        passed = {strategy: 0 for strategy in STRATEGIES}
        late = 0
        with java(self.version, self.cluster, name=f"members{self.tag}",
                  options=TIMER) as agent:
            for step in (self.two_members, self.one_more, self.one_less):
                for strategy in STRATEGIES:
                    with self.subTest(step=step.__name__, strategy=strategy):
                        group = Group(agent, strategy, self.tag, topic, queues)
                        step(group)
                        late += group.late
                        passed[strategy] += 1
        self.assertLessEqual(late, 1, "waits that only the members' own timers have ended")
        held = [strategy for strategy, steps in passed.items() if steps == 3]
        for feature in held + (["members"] if len(held) == len(STRATEGIES) else []):
            note(self.client_name, feature, "yes")

    @staticmethod
    def two_members(group):
        group.join("east-1")
        group.join("west-2")
        group.wait_shared("east-1", "west-2")

    def one_more(self, group):
        group.join("west-3")
        group.wait_shared("east-1", "west-2", "west-3")
        keys = self.sent_to_all(group.topic, group.queues, group.strategy)
        wait_for("the whole topic consumed", lambda: keys <= group.keys())

    @staticmethod
    def one_less(group):
        group.leave("east-1")
        group.wait_shared("west-2", "west-3")

    def sent_to_all(self, topic, queues, prefix):
        keys = set()
        for broker, number in queues:
            key = f"{prefix}-{broker}-{number}"
            self.sent(topic, f"{broker}:{number}", key)
            keys.add(key)
        return keys

    # --- Consumers that pull ---

    def polled(self, name, wanted):
        """Polls until there are so many; queue, offset and key of each."""
        found = []

        def enough():
            for word in self.client("litepoll", name, 200).split(","):
                if word:
                    broker, number, offset, key = word.split(":")
                    found.append((f"{broker}:{number}", int(offset), key))
            return len(found) >= wanted

        wait_for(f"{wanted} messages polled by {name}", enough)
        return found

    @shows("lite subscribe")
    def test_lite_pull_goes_on_under_the_next_leader(self):
        topic, group = self.topic("LiteSub"), f"LiteSub{self.tag}"
        probe = self.topic("Probe")
        queues = [f"{broker}:{number}" for broker, number in self.queues(2)]
        for queue in queues:
            self.sent(topic, queue, f"early-{queue.replace(':', '-')}")
        self.client("lite", f"one{self.tag}", group, topic)
        self.assertEqual(sorted(queue for queue, _, _ in self.polled(f"one{self.tag}", 6)), queues)
        self.client("litesave", f"one{self.tag}", topic, ",".join(queues))
        wait_for("the broker to hear of it", lambda: all(
            self.stored_offset(group, topic, queue) == "1" for queue in queues))
        leader = self.cluster.wait_leader(BROKERS[0])
        self.cluster.kill(leader)
        self.client("litestop", f"one{self.tag}")
        self.routed_anew(leader, probe)
        for queue in queues:
            self.sent(topic, queue, "late")
        self.client("lite", f"two{self.tag}", group, topic)
        self.assertEqual({key for _, _, key in self.polled(f"two{self.tag}", 6)}, {"late"})
        self.client("litecommit", f"two{self.tag}")
        self.client("litestop", f"two{self.tag}")  # Says how far it is, as with every few seconds.
        self.cluster.start(leader)
        self.cluster.wait_ready()
        self.client("lite", f"three{self.tag}", group, topic)
        self.sent(topic, queues[0], "last")
        self.assertEqual([key for _, _, key in self.polled(f"three{self.tag}", 1)], ["last"])
        self.client("litestop", f"three{self.tag}")

    def routed_anew(self, dead, probe):
        """Until all groups are led by others, and the client knows: sends to a chosen queue are not
        retried elsewhere."""
        for broker in BROKERS:
            self.cluster.wait_leader(broker, other_than=dead)

            def sent(queue=f"{broker}:0"):
                try:
                    return self.sent(probe, queue, "probe")
                except AgentError:
                    return None

            wait_for(f"the client to know a route to {broker}", sent)

    @shows("lite assign", "time")
    def test_lite_pull_of_assigned_queues(self):
        topic = self.topic("LiteAssign")
        name, group = f"assigned{self.tag}", f"LiteAssign{self.tag}"
        queue, other = f"{BROKERS[0]}:0", f"{BROKERS[1]}:1"
        for i in range(8):
            self.sent(topic, queue, f"m{i}")
        known = self.client("liteassign", name, group, topic, f"{queue},{other}")
        self.assertEqual(known.split(","), [f"{b}:{n}" for b, n in self.queues(2)])
        self.assertEqual([offset for _, offset, _ in self.polled(name, 8)], list(range(8)))
        for where, begin in ((5, 5), ("begin", 0)):
            self.client("liteseek", name, topic, queue, where)
            offsets = [offset for _, offset, _ in self.polled(name, 8 - begin)]
            self.assertEqual(offsets, list(range(begin, 8)))
        self.client("litesave", name, topic, queue)
        self.assertEqual(self.client("litecommitted", name, topic, queue), "8")
        wait_for("the offset at the broker",
                 lambda: self.stored_offset(group, topic, queue) == "8")
        self.client("liteseek", name, topic, queue, 2)
        self.client("liteseek", name, topic, queue, "end")
        self.sent(topic, queue, "m8")
        self.assertEqual(self.polled(name, 1), [(queue, 8, "m8")])
        self.paused(topic, name, queue, other)
        times = self.store_times(topic, queue, 10)
        for i in (0, 4, 8):
            self.assertEqual(int(self.client("liteattime", name, topic, queue, times[i])),
                             times.index(times[i]))
        self.client("litestop", name)

    def paused(self, topic, name, queue, other):
        """Nothing comes from a queue that is paused, but what a pull under way brings."""
        self.client("litepause", name, topic, queue)
        self.sent(topic, queue, "under-way")
        self.sent(topic, other, "first")
        seen = {key for _, _, key in self.polled(name, 1)}
        self.sent(topic, queue, "held")
        self.sent(topic, other, "second")
        while "second" not in seen:
            seen |= {key for _, _, key in self.polled(name, 1)}
        self.assertNotIn("held", seen)
        self.client("literesume", name, topic, queue)
        while "held" not in seen:
            seen |= {key for _, _, key in self.polled(name, 1)}
        self.assertEqual(seen, {"under-way", "first", "held", "second"})

    def pulled(self, topic, queue, offset, count=32, tags="*"):
        """Status, next, first and last offset, and of each message: offset, key, time, id."""
        answer = self.client("pull", topic, queue, offset, count, tags).split(" ")
        messages = [m.split(":") for m in answer[4].split(",")] if len(answer) > 4 else []
        return answer[0], *(int(n) for n in answer[1:4]), [m for m in messages if m != [""]]

    def store_times(self, topic, queue, count):
        """Of the first messages. The client asks whichever replica it thinks is the leader, which
        may know of them a moment later."""
        wait_for("so many to be read", lambda: self.pulled(topic, queue, 0)[1] >= count)
        return [int(time_ms) for _, _, time_ms, _ in self.pulled(topic, queue, 0)[4]]

    @shows("pull")
    def test_a_pull_consumer_does_it_all_itself(self):
        topic = self.topic("Pull")
        queue = f"{BROKERS[1]}:1"
        self.assertEqual(self.client("pullqueues", topic).split(","),
                         [f"{broker}:{n}" for broker, n in self.queues(2)])
        for i in range(6):
            self.sent(topic, queue, f"p{i}")
        self.store_times(topic, queue, 6)
        status, following, first, last, messages = self.pulled(topic, queue, 1, 3)
        self.assertEqual((status, following, first, last), ("FOUND", 4, 0, 6))
        self.assertEqual([m[1] for m in messages], ["p1", "p2", "p3"])
        self.assertEqual(self.pulled(topic, queue, 0, 32, "t||u")[:2], ("FOUND", 6))
        self.assertEqual(self.pulled(topic, queue, 0, 32, "u")[:2], ("NO_MATCHED_MSG", 6))
        self.assertEqual(self.pulled(topic, queue, 6)[:2], ("NO_NEW_MSG", 6))
        self.assertEqual(self.pulled(topic, queue, 9)[:2], ("OFFSET_ILLEGAL", 6))
        self.client("pullblock", topic, queue, 6)
        self.sent(topic, queue, "awaited")
        self.assertIn(":awaited:", self.client("pullblocked"))
        self.assertEqual(int(self.client("pullsaved", topic, queue)), 0)
        self.client("pullsave", topic, queue, 4)
        wait_for("the broker to hear of it",
                 lambda: self.client("pullsaved", topic, queue) == "4")
        times = self.store_times(topic, queue, 7)
        self.assertEqual(self.client("ends", topic, queue), f"0 7 {times[0]}")
        self.assertEqual(self.client("ends", topic, f"{BROKERS[0]}:0").split()[:2], ["0", "0"])

    # --- Where a group begins ---

    @shows("begin")
    def test_where_a_new_group_begins(self):
        young = self.topic("Young", 1)
        self.sent(young, f"{BROKERS[0]}:0", "young")
        with self.cluster.connect(CUT_BROKER) as connection:
            wait_for("the first message to go", lambda: connection.invoke(
                31, {"topic": "Cut", "queueId": "0"}).fields["offset"] != "0")
        self.sent("Cut", f"{CUT_BROKER}:0", f"before{self.tag}")
        moment = int(time.time()) + 1
        wait_for("the next second", lambda: time.time() > moment + 0.1)
        self.sent("Cut", f"{CUT_BROKER}:0", f"after{self.tag}")
        stamp = time.strftime("%Y%m%d%H%M%S", time.localtime(moment))
        for where, *more in (("FIRST_OFFSET",), ("LAST_OFFSET",), ("TIMESTAMP", stamp)):
            for topic in (young, "Cut"):
                name = f"{topic}-{where}{self.tag}"
                self.client("begin", name, name, topic, where, *more)
        self.expect_begun(young, {where: {"young"} for where in (
            "FIRST_OFFSET", "LAST_OFFSET", "TIMESTAMP")})
        self.expect_begun("Cut", {"TIMESTAMP": {f"after{self.tag}"}})
        wait_for("all groups to be there", lambda: self.has_begun("Cut-LAST_OFFSET"))
        self.sent("Cut", f"{CUT_BROKER}:0", f"new{self.tag}")
        self.expect_begun("Cut", {
            "LAST_OFFSET": {f"new{self.tag}"},
            "TIMESTAMP": {f"after{self.tag}", f"new{self.tag}"},
        })
        wait_for("all from the first that is left", lambda: {
            "kept", f"before{self.tag}", f"after{self.tag}", f"new{self.tag}",
        } <= keys_seen(self.client, f"Cut-FIRST_OFFSET{self.tag}"))
        self.assertNotIn("lost", keys_seen(self.client, f"Cut-FIRST_OFFSET{self.tag}"))

    def has_begun(self, name):
        return self.client("memberqueues", f"{name}{self.tag}", "Cut") == f"{CUT_BROKER}:0"

    def expect_begun(self, topic, keys):
        for where, expected in keys.items():
            group = f"{topic}-{where}{self.tag}"
            wait_for(f"{expected} in {group}",
                     lambda group=group, expected=expected: (
                         keys_seen(self.client, group) == expected))

    @shows("reset")
    def test_offsets_are_reset_under_a_running_consumer(self):
        topic, group = self.topic("Reset", 1), f"Reset{self.tag}"
        queues = [f"{broker}:0" for broker in BROKERS]
        for queue in queues:
            self.sent(topic, queue, "old")
        between = max(self.store_times(topic, queue, 1)[0] for queue in queues) + 1
        wait_for("the next millisecond", lambda: time.time() * 1000 > between)
        for queue in queues:
            self.sent(topic, queue, "new")
        self.client("begin", group, group, topic, "FIRST_OFFSET")
        wait_for("all of it", lambda: self.client("memberseen", group) == "6 new,old")
        self.client.mqadmin("resetOffsetByTime", "-g", group, "-t", topic, "-s", between,
                            "-n", self.cluster.namesrv)
        wait_for("the new ones again", lambda: self.client("memberseen", group) == "9 new,old", 60)

    # --- All ways to send ---

    def consumed(self, name, tags="*"):
        """A topic, and a consumer that remembers by key what it sees of it."""
        topic = self.topic(name)
        self.client("consumer", f"{name}{self.tag}", topic, tags)
        return topic

    def wait_seen(self, *keys):
        for key in keys:
            wait_for(f"{key} to be seen", lambda key=key: self.client.seen(key) >= 1)

    @shows("async", "oneway", "send to")
    def test_sends_with_a_callback_and_without_an_answer(self):
        topic = self.consumed("Ways")
        self.assertTrue(self.client("sendasync", topic, "by-callback").startswith("SEND_OK"))
        self.client("sendoneway", topic, "oneway")
        for broker in BROKERS:
            self.sent(topic, f"{broker}:1", f"to-{broker}")
        self.wait_seen("by-callback", "oneway", *(f"to-{broker}" for broker in BROKERS))

    @shows("batch")
    def test_batches(self):
        topic = self.consumed("Batches")
        status, queue, offset, ids, _ = self.client("sendbatch", topic, "few", 10, 100).split()
        self.assertEqual((status, len(ids.split(","))), ("SEND_OK", 10))
        self.store_times(topic, queue, int(offset) + 10)
        messages = self.pulled(topic, queue, offset)[4]
        self.assertEqual([m[1] for m in messages], [f"few{i}" for i in range(10)])
        # The address before the position is that of whoever led at the time.
        self.assertEqual([m[3][16:] for m in messages], [i[16:] for i in ids.split(",")])
        answers = self.client("sendbatch", topic, "many", 50, 60000).split(";")
        self.assertEqual({answer.split()[0] for answer in answers}, {"SEND_OK"})
        self.assertEqual(len(answers), 3)
        self.wait_seen(*(f"few{i}" for i in range(10)), *(f"many{i}" for i in range(50)))

    @shows("zlib")
    def test_compressed_bodies(self):
        topic = self.consumed("Zlib")
        self.compressed(topic, "zlib")

    def compressed(self, topic, key):
        size = 300000
        checksum = self.client("sendbody", topic, key, size, "text")
        *body, stored = self.arrived(key)
        self.assertEqual(body, [str(size), checksum])
        self.assertLess(int(stored), size // 10)

    def arrived(self, key):
        """Size and checksum of a message's body, and the size it was stored in."""
        return wait_for(f"the body of {key}", lambda: self.client("body", key).split())

    @shows("sizes")
    def test_the_largest_body(self):
        topic = self.consumed("Sizes")
        self.client("tune", "CompressMsgBodyOverHowmuch", 2 * BODY_MAX)
        checksum = self.client("sendbody", topic, "largest", BODY_MAX, "noise")
        self.assertEqual(self.arrived("largest")[:2], [str(BODY_MAX), checksum])
        with self.assertRaisesRegex(AgentError, "MQClientException.*CODE: 13"):
            self.client("sendbody", topic, "larger", BODY_MAX + 1, "noise")
        self.client("tune", "MaxMessageSize", 2 * BODY_MAX)
        with self.assertRaisesRegex(AgentError, f"MQBrokerException.*CODE: 13 .*{BODY_MAX}"):
            self.client("sendbody", topic, "larger", BODY_MAX + 1, "noise")
        self.client("tune", "MaxMessageSize", BODY_MAX)
        self.client("tune", "CompressMsgBodyOverHowmuch", 4096)

    @shows("properties")
    def test_properties_tags_and_keys(self):
        topic = self.consumed("Properties")
        self.client("sendproperties", topic, "properties")
        self.wait_seen("properties")
        self.assertEqual(self.client("properties", "properties"), "")
        self.client("consumer", f"Tagged{self.tag}", topic, "t")
        self.client("sendtagged", topic, "empty-tags")
        self.client("sendtagged", topic, "no-tags", "none")
        for broker, number in self.queues(2):  # Behind both, in whichever queues they are.
            self.sent(topic, f"{broker}:{number}", f"tagged-{broker}-{number}")
        for broker, number in self.queues(2):
            wait_for("it in both groups", lambda key=f"tagged-{broker}-{number}": (
                self.client.seen(key) == 2))
        self.wait_seen("empty-tags", "no-tags")
        self.assertEqual([self.client.seen(k) for k in ("empty-tags", "no-tags")], [1, 1])
        self.client("sendkeys", topic, "key-1", "key-2", "key-3")
        for key in ("key-1", "key-2", "key-3"):
            self.assertIn(":key-1 key-2 key-3:", self.client("query", topic, key))

    # --- Traces and look-ups ---

    @shows("trace")
    def test_traces(self):
        topic = self.topic("Traced", 1)
        self.client("traced", f"Traced{self.tag}", topic)
        sent = self.client("tracedsend", topic, "plain")
        half = self.client("tracedhalf", topic, "half")

        def traced(message_id, kinds):
            try:
                return self.client("traces", message_id) == kinds
            except AgentError as error:
                # No trace of it, or not even their topic yet.
                return not str(error) and None

        wait_for("traces of a send", lambda: traced(sent, "Pub SubAfter SubBefore"))
        wait_for("traces of a transaction",
                 lambda: traced(half, "EndTransaction Pub SubAfter SubBefore"))
        printed = self.client.mqadmin("queryMsgTraceById", "-i", sent, "-n", self.cluster.namesrv)
        self.assertRegex(printed, rf"(?s)#Type.*Pub +Traced{self.tag} .*success")
        self.assertRegex(printed, rf"(?s)#ConsumerGroup.*Traced{self.tag}-c")

    @shows("lookup")
    def test_a_message_is_found_under_every_leader(self):
        topic = self.topic("Looked")
        queue = f"{BROKERS[0]}:1"
        answer = self.client("sendto", topic, queue, "looked-for").split()
        self.assertEqual(answer[0], "SEND_OK")
        offset, message_id, unique_key = answer[2:]
        self.cluster.wait_ready()
        for node in self.cluster.nodes:
            if self.cluster.wait_leader(BROKERS[0]) != node:
                self.cluster.transfer(BROKERS[0], node)
            wait_for(f"node {node} to lead",
                     lambda node=node: self.cluster.leader(BROKERS[0]) == node)
            # The first half of its id is the address of who answered.
            same = rf"^{offset}:looked-for:\d+:\w{{16}}{message_id[16:]}$"
            for words in (("view", topic, message_id), ("view", topic, unique_key),
                          ("query", topic, "looked-for")):
                self.assertRegex(self.client(*words), same)


class Newer(Consumers):
    """What clients before 5.0 lack."""

    @shows("lz4")
    def test_other_compressions(self):
        topic = self.consumed("Compressed")
        for kind in ("LZ4", "ZSTD", "ZLIB"):
            self.client("tune", "CompressType", kind)
            self.compressed(topic, kind)

    @shows("boundary")
    def test_offsets_by_time_with_boundaries(self):
        topic = self.topic("Boundary", 1)
        queue = f"{BROKERS[2]}:0"
        for i in range(3):
            self.sent(topic, queue, f"b{i}")
            last = self.store_times(topic, queue, i + 1)[-1]
            wait_for("the next millisecond", lambda last=last: time.time() * 1000 > last + 2)
        times = self.store_times(topic, queue, 3)

        def offsets(time_ms):
            return [int(self.client("boundary", topic, queue, time_ms, which))
                    for which in ("Lower", "Upper")]

        for i, time_ms in enumerate(times):
            self.assertEqual(offsets(time_ms), [i, i])
            self.assertEqual(offsets(time_ms + 1), [i + 1, i])
        self.assertEqual(offsets(times[0] - 1), [0, 0])


class Java550(Newer, unittest.TestCase):
    version = "5.5.0"


class Java533(Newer, unittest.TestCase):
    version = "5.3.3"


class Java498(Consumers, unittest.TestCase):
    version = "4.9.8"


if __name__ == "__main__":
    unittest.main()
