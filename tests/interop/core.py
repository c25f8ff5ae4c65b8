"""What every client must be able to do with raftmq, whatever its language and age."""

from cluster import Cluster, wait_for
from features import LACKS_JAVA, LACKS_NODE, note, shows

# Retries of which the first come within a few seconds.
FAST_RETRIES = {"messageDelayLevel": "1s 1s 1s 1s 2s"}


class Core:
    """Mixed into a test case that has client_name, and client(cluster, name) to start an agent."""

    def test_core(self):
        with Cluster(settings=FAST_RETRIES) as cluster:
            cluster.wait_ready()
            for topic in ("Orders", "News", "Work"):  # Old clients do not fall back to TBW102.
                cluster.create_topic(topic)
            with self.client(cluster, "one") as one, self.client(cluster, "two") as two:
                self.note_what_it_lacks(one)
                one("producer", "P")
                self.consume_by_tag(one)
                self.go_on_where_the_group_was(one, two)
                self.broadcast(one, two)
                self.retry(one)

    def note_what_it_lacks(self, one):
        features = LACKS_JAVA if self.client_name.startswith("Java") else LACKS_NODE
        for feature, where in features.items():
            if one("lacks", *([where] if isinstance(where, str) else where)) == "true":
                note(self.client_name, feature, "–")

    @shows("send", "push", "tags")
    def consume_by_tag(self, one):
        for i in range(12):
            answer = one("send", "Orders", "even" if i % 2 == 0 else "odd", f"k{i}")
            self.assertTrue(answer.startswith("SEND_OK"), answer)
        one("consumer", "AllOrders", "Orders", "*")
        wait_for("12 messages", lambda: one("total") == "12 12", 60)
        one("consumer", "OddOrders", "Orders", "odd")
        wait_for("6 more by tag", lambda: one("total") == "18 12", 60)
        self.assertEqual((one.seen("k7"), one.seen("k8")), (2, 1))
        one("send", "Orders", "odd", "late")
        wait_for("a message into a long poll", lambda: one.seen("late") == 2, 20)

    @shows("offsets")
    def go_on_where_the_group_was(self, one, two):
        """A consumer that stops leaves its offsets to the next one of its group."""
        one("consumerstop")
        one("send", "Orders", "odd", "missed")
        two("consumer", "AllOrders", "Orders", "*")
        wait_for("what came meanwhile", lambda: two.seen("missed") == 1, 60)
        self.assertEqual(two("total"), "1 1")
        two("consumerstop")

    @shows("broadcast")
    def broadcast(self, one, two):
        for each in (one, two):
            each("broadcast", "Readers", "News")
        for i in range(4):
            one("send", "News", "t", f"news{i}")
        for each in (one, two):
            wait_for("all of the news", lambda each=each: all(
                each.seen(f"news{i}") == 1 for i in range(4)), 60)
            each("consumerstop")

    @shows("retry")
    def retry(self, one):
        one("flaky", "Workers", "Work", 1, 5)
        one("send", "Work", "t", "task")
        wait_for("a second delivery", lambda: one.seen("task") == 2, 60)
        self.assertEqual(one("attempts", "task"), "Work:0 Work:1")
