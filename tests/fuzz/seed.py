#!/usr/bin/env python3
"""Writes seeds for the fuzz targets: golden files, and small texts of each kind.

    tests/fuzz/seed.py FOLDER      one folder for each target in it

The kept corpus was grown from these and minimised (tests/fuzz/run --grow).
"""

import base64
import json
import os
import re
import struct
import sys
import zlib

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def golden(path):
    """The bytes of a golden file."""
    with open(os.path.join(ROOT, "tests", "golden", path), encoding="utf-8") as file:
        return bytes.fromhex("".join(line.split("#")[0] for line in file))


QUEUE = {"brokerName": "broker-a", "queueId": 0, "topic": "T"}
VERSION = {"counter": 3, "stateVersion": 5, "timestamp": 1700000000000}
TOPIC = {"attributes": {"message.type": "FIFO"}, "order": False, "perm": 6, "readQueueNums": 4,
         "topicFilterType": "SINGLE_TAG", "topicName": "T", "topicSysFlag": 0, "writeQueueNums": 4}
GROUP = {"brokerId": 0, "consumeBroadcastEnable": True, "consumeEnable": True, "groupName": "g",
         "retryMaxTimes": 16, "retryQueueNums": 1, "whichBrokerWhenConsumeSlowly": 1}
BROKER = {"brokerAddrs": {0: "10.0.0.1:10911"}, "brokerName": "broker-a", "cluster": "C"}
SUBSCRIPTION = {"classFilterMode": False, "codeSet": [2], "expressionType": "TAG", "subString": "a",
                "subVersion": 7, "tagsSet": ["a"], "topic": "T"}
OBJECT_KEY = '{"brokerName":"broker-a","queueId":0,"topic":"T"}'

# In the order of trips[] in fuzz_body.c.
BODIES = [
    {"clientID": "c@1", "producerDataSet": [{"groupName": "p"}],
     "consumerDataSet": [{"consumeFromWhere": "CONSUME_FROM_LAST_OFFSET", "groupName": "g",
                          "consumeType": "CONSUME_PASSIVELY", "messageModel": "CLUSTERING",
                          "subscriptionDataSet": [SUBSCRIPTION], "unitMode": False}]},
    GROUP,
    {"dataVersion": VERSION, "subscriptionGroupTable": {"g": GROUP}},
    {"consumerIdList": ["c@1", "c@2"]},
    {"groupList": ["g", "h"]},
    {"table": {"putTps": "0.0 0.0", "k": "v"}},
    {"clientId": "c", "consumerGroup": "g", "mqSet": [QUEUE], "onlyThisBroker": False},
    {"brokerDatas": [BROKER], "filterServerTable": {}, "orderTopicConf": "broker-a:4",
     "queueDatas": [{"brokerName": "broker-a", "perm": 6, "readQueueNums": 4, "topicSysFlag": 0,
                     "writeQueueNums": 4}]},
    {"brokerAddrTable": {"broker-a": BROKER}, "clusterAddrTable": {"C": ["broker-a"]}},
    '{"offsetTable":{%s:{"lastUpdateTimestamp":1,"maxOffset":9,"minOffset":0}},"topicPutTps":1.5}'
    % OBJECT_KEY,
    '{"consumeTps":0.5,"offsetTable":{%s:{"brokerOffset":9,"consumerOffset":3,"lastTimestamp":1,'
    '"pullOffset":4}}}' % OBJECT_KEY,
    TOPIC,
    {"dataVersion": VERSION, "topicConfigTable": {"T": TOPIC}},
    {"brokerAddr": "10.0.0.1:10911", "topicList": ["T", "%RETRY%g"]},
    {"configTable": {"ORDER_TOPIC_CONFIG": {"T": "broker-a:4"}}},
    {"lockOKMQSet": [QUEUE]},
    '{"offsetTable":{%s:17}}' % OBJECT_KEY,
    {"topicConfigList": [TOPIC]},
    {"groupConfigList": [GROUP]},
    VERSION,
    {"clientId": "c", "group": "g", "subscriptionData": SUBSCRIPTION},
    {"filterServerList": [], "topicConfigSerializeWrapper": {
        "dataVersion": VERSION, "topicConfigTable": {"T": TOPIC}}},
    {"dataVersion": VERSION, "topicConfigTable": {"T": TOPIC}},
    {"brokerName": "broker-a", "acks": [{"c": "g", "t": "T", "r": "0", "so": 7, "q": 3, "rq": 0,
                                         "pt": 1700000000000, "it": 60000, "b": "BQE="}]},
    {"topic": "T", "consumerGroup": "g", "mode": "POP", "popShareQueueNum": -1},
    {"topic": "T", "consumerGroup": "g", "clientId": "c", "strategyName": "AVG",
     "messageModel": "CLUSTERING"},
]

DIALECT = ["{0:\"a\"}", "{'a':'b'}", "{a:1,}", "[1,2.5,-3e9,true,null]", "{{\"queueId\":0}:1}",
           "\"\\x41\\u00e9\\0\\v\"", "{\"a\":{\"b\":[{}]}}"]

