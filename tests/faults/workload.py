"""Clients under load: plain sends, transactions with check-back, consumers with offsets.

Each client is a thread that goes on whatever happens; what it is told goes into the history. An
answer that does not come leaves the outcome open, as it does for every client.
"""

import json
import random
import select
import socket
import threading
import time

from history import COMMIT, ROLLBACK
from remoting import RESPONSE, Connection, message_position, messages, pull, send_fields

PLAIN, PAID = "Plain", "Paid"
QUEUES = 4
PRODUCER, CONSUMER = "P", "G"
TIMEOUT = 3.0  # As clients have it.


class Client(threading.Thread):
    """Does one thing after another until it is stopped; `pause` seconds lie between them."""

    pause = 0.02

    def __init__(self, load, number):
        super().__init__(daemon=True, name=f"{type(self).__name__}-{number}")
        self.load = load
        self.world = load.world
        self.history = load.history
        self.number = number
        self.random = random.Random(f"{load.seed}-{self.name}")
        self.connections = {}
        self.made = 0

    def connect(self, node, group):
        """The connection to a replica, kept; OSError if there is none to be had."""
        if (node, group) not in self.connections:
            self.connections[node, group] = Connection(self.world.address(node, group), TIMEOUT)
        return self.connections[node, group]

    def drop(self, node, group):
        connection = self.connections.pop((node, group), None)
        if connection is not None:
            connection.close()

    def ask(self, node, group, code, fields, body=b""):
        """The answer's frame; None if there was none."""
        try:
            return self.connect(node, group).invoke(code, fields, body, expect=None)
        except OSError:
            self.drop(node, group)
            return None

    def somewhere(self):
        """A node that could answer, and a group: any replica takes any request."""
        nodes = self.world.available() or self.world.nodes
        return self.random.choice(nodes), self.random.choice(self.world.group_names)

    def run(self):
        while not self.load.stopping.wait(self.pause):
            try:
                self.step()
            except Exception as error:  # A client that ends by itself would hide what follows.
                self.history.violate(f"{self.name}: {type(error).__name__}: {error}")
        for node, group in list(self.connections):
            self.drop(node, group)

    def step(self):
        raise NotImplementedError


class Sender(Client):
    """Messages with bodies that no other has."""

    def step(self):
        node, group = self.somewhere()
        self.made += 1
        key = f"{self.name}-{self.made}"
        body = key.encode() + b"." * self.random.choice([0, 10, 100, 1000, 5000])
        queue = self.random.randrange(QUEUES)
        frame = self.ask(node, group, 310, send_fields(PLAIN, queue, {"KEYS": key}), body)
        if frame is not None and frame.code == 0:
            self.history.ack((group, PLAIN, int(frame.fields["queueId"]),
                              int(frame.fields["queueOffset"])), body)
        else:
            self.history.count("sends refused" if frame else "sends without answer")


class Payer(Client):
    """Transactions. The decision is made first, as if by a local database that survives."""

    def step(self):
        node, group = self.somewhere()
        self.made += 1
        key = f"{self.name}-{self.made}"
        decision = COMMIT if self.random.random() < 0.7 else ROLLBACK
        transaction = self.history.begin(key, decision)
        half = self.send_half(node, group, key)
        if half is None:
            node, _ = self.somewhere()
            half = self.send_half(node, group, key)  # As clients do, with the same UNIQ_KEY.
        if half is None:
            self.history.count("halves without answer")
            return
        transaction.half_acked = True
        self.history.count("halves acknowledged")
        if self.random.random() < 0.3:
            return  # It dies here, so to say: the check-back decides.
        self.end(transaction, group, half)

    def send_half(self, node, group, key):
        fields = send_fields(PAID, 0, {"TRAN_MSG": "true", "PGROUP": PRODUCER, "UNIQ_KEY": key},
                             PRODUCER)
        frame = self.ask(node, group, 310, fields, key.encode())
        if frame is None or frame.code != 0:
            return None
        return {"producerGroup": PRODUCER, "tranStateTableOffset": frame.fields["queueOffset"],
                "commitLogOffset": str(message_position(frame.fields["msgId"])), "msgId": key}

    def end(self, transaction, group, half):
        node, _ = self.somewhere()
        decided = {**half, "commitOrRollback": str(transaction.decision)}
        frame = self.ask(node, group, 37, decided)
        if frame is None or frame.code != 0:
            self.history.count("decisions without answer")
            return
        transaction.end_acked = True
        self.history.count("decisions acknowledged")
        if self.random.random() < 0.2:
            contrary = COMMIT + ROLLBACK - transaction.decision
            node, _ = self.somewhere()
            frame = self.ask(node, group, 37, {**half, "commitOrRollback": str(contrary)})
            if frame is not None and frame.code == 0:
                self.history.violate(f"{transaction.key}: a contrary decision was acknowledged")


