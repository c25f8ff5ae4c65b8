"""What clients can do, as rows of a table in docs/compatibility.md: tests say which of them they
show. With COMPATIBILITY naming a file, what held is noted there for compatibility.py."""

import functools
import json
import os

CLIENTS = ("Java 5.5.0", "Java 5.3.3", "Java 4.9.8", "ali-ons", "rocketmq")

# Name: in words. In the order of the table.
FEATURES = {
    "send": "send, and wait for the answer",
    "async": "send with a callback",
    "oneway": "send without an answer",
    "send to": "send to a chosen queue",
    "batch": "batches, and more than fit into one",
    "zlib": "compressed bodies: zlib",
    "lz4": "compressed bodies: LZ4, Zstandard",
    "sizes": "a body of `maxMessageSize`; a larger one is refused with 13",
    "properties": "properties of any characters, empty tags, several keys",
    "delay": "delays by level and by time",
    "recall": "a delayed message is recalled",
    "transactions": "transactions and check-backs",
    "request": "request and reply",
    "push": "push consumers, into a long poll",
    "tags": "consumers by tag",
    "sql": "consumers by SQL92",
    "broadcast": "broadcasting consumers",
    "orderly": "orderly consumers, while members come and go",
    "retry": "what fails comes again",
    "dead letter": "what fails too often is a dead letter",
    "offsets": "a group goes on where it was",
    "begin": "a new group begins at the first, the last, or the offset of a time",
    "members": "members notice at once who comes and goes",
    "AVG": "queues shared out: AllocateMessageQueueAveragely",
    "AVG_BY_CIRCLE": "… AveragelyByCircle",
    "CONFIG": "… ByConfig",
    "MACHINE_ROOM": "… ByMachineRoom",
    "MACHINE_ROOM_NEARBY": "… AllocateMachineRoomNearby",
    "CONSISTENT_HASH": "… ConsistentHash",
    "lite subscribe": "lite pull: subscribe, poll, commit; offsets survive a killed leader",
    "lite assign": "lite pull: assign, seek, pause, offset by time",
    "pull": "pull consumer: queues, pull, wait, offsets",
    "pop": "push consumers that pop",
    "lookup": "messages by key, by unique key, by offset id under every leader",
    "time": "queue offset by time",
    "boundary": "… with lower and upper boundary",
    "reset": "offsets are reset under a running consumer",
    "trace": "message traces of sends, consumptions, transactions",
    "killed": "a killed leader costs no send; see limits.md for default settings",
    "transfer": "a planned transfer of leadership costs no request",
}

# What a client cannot do is looked up in it. Java: a class and its method that are not there.
# Node.js: what none of its sources has.
LACKS_JAVA = {
    "recall": ("client.producer.DefaultMQProducer", "recallMessage"),
    "lz4": ("client.producer.DefaultMQProducer", "setCompressType"),
    "pop": ("client.consumer.DefaultMQPushConsumer", "setPopInvisibleTime"),
    "boundary": ("tools.admin.DefaultMQAdminExt", "searchUpperBoundaryOffset"),
}
LACKS_NODE = {
    "oneway": "sendOneway",
    "batch": "[sS]endBatch|BatchMessage",
    "lz4": "LZ4|[zZ][sS][tT][dD]",
    "recall": "[rR]ecallMessage",
    "transactions": "TransactionProducer|sendMessageInTransaction",
    "request": "ReplyMessage",
    "sql": "SQL92|bySql",
    "orderly": "[oO]rderly",
    "AVG_BY_CIRCLE": "[cC]ircle",
    "CONFIG": "[bB]yConfig",
    "MACHINE_ROOM": "[mM]achine_?[rR]oom",
    "MACHINE_ROOM_NEARBY": "[nN]earby",
    "CONSISTENT_HASH": "[cC]onsistent",
    "lite subscribe": "[lL]ite_?[pP]ull",
    "lite assign": "[lL]ite_?[pP]ull",
    "pull": "(MQ|Default)PullConsumer",
    "pop": "POP_MESSAGE|[pP]opMessage",
    "lookup": "queryMessage|QueryResult",
    "boundary": "[bB]oundary",
    "trace": "[tT]race_?(Topic|Dispatcher|On)|TRACE_",
}


def note(client, feature, word):
    """For the table: "yes", or "–" where the client has no such thing."""
    assert client in CLIENTS and feature in FEATURES, (client, feature)
    path = os.environ.get("COMPATIBILITY")
    if path:
        with open(path, "a", encoding="utf-8") as out:
            out.write(json.dumps({"client": client, "feature": feature, "word": word}) + "\n")


def shows(*features):
    """A test, or a step of one, that shows these features of self.client_name if it passes."""

    def decorate(test):
        @functools.wraps(test)
        def run(self, *arguments):
            test(self, *arguments)
            for feature in features:
                note(self.client_name, feature, "yes")

        return run

    return decorate