SETTINGS = """nodeId=1
nodes=1@10.0.0.1:10911:20911;2@10.0.0.2:10911:20911;3@10.0.0.3:10911:20911
groups=broker-a;broker-b
brokerClusterName=C
namesrvAddr=10.0.0.1:9876;10.0.0.2:9876
portStep=10
maxMessageSize=1024
flushDiskType=SYNC_FLUSH
"""


def text_of(body):
    return (body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))).encode()


def batch():
    def one(body, properties):
        return struct.pack(">IIIII", 22 + len(body) + len(properties), 0, 0, 0, len(body)) + body \
            + struct.pack(">H", len(properties)) + properties
    return one(b"first", b"KEYS\x01k\x02") + one(b"", b"")


def entries():
    """Golden entries one after the other: a topic, messages in it, a decision ..."""
    folder = os.path.join(ROOT, "tests", "golden", "machine")
    names = sorted(n for n in os.listdir(folder) if n.startswith("entry_"))
    found = {name: golden(f"machine/{name}") for name in names}
    yield from found.items()
    yield "all", b"|entry|".join(found.values())
    topic = found["entry_topic_put.hex"]
    yield "topic_first", b"|entry|".join([topic] + [e for e in found.values() if e != topic])


def rows():
    order = {"row_meta": 0, "row_topic": 1, "row_queue": 2, "row_transaction": 3, "row_group": 4,
             "row_offsets": 5, "row_segment": 8, "row_mode": 9, "row_popped": 10}
    for name, number in order.items():
        yield name, bytes([number]) + golden(f"machine/{name}.hex")
    both = golden("machine/row_index_entry.hex")[:32] + golden("machine/row_key_entry.hex")[:36]
    yield "entries", bytes([6]) + both
    with open(os.path.join(ROOT, "tests/golden/machine/keys.hex"), encoding="utf-8") as file:
        for number, line in enumerate(file):
            key = bytes.fromhex(line.split("#")[0])
            if key:
                yield f"key-{number}", bytes([7]) + key


def wire():
    for number, name in enumerate(["hello", "hello_answer"]):
        yield name, bytes([number]) + golden(f"raft-glue/{name}.hex")
    for name in ["append_entries", "append_entries_result", "request_vote", "request_vote_result",
                 "timeout_now"]:
        yield name, bytes([2]) + golden(f"raft-glue/{name}.hex")
        yield name + "_fixed", bytes([0xC2]) + golden(f"raft-glue/{name}.hex")
    for name, number in {"probe": 4, "fetch_request": 5, "fetch_answer": 6}.items():
        yield name, bytes([number]) + golden(f"raft-glue/{name}.hex")
        yield name + "_fixed", bytes([0x80 | number]) + golden(f"raft-glue/{name}.hex")
    yield "base", bytes([7]) + golden("raft-glue/base.hex")


def frame(payload, index, previous=0):
    header = struct.pack("<4sIIIQQQQIBBH", b"RMQf", 0, len(payload), 0, index, 1, 0, 64, previous,
                         1, 0, 0)
    return header + payload + bytes(-len(payload) % 8)


def segments():
    header = golden("raft-glue/segment_header.hex")
    ours = struct.pack("<4sIIIQQQQI12x", b"RMQs", 0, 1, 4096, 42, 0, 1, 0, 42)
    frames = frame(b"one", 1) + frame(b"two", 2) + frame(bytes(100), 3)
    yield "golden", bytes([8]) + header + golden("raft-glue/frame.hex")
    yield "three", bytes([15]) + ours + frames
    yield "torn", bytes([15]) + ours + frames[:-40]
    yield "two", bytes([15]) + (ours + frames).ljust(4096, b"\0") + ours + frames
    yield "cut", bytes([31]) + struct.pack(">HH", 120, 300) + ours + frames


def scripts():
    """For fuzz_log: seed, steps, then what they are."""
    append = lambda size, term=0: bytes([term << 7]) + struct.pack(">H", size)
    write, cut, crash, spare = b"\x02", b"\x04", b"\x05", b"\x06"
    yield "plain", b"\x01\x10" + (append(100) + write) * 5 + crash
    yield "cut", b"\x01\x20" + append(100) * 4 + write + cut + append(50, 1) + b"\x95" + append(9)
    yield "many", b"\x02\xC0" + (append(2900) + write + spare) * 12 + b"\x07\x05" + crash
    yield "damaged", b"\x03\x0a" + (append(40) + write) * 5 + b"\x00\x00\x90\x01"
    yield "header", b"\x03\x0a" + (append(40) + write) * 5 + b"\x00\x00\x10\xff"