class Checked(Client):
    """The producer that brokers ask back: connected to every replica, it answers from the model."""

    pause = 0.0

    def connect(self, node, group):
        known = (node, group) in self.connections
        connection = super().connect(node, group)
        if not known:
            beat = {"clientID": f"producer@{node}-{group}",
                    "producerDataSet": [{"groupName": PRODUCER}], "consumerDataSet": []}
            connection.oneway(34, {}, json.dumps(beat).encode())
        return connection

    def step(self):
        for node in self.world.available():
            for group in self.world.group_names:
                try:
                    self.connect(node, group)
                except OSError:
                    self.drop(node, group)
        by_socket = {c.socket: place for place, c in self.connections.items()}
        readable, _, _ = select.select(list(by_socket), [], [], 0.2)
        for one in readable:
            self.answer(*by_socket[one])
        if not by_socket:
            self.load.stopping.wait(0.1)

    def answer(self, node, group):
        connection = self.connections[node, group]
        try:
            frame = connection.receive()
            if frame.code != 39 or frame.flag & RESPONSE:
                return
            key = messages(frame.body)[0].properties["UNIQ_KEY"]
            decision = self.history.decision_of(key)
            if decision is None:
                self.history.violate(f"{key}: checked, but no producer ever sent it")
                return
            self.history.count("check-backs answered")
            connection.oneway(37, {
                "producerGroup": PRODUCER, "commitOrRollback": str(decision),
                "tranStateTableOffset": frame.fields["tranStateTableOffset"],
                "commitLogOffset": frame.fields["commitLogOffset"],
                "fromTransactionCheck": "true", "msgId": key})
        except (OSError, socket.timeout):
            self.drop(node, group)


class Consumer(Client):
    """Reads every queue from its beginning, at any replica, and commits its offsets."""

    pause = 0.01

    def __init__(self, load, number):
        super().__init__(load, number)
        self.next = {(g, t, q): 0 for g in self.world.group_names for t in (PLAIN, PAID)
                     for q in range(QUEUES if t == PLAIN else 1)}
        self.queues = list(self.next)

    def step(self):
        group, topic, queue = place = self.random.choice(self.queues)
        node, _ = self.somewhere()
        try:
            frame = pull(self.connect(node, group), topic, queue, self.next[place],
                         group=CONSUMER)
        except OSError:
            self.drop(node, group)
            return
        if frame.code != 0:
            return
        for message in messages(frame.body):
            if message.queue_offset != self.next[place]:
                self.history.violate(f"{place}: offset {message.queue_offset} at node {node} where "
                                     f"{self.next[place]} was due")
            self.history.saw((*place, message.queue_offset), message.body, f"node {node}")
            self.next[place] = message.queue_offset + 1
        self.commit(node, place)

    def commit(self, node, place):
        group, topic, queue = place
        fields = {"consumerGroup": CONSUMER, "topic": topic, "queueId": str(queue)}
        frame = self.ask(node, group, 15, {**fields, "commitOffset": str(self.next[place])})
        if frame is not None and frame.code == 0:
            self.history.commit_offset(place, self.next[place])
        if self.random.random() < 0.1:
            kept = self.history.offsets.get(place, 0)
            frame = self.ask(node, group, 14, fields)
            if frame is not None and frame.code == 0 and int(frame.fields["offset"]) < kept:
                self.history.violate(f"{place}: consumer offset {frame.fields['offset']} at node "
                                     f"{node}, {kept} was acknowledged")


class Load:
    """All clients. Use as a context manager."""

    def __init__(self, world, history, seed, senders=3, payers=2):
        self.world = world
        self.history = history
        self.seed = seed
        self.stopping = threading.Event()
        self.clients = [Sender(self, i) for i in range(senders)]
        self.clients += [Payer(self, i) for i in range(payers)]
        self.clients += [Consumer(self, 0), Checked(self, 0)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for client in self.clients:
            client.join(timeout=30)

    def stop_sending(self):
        """Leave only those that bring things to their end: who is asked back, and the consumer."""
        for client in self.clients:
            if isinstance(client, (Sender, Payer)):
                client.step = lambda: time.sleep(0.05)

    def wait_progress(self, seconds=60.0):
        """Every group acknowledges something new."""
        before = dict(self.history.acks_of)
        deadline = time.monotonic() + seconds
        behind = list(self.world.group_names)
        while behind:
            if time.monotonic() > deadline:
                raise AssertionError(f"no progress of {', '.join(behind)} within {seconds} s")
            time.sleep(0.01)
            behind = [g for g in behind if self.history.acks_of[g] == before.get(g, 0)]
