"""What clients were told, and what they saw: the base of every check. Thread-safe."""

import collections
import hashlib
import threading

COMMIT, ROLLBACK = 8, 12


def digest(body):
    return hashlib.blake2b(body, digest_size=12).digest()


class Transaction:
    """A transaction as its producer's database has it: decided before the half is sent."""

    def __init__(self, key, decision):
        self.key = key
        self.decision = decision
        self.half_acked = False
        self.end_acked = False


class History:
    def __init__(self):
        self.lock = threading.Lock()
        self.acked = {}         # (group, topic, queue, offset): digest of the body
        self.seen = {}          # The same, as consumers read it.
        self.offsets = {}       # (group, topic, queue): the highest that was said to be kept
        self.transactions = {}  # By key.
        self.counts = collections.Counter()
        self.acks_of = collections.Counter()  # By group: for progress.
        self.violations = []

    def violate(self, text):
        with self.lock:
            if len(self.violations) < 100:
                self.violations.append(text)
            self.counts["violations"] += 1

    def ack(self, place, body):
        """A send was answered with success."""
        with self.lock:
            self.acks_of[place[0]] += 1
            self.counts["sends acknowledged"] += 1
            before = self.acked.setdefault(place, digest(body))
        if before != digest(body):
            self.violate(f"{place} was acknowledged for two messages")

    def saw(self, place, body, who):
        """A message was read at its place."""
        found = digest(body)
        with self.lock:
            first = self.seen.setdefault(place, found)
            acked = self.acked.get(place, found)
            self.counts["messages read"] += 1
        if first != found:
            self.violate(f"{place} read at {who} is not what was read there before")
        if acked != found:
            self.violate(f"{place} read at {who} is not what was acknowledged")

    def begin(self, key, decision):
        with self.lock:
            transaction = self.transactions[key] = Transaction(key, decision)
        return transaction

    def decision_of(self, key):
        """What the producer's database says; None for a key that it never had."""
        with self.lock:
            transaction = self.transactions.get(key)
        return transaction and transaction.decision

    def commit_offset(self, queue, offset):
        with self.lock:
            self.offsets[queue] = max(self.offsets.get(queue, 0), offset)

    def count(self, what, more=1):
        with self.lock:
            self.counts[what] += more