def nameserver():
    def ask(code, how, fields, body=b""):
        return bytes([code, how]) + fields.encode() + b"\n" + body + b"\xff"
    identity = "brokerName=broker-a&brokerAddr=10.0.0.1:1&clusterName=C&brokerId=0&haServerAddr=x"
    table = text_of(BODIES[21])
    register = ask(0, 0x10, identity, table)
    yield "register", register
    yield "deflated", ask(0, 0x11, identity + "&compressed=true", table)
    reads = b"".join(ask(code, 0, "topic=T&brokerName=broker-a&clusterName=C&cluster=C")
                     for code in range(24))
    yield "reads", register + reads
    yield "two", register + ask(0, 0x14, identity.replace("Id=0", "Id=1").replace(":1", ":2"),
                                table) + ask(2, 0, "topic=T") + ask(1, 0x80, identity)


def votes():
    vote = golden("raft-glue/vote.hex")[:80]
    other = vote[:8] + bytes([9]) + vote[9:]
    yield "two", bytes([0]) + vote + other
    yield "fixed", bytes([3]) + vote + other
    yield "one", bytes([8]) + vote + vote
    yield "torn", bytes([19]) + vote[:40] + vote[:40]


def seeds():
    """Pairs of target and its seeds by name."""
    yield "command", {
        "json": b"\0" + golden("remoting/command_json.hex"),
        "binary": b"\0" + golden("remoting/command_binary.hex"),
        "json_header": b'\1{"code":310,"extFields":{"a":"P","e":0,"f":null,"k":true},"flag":0,'
                       b'"language":"JAVA","opaque":1,"remark":"r\\u00e9","version":479}',
        "binary_header": b"\2" + golden("remoting/command_binary.hex")[8:]}
    yield "message", {"v1": golden("remoting/message_v1.hex"),
                      "two": 2 * golden("remoting/message_v1.hex")}
    yield "properties", {"some": b"\1tTAGS\1a\2KEYS\1k l\2UNIQ_KEY\1u\2", "host": b"\0" +
                         b"10.1.2.3:10911", "id": b"\0" + b"7F00000100002A9F0000000000000123",
                         "number": b"\0-9223372036854775808", "name": b"\0%RETRY%group"}
    yield "body", {f"{number:02}": bytes([number]) + text_of(body)
                   for number, body in enumerate(BODIES)}
    yield "dialect", {str(number): text.encode() for number, text in enumerate(DIALECT)}
    yield "inflate", {"small": b"\1\0" + zlib.compress(b"some text" * 9),
                      "bomb": b"\1\0" + zlib.compress(bytes(10000))}
    yield "config", {"some": b"# x\nbrokerName = a\\=b\\n\nlistenPort=10911\nautoCreateTopicEnable="
                             b"false\noffset=-5\nunknown=1\n"}
    yield "settings", {"three": SETTINGS.encode(), "bad": b"nodeId=x\nnodes=1@h:1:2\n"}
    yield "attributes", {"add": b'\n+message.type=FIFO', "change":
                         b'{"message.type":"FIFO","reserve.time":"1"}\n-message.type,+queue.type=x'}
    yield "expression", {"all": b"*\na\nb", "some": b"a || b\na\nb\nc", "bars": b"||\na"}
    yield "batch", {"two": batch(), "one": batch()[:34]}
    yield "delay", {"level": b"1s 5s 10s\nDELAY\0012\2k\1v\2", "top": b"366d\nDELAY\00199\2",
                    "seconds": b"\nTIMER_DELAY_SEC\0013\2TIMER_DELAY_MS\0011\2",
                    "time": b"2d 90s\nTIMER_DELIVER_MS\0011700000500\2",
                    "over": b"\nTIMER_DELAY_MS\00160000\2TIMER_OUT_MS\0011\2"}
    handle = b"v1 T broker-a 1700000000500 U1.597"
    yield "recall", {"plain": handle, "text": base64.urlsafe_b64encode(handle),
                     "dots": b"v1 T b 1 a.b.7"}
    yield "pop_handle", {"whole": b"7 1700000000000 60000 0 0 broker-a 3 9",
                         "short": b"7 1 2 3 1 b 5", "over": b"0 1 2 3 0 b 2147483648 9"}
    yield "operation", dict(entries())
    yield "rows", dict(rows())
    yield "nameserver", dict(nameserver())
    yield "vote", dict(votes())
    yield "segment", dict(segments())
    yield "log", dict(scripts())
    yield "wire", dict(wire())
    yield "summary", {"some": b"\0" + golden("raft-glue/segment_summary.hex"),
                      "fixed": b"\1" + golden("raft-glue/segment_summary.hex")}
    yield "received", {"v1": golden("remoting/message_v1.hex"),
                       "two": 2 * golden("remoting/message_v1.hex")}
    yield "broker", {"mix": bytes(range(64)) * 8, "sends": b"\0\1\2\3" * 40}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for target, files in seeds():
        folder = os.path.join(sys.argv[1], target)
        os.makedirs(folder, exist_ok=True)
        for name, content in files.items():
            name = re.sub(r"\.hex$", "", name)
            with open(os.path.join(folder, f"seed-{name}"), "wb") as file:
                file.write(content)


if __name__ == "__main__":
    main()
