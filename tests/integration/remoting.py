"""A small blocking client of the RocketMQ remoting protocol, for tests that need exact requests."""

import itertools
import json
import socket
import struct
import time

RESPONSE = 1
ONEWAY = 2
# SYSTEM_BUSY and SERVICE_NOT_AVAILABLE: every client tries again.
AGAIN = (2, 14)


class RemotingError(Exception):
    """The broker answered with a code other than the one that was expected."""

    def __init__(self, code, remark):
        super().__init__(f"code {code}: {remark}")
        self.code = code
        self.remark = remark


class Frame:
    """A decoded frame."""

    def __init__(self, header, body):
        self.code = header["code"]
        self.flag = header.get("flag", 0)
        self.opaque = header.get("opaque", 0)
        self.remark = header.get("remark") or ""
        self.fields = header.get("extFields") or {}
        self.body = body


def encode(code, fields, body=b"", opaque=0, flag=0):
    header = json.dumps(
        {
            "code": code,
            "language": "OTHER",
            "version": 479,
            "opaque": opaque,
            "flag": flag,
            "extFields": fields,
        }
    ).encode()
    return struct.pack(">II", 4 + len(header) + len(body), len(header)) + header + body


class Connection:
    """One connection; requests are answered in order because each waits for its answer."""

    def __init__(self, address, timeout=5.0):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=timeout)
        self.opaque = itertools.count(1)
        self.unasked = []

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _exactly(self, size):
        parts = []
        while size > 0:
            part = self.socket.recv(size)
            if not part:
                raise ConnectionError("closed by the broker")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def receive(self):
        length, mark = struct.unpack(">II", self._exactly(8))
        header_size = mark & 0xFFFFFF
        rest = self._exactly(length - 4)
        return Frame(json.loads(rest[:header_size]), rest[header_size:])

    def send_raw(self, data):
        self.socket.sendall(data)

    def invoke(self, code, fields=None, body=b"", expect=0):
        """Send a request and return its answer; `expect` None takes any code."""
        opaque = next(self.opaque)
        self.socket.sendall(encode(code, fields or {}, body, opaque))
        while True:
            frame = self.receive()
            if frame.flag & RESPONSE and frame.opaque == opaque:
                break
            self.unasked.append(frame)
        if expect is not None and frame.code != expect:
            raise RemotingError(frame.code, frame.remark)
        return frame

    def send(self, fields, body, seconds=30.0):
        """Send a message as clients do: once more if it may not be stored. It may be there twice."""
        end = time.monotonic() + seconds
        while True:
            try:
                return self.invoke(310, fields, body)
            except RemotingError as error:
                if error.code not in AGAIN or time.monotonic() > end:
                    raise

    def oneway(self, code, fields=None, body=b""):
        self.socket.sendall(encode(code, fields or {}, body, next(self.opaque), ONEWAY))


def properties(pairs):
    return "".join(f"{name}\x01{value}\x02" for name, value in pairs.items())


def send_fields(topic, queue, pairs, group="P"):
    return {
        "a": group,
        "b": topic,
        "c": "TBW102",
        "d": "4",
        "e": str(queue),
        "f": "0",
        "g": "1700000000000",
        "h": "0",
        "i": properties(pairs),
        "j": "0",
    }


def message_position(message_id):
    """The physical offset inside an offset message id."""
    return int(message_id[16:], 16)


class Message:
    """A stored message as a pull delivers it."""

    def __init__(self, data, at):
        (self.size, self.magic, self.crc, self.queue_id, self.flag) = struct.unpack_from(
            ">IIIiI", data, at
        )
        (self.queue_offset, self.position, self.sys_flag, self.born_ms) = struct.unpack_from(
            ">qqiq", data, at + 20
        )
        (self.store_ms,) = struct.unpack_from(">q", data, at + 56)
        (self.prepared, body_size) = struct.unpack_from(">qi", data, at + 76)
        end = at + 88 + body_size
        self.body = bytes(data[at + 88 : end])
        topic_size = data[end]
        self.topic = data[end + 1 : end + 1 + topic_size].decode()
        (size,) = struct.unpack_from(">H", data, end + 1 + topic_size)
        text = data[end + 3 + topic_size : end + 3 + topic_size + size].decode()
        self.properties = dict(p.split("\x01", 1) for p in text.split("\x02") if "\x01" in p)


def messages(body):
    found = []
    at = 0
    while at < len(body):
        found.append(Message(body, at))
        at += found[-1].size
    return found


def pull(connection, topic, queue, offset, count=32, group="G", suspend_ms=0, tags="*"):
    """One pull with its subscription; returns the frame."""
    fields = {
        "consumerGroup": group,
        "topic": topic,
        "queueId": str(queue),
        "queueOffset": str(offset),
        "maxMsgNums": str(count),
        "sysFlag": "6" if suspend_ms else "4",
        "commitOffset": "0",
        "suspendTimeoutMillis": str(suspend_ms),
        "subscription": tags,
        "subVersion": "0",
        "expressionType": "TAG",
    }
    return connection.invoke(11, fields, expect=None)


def read_queue(connection, topic, queue):
    """All messages of a queue."""
    found = []
    offset = 0
    while True:
        frame = pull(connection, topic, queue, offset)
        if frame.code == 0:
            found.extend(messages(frame.body))
        elif frame.code not in (20, 21):
            return found
        following = int(frame.fields["nextBeginOffset"])
        if frame.code == 21 and following <= offset:
            return found
        offset = following
